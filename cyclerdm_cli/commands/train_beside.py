"""What is the same for all that is trained beside the network that restores: its recipe, its photographs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cyclerdm_cli.commands.reporting import put_line
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.errors import UsageError

if TYPE_CHECKING:
    from cyclerdm_cli.training.photographs import Photographs

Recipe = TypeVar("Recipe")
RESULT = "clip.safetensors"
PACKAGED = "builtin"
"""What `--init` calls the file in the package."""
MINUTES = 60.0
"""How long a run lasts where nothing else is said."""


def recipe_of(kind: type[Recipe], request: TrainRequest, given: dict[str, Any]) -> Recipe:
    """Return a recipe with the fields that were given. Raises UsageError for what it does not have."""
    if request.config is not None:
        raise UsageError(f"--config: not with --model {request.model}", hint="its few fields are options")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for name in sorted(set(given) - known):
        raise UsageError(
            f"--{name.replace('_', '-')}: not with --model {request.model}",
            hint=f"its recipe has {', '.join(sorted(known))}",
        )
    if not {"minutes", "iterations"} & set(given):
        given = {**given, "minutes": MINUTES}
    return kind(**given)


def files_of(request: TrainRequest) -> list[Path]:
    """List the photographs to learn from. Raises DataError."""
    from cyclerdm_cli.training.photographs import pictures_in

    return [path for folder in request.data for path in pictures_in(Path(folder))]


def photographs_of(files: Iterable[Path]) -> Photographs:
    """Read photographs, as large as scenes must be. Raises DataError."""
    import torch

    from cyclerdm_cli.recognising.sightings import SCENES
    from cyclerdm_cli.training.photographs import read_photographs

    return read_photographs(list(files), SCENES[0], torch.device("cpu"))


def tell_plan(recipe: Any, files: list[Path], **more: str) -> None:
    """Print what a dry run prints: a recipe, and what it would learn from."""
    put_line(json.dumps({**asdict(recipe), "data": f"{len(files)} pictures", **more}, indent=2))


def refuse_another_run(request: TrainRequest, kept: Path) -> None:
    """Raise UsageError where a run has left something that is not to be gone on with."""
    if kept.exists() and not request.resume:
        raise UsageError(f"{request.out}: holds a run already", hint="--resume, or another --out")


def source_note(request: TrainRequest, photographs: Photographs) -> str:
    """Return what the file says of its data."""
    return request.data_note or f"{len(photographs.files)} photographs"
