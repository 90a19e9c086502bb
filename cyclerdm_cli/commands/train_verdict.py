"""`cyclerdm train --model verdict`: what it means when tasks are tried on pictures, beside what the CLIP saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclerdm_cli.commands.reporting import put_line
from cyclerdm_cli.commands.train_beside import (
    PACKAGED,
    RESULT,
    files_of,
    photographs_of,
    recipe_of,
    refuse_another_run,
    source_note,
    tell_plan,
)
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.commands.train_sitting import sitting
from cyclerdm_cli.errors import DataError, UsageError


def carry_out(request: TrainRequest, given: dict[str, Any]) -> None:
    """Train, and print where the file lies. Raises UsageError and DataError for what cannot be meant."""
    from cyclerdm_cli.recognising.verdict import FEWEST, GATHERED, VerdictConfig, gathered, learned, write
    from cyclerdm_cli.words.clip import load_clip, packaged

    recipe = recipe_of(VerdictConfig, request, given)
    if request.device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {request.device}: not with --model verdict", hint="it learns on the processor"
        )
    files = files_of(request)
    if request.dry_run:
        tell_plan(recipe, files)
        return
    clip = packaged() if request.init in (None, PACKAGED) else Path(str(request.init))
    names = load_clip(clip).names
    photographs = photographs_of(files)
    refuse_another_run(request, request.out / GATHERED)
    with sitting(request.out) as (say, stopped):
        evidence = gathered(recipe, photographs, request.out, say, stopped, names)
    if len(evidence.labels) < FEWEST:
        raise DataError(
            f"{len(evidence.labels)} scenes are too few to learn from", hint=f"{FEWEST} or more: --minutes"
        )
    verdict, note = learned(evidence, recipe.seed), source_note(request, photographs)
    write(request.out / RESULT, clip, verdict, recipe, evidence, request.licence, note)
    put_line(str(request.out / RESULT))
