"""From probabilities to a decision: what is wrong, nothing, or not sure enough to touch it. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.words.wordings import NAMES

PRESENT = 0.22
"""By so much a damage must be likelier than that the picture is clean, to be taken to be there."""
DOUBTED = 0.18
"""A picture whose likeliest damage lies between this and PRESENT is neither clean nor clear."""
TOGETHER = 2
"""Damages undone in one picture at most: nothing was ever taught with more."""
EITHER = ("low-light", "backlight")
"""Both brighten: of these the likelier alone is undone."""
SAID = 0.05
"""Probabilities below this are not worth a word."""


@dataclass(frozen=True)
class Judgement:
    """What is thought of a picture."""

    likely: dict[str, float]
    """The probability of each of NAMES; they are independent of one another."""
    tasks: tuple[str, ...]
    """To run one after the other; none where nothing is wrong, or it is not clear."""
    sure: bool
    """Whether it is clear: damage that is there, or a clean picture."""

    def __str__(self) -> str:
        ranked = sorted(self.likely.items(), key=lambda pair: -pair[1])
        worth = [f"{name} {value:.2f}" for name, value in ranked if value >= SAID]
        return ", ".join(worth or [f"{ranked[0][0]} {ranked[0][1]:.2f}"])


def judge(likely: Sequence[float], *, missing: bool) -> Judgement:
    """Decide.

    Args:
        likely: the probability of each of NAMES.
        missing: whether there are areas of pure white or transparency; without them nothing is to be filled in.
    """
    values = {name: round(float(value), 4) for name, value in zip(NAMES, likely, strict=True)}
    if not missing:
        for task in TASKS:
            if task.masked:
                values[task.name] = 0.0
    lead = {task.name: values[task.name] - values["clean"] for task in TASKS}
    damage = sorted(lead, key=lambda name: -lead[name])
    there = [name for name in damage if lead[name] >= PRESENT]
    both = [name for name in there if name in EITHER]
    there = [name for name in there if name not in both[1:]][:TOGETHER]
    sure = bool(there) or lead[damage[0]] < DOUBTED
    return Judgement(values, in_order(there), sure)


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sort tasks as they are undone: what happened nearest to the sensor first, noise before rain before haze."""
    places = {task.name: place for place, task in enumerate(TASKS)}
    return tuple(sorted(names, key=places.__getitem__))
