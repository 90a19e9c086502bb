"""What the shell offers after an option whose words are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import typer

from cyclerdm_cli.pictures.formats import (
    COMPARE_CHOICES,
    DEPTH_CHOICES,
    DEVELOP_CHOICES,
    FORMAT_CHOICES,
    MASK_CHOICES,
)
from cyclerdm_cli.restoring.mirroring import EFFORTS as MIRRORS
from cyclerdm_cli.tasks.catalogue import TASKS

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
EFFORTS = tuple(MIRRORS)
FORMATS = FORMAT_CHOICES
COLOUR_SPACES = DEVELOP_CHOICES
MASKS_FROM = MASK_CHOICES
COMPARISONS = COMPARE_CHOICES
PROGRESS = ("auto", "json", "none")
DEPTHS = tuple(map(str, DEPTH_CHOICES))


def one_of(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a completion that offers the words which go on what is typed."""
    known = list(words)

    def complete(incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return complete


def complete_task(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offer the tasks, those of the command first, each with its summary; after a plus sign or comma too."""
    start = max(incomplete.rfind("+"), incomplete.rfind(",")) + 1
    before, last = incomplete[:start], incomplete[start:].lower()
    own_first = sorted(TASKS, key=lambda task: task.command != ctx.info_name)
    return [(before + task.name, task.summary) for task in own_first if task.name.startswith(last)] + [
        ("auto", "look at each picture")
    ] * (not before and "auto".startswith(last))
