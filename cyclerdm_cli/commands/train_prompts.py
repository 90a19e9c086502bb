"""`cyclerdm train --model prompts`: from a folder of photographs to the CLIP that names damage."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import typer

from cyclerdm_cli.commands.reporting import INTERRUPTED, put_line, words
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.errors import UsageError

RESULT = "clip.safetensors"
PACKAGED = "builtin"
"""What `--init` calls the file in the package."""
MINUTES = 60.0
"""How long a run lasts where nothing else is said."""


def carry_out(request: TrainRequest, recipe: dict[str, Any]) -> None:
    """Train, and print where the file lies. Raises UsageError and DataError for what cannot be meant."""
    import torch

    from cyclerdm_cli.device import choose_engine
    from cyclerdm_cli.recognising.recogniser import CHECKPOINT, Recogniser, RecogniserConfig, learn
    from cyclerdm_cli.recognising.sightings import SCENES
    from cyclerdm_cli.training.data import pictures_in, read_photographs
    from cyclerdm_cli.words.clip import packaged

    known = {field.name for field in fields(RecogniserConfig)}
    for name in sorted(set(recipe) - known):
        flag = "config" if request.config else name.replace("_", "-")
        raise UsageError(
            f"--{flag}: not with --model prompts", hint=f"its recipe has {', '.join(sorted(known))}"
        )
    if request.config is not None:
        raise UsageError("--config: not with --model prompts", hint="its few fields are options")
    if not {"minutes", "iterations"} & set(recipe):
        recipe["minutes"] = MINUTES
    resolved = RecogniserConfig(**recipe)
    engine = choose_engine(request.device)
    paths = [path for folder in request.data for path in pictures_in(Path(folder))]
    if request.dry_run:
        put_line(
            json.dumps(
                {**asdict(resolved), "data": f"{len(paths)} pictures", "device": str(engine)}, indent=2
            )
        )
        return
    photographs = read_photographs(paths, SCENES[0], torch.device("cpu"))
    kept = request.out / CHECKPOINT
    if kept.exists() and not request.resume:
        raise UsageError(f"{request.out}: holds a run already", hint="--resume, or another --out")
    recogniser = Recogniser(resolved, engine.device)
    if request.init is not None:
        recogniser.start_from(packaged() if request.init == PACKAGED else Path(request.init))
    if kept.exists():
        recogniser.resume(torch.load(kept, map_location=engine.device, weights_only=True))

    asked_to_stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked_to_stop.append(received))
    console = words()
    learn(
        recogniser, photographs, request.out,
        say=lambda line: console.print(line, markup=False), stopped=lambda: bool(asked_to_stop),
    )  # fmt: skip
    if asked_to_stop:
        console.print(f"stopped; the same command with --resume goes on in {request.out}", markup=False)
        raise typer.Exit(INTERRUPTED)
    note = request.data_note or f"{len(photographs.files)} photographs"
    recogniser.write(request.out / RESULT, request.licence, note)
    put_line(str(request.out / RESULT))
