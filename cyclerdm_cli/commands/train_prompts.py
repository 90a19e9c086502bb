"""`cyclerdm train --model prompts`: from a folder of photographs to the CLIP that names damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclerdm_cli.commands import train_beside as beside
from cyclerdm_cli.commands.reporting import put_line
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.commands.train_sitting import sitting


def carry_out(request: TrainRequest, given: dict[str, Any]) -> None:
    """Train, and print where the file lies. Raises UsageError and DataError for what cannot be meant."""
    from cyclerdm_cli.device import choose_engine
    from cyclerdm_cli.recognising.recogniser import CHECKPOINT, Recogniser, RecogniserConfig, learn
    from cyclerdm_cli.words.clip import packaged

    recipe = beside.recipe_of(RecogniserConfig, request, given)
    engine = choose_engine(request.device)
    files = beside.files_of(request)
    if request.dry_run:
        beside.tell_plan(recipe, files, device=str(engine))
        return
    photographs = beside.photographs_of(files)
    kept = request.out / CHECKPOINT
    beside.refuse_another_run(request, kept)
    recogniser = Recogniser(recipe, engine.device)
    if request.init is not None:
        recogniser.start_from(packaged() if request.init == beside.PACKAGED else Path(request.init))
    if kept.exists():
        recogniser.resume(kept)
    with sitting(request.out) as (say, stopped):
        learn(recogniser, photographs, request.out, say, stopped)
    recogniser.write(request.out / beside.RESULT, request.licence, beside.source_note(request, photographs))
    put_line(str(request.out / beside.RESULT))
