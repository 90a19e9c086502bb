"""`cyclerdm train --model verdict`: what it means when tasks are tried on pictures, beside what the CLIP saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclerdm_cli.commands import train_beside as beside
from cyclerdm_cli.commands.reporting import put_line
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.commands.train_sitting import sitting
from cyclerdm_cli.errors import DataError, UsageError


def carry_out(request: TrainRequest, given: dict[str, Any]) -> None:
    """Train, and print where the file lies. Raises UsageError and DataError for what cannot be meant."""
    from cyclerdm_cli.recognising.verdict import (
        EVIDENCE_FILE,
        FEWEST_SCENES,
        VerdictConfig,
        gather_evidence,
        learn_verdict,
        write,
    )
    from cyclerdm_cli.words.clip import load_clip, packaged

    recipe = beside.recipe_of(VerdictConfig, request, given)
    if request.device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {request.device}: not with --model verdict", hint="it learns on the processor"
        )
    files = beside.files_of(request)
    if request.dry_run:
        beside.tell_plan(recipe, files)
        return
    clip = packaged() if request.init in (None, beside.PACKAGED) else Path(str(request.init))
    names = load_clip(clip).names
    photographs = beside.photographs_of(files)
    beside.refuse_another_run(request, request.out / EVIDENCE_FILE)
    with sitting(request.out) as (say, stopped):
        evidence = gather_evidence(recipe, photographs, request.out, say, stopped, names)
    if len(evidence.labels) < FEWEST_SCENES:
        raise DataError(
            f"{len(evidence.labels)} scenes are too few to learn from",
            hint=f"{FEWEST_SCENES} or more: --minutes",
        )
    verdict, note = learn_verdict(evidence, recipe.seed), beside.source_note(request, photographs)
    write(request.out / beside.RESULT, clip, verdict, recipe, evidence, request.licence, note)
    put_line(str(request.out / beside.RESULT))
