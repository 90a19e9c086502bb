"""What is measured while a network learns: on pictures kept apart, and on pairs that it learns from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.training import by_heart
from cyclerdm_cli.training.photographs import read_pairs, read_photographs
from cyclerdm_cli.training.records import RunLog, Sheet, draw_curves
from cyclerdm_cli.training.validation import Held, validate

if TYPE_CHECKING:
    from cyclerdm_cli.training.run import DataFound, Run

SMALLEST_VALIDATION = 128
"""Pictures smaller than this, or than a scene, are not measured on."""


def examiner(
    run: Run, found: DataFound, device: torch.device, log: RunLog | None, say: Callable[[str], None]
) -> Callable[[torch.nn.Module], dict[str, Any]]:
    """Return what measures a network on what was kept apart, and leaves curves and samples.

    Where pairs are kept apart, it is measured on those learned from too, and `say` is told when they are learned by
    heart.
    """
    held, learned = read_held(run, found, device), read_learned(run, found, device)

    def examine(averaged: torch.nn.Module) -> dict[str, Any]:
        sheet = Sheet()
        precision = torch.bfloat16 if run.recipe.precision == "bf16" else torch.float32
        assert isinstance(averaged, CompactNetwork)
        count = run.recipe.validation_pictures
        score = validate(averaged, held, run.task, count=count, precision=precision, show=sheet.add)
        if sheet.rows:
            sheet.image().save(run.out / "samples.png")
        if log is not None:
            draw_curves(log.read()).save(run.out / "curves.png")
        record: dict[str, Any] = {"validation": {run.task.name: round(score.gained, 3)} if score else {}}
        again = validate(averaged, learned, run.task, count=count, precision=precision) if learned else None
        if again and score:
            record["learned"] = {run.task.name: round(again.gained, 3)}
            if line := by_heart.said_of([*(log.read() if log else []), record], run.task.name):
                say(line)
        return record

    return examine


def read_held(run: Run, found: DataFound, device: torch.device) -> Held:
    """Decode what is measured on."""
    side = _smallest(run)
    return Held(
        read_photographs(found.held_photographs, side, device, (1.0,)) if found.held_photographs else None,
        {run.task.name: read_pairs(found.held_pairs, side, device)} if found.held_pairs else {},
    )


def read_learned(run: Run, found: DataFound, device: torch.device) -> Held | None:
    """Decode as many of the pairs learned from as are measured on; None where none are kept apart."""
    pairs = [pair for row in found.pairs for pair in row]
    if not pairs or not found.held_pairs:
        return None
    few = pairs[:: math.ceil(len(pairs) / run.recipe.validation_pictures)]
    return Held(None, {run.task.name: read_pairs(few, _smallest(run), device)})


def _smallest(run: Run) -> int:
    return min(SMALLEST_VALIDATION, run.recipe.largest_scene)
