"""From probabilities to a decision: what is wrong, nothing, or not sure enough to touch it. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.words.wordings import NAMES

PRESENT = 0.22
"""How much likelier than a clean picture a damage must be to be undone."""
PRESENT_FOR_TASK = {
    "desnow": 0.6, "deblur": 0.75, "dehaze": 0.75, "low-light": 0.75, "backlight": 0.75, "underwater": 0.5,
}  # fmt: skip
"""The same for tasks that harm a picture much if it does not need them."""
PRESENT_IF_TONES_SHOW_IT = {"low-light": 0.6, "dehaze": PRESENT}
"""The same where the tones of a picture show by themselves that it is dark, or hazy."""
SURE_SECOND = 0.9
"""Probability from which a second damage of light or colour is undone; below, it is suggested."""
DARK_LUMA = 50
"""Median luma, 0 to 255, below which a picture is dark."""
HAZY_DARK_CHANNEL = 80
"""Mean dark channel, 0 to 255, above which a picture may well be hazy."""
DARK_CHANNEL_SIDE, DARK_CHANNEL_WINDOW = 256, 15
"""Sides in pixels of the small picture and of the window in which its dark channel is taken."""
EVEN_LUMA = 10
"""Between darkest and brightest luma, 0 to 255, of a frame that shows nothing: black, white, or one colour."""
DOUBTED = 0.18
"""A picture of which nothing is undone is clean if no damage is likelier than a clean picture by this."""
TOGETHER = 2
"""Damages undone in one picture at most: nothing was ever taught with more."""
EITHER = ("low-light", "backlight")
"""Both brighten: of these the likelier alone is undone."""
SAID = 0.05
"""Probabilities below this are not worth a word."""


class Tones(NamedTuple):
    """What the tones of a picture say, 0 to 255; the first three are luma."""

    darkest: float
    median: float
    brightest: float
    dark_channel: float
    """Mean of the least colour in each neighbourhood (He et al., CVPR 2009): high where it is hazy."""

    def show(self, name: str) -> bool:
        """Tell whether they show by themselves that a task is needed."""
        dark = name == "low-light" and self.median < DARK_LUMA
        return dark or (name == "dehaze" and self.dark_channel > HAZY_DARK_CHANNEL)


@dataclass(frozen=True)
class Judgement:
    """What is thought of a picture."""

    likely: dict[str, float]
    """The probability of each of NAMES; they are independent of one another."""
    tasks: tuple[str, ...]
    """To run one after the other; none where nothing is wrong, or it is not clear."""
    sure: bool
    """Whether it is clear: damage that is there, or a clean picture."""
    suggested: tuple[str, ...] = ()
    """Damages of light and colour that are likely too, but not likely enough to be undone unasked."""

    def __str__(self) -> str:
        ranked = sorted(self.likely.items(), key=lambda pair: -pair[1])
        worth = [f"{name} {value:.2f}" for name, value in ranked if value >= SAID]
        return ", ".join(worth or [f"{ranked[0][0]} {ranked[0][1]:.2f}"])


def judge(likely: Sequence[float], *, missing: bool, tones: Tones) -> Judgement:
    """Decide what to undo.

    Args:
        likely: the probability of each of NAMES.
        missing: whether there are areas of pure white or transparency; without them nothing is to be filled in.
        tones: of the picture.
    """
    values = {name: round(float(value), 4) for name, value in zip(NAMES, likely, strict=True)}
    if not missing:
        for task in TASKS:
            if task.masked:
                values[task.name] = 0.0
    if tones.brightest - tones.darkest < EVEN_LUMA:
        return Judgement(values, (), True)
    lead = {task.name: values[task.name] - values["clean"] for task in TASKS}
    ranked = sorted(lead, key=lambda name: -lead[name])
    there = [name for name in ranked if lead[name] >= _lead_needed(name, tones)]
    both = [name for name in there if name in EITHER]
    there = [name for name in there if name not in both[1:]][:TOGETHER]
    for name in there[1:]:
        dark = name == "low-light" and tones.show(
            name
        )  # rain and snow look like haze to tones, never like a night
        if _changes_light(name) and values[name] < SURE_SECOND and not dark:
            there.remove(name)
    suggested = [
        name for name in ranked
        if _changes_light(name) and lead[name] >= PRESENT and name not in (*there, *both[1:])
    ]  # fmt: skip
    sure = bool(there) or lead[ranked[0]] < DOUBTED
    return Judgement(values, in_order(there), sure, tuple(suggested) if there else ())


def tones_of(pixels: NDArray[np.uint8]) -> Tones:
    """Return the tones of a picture, (H, W, 3): luma by about 100,000 pixels, without the extreme hundredths."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / 100_000) ** 0.5))
    luma = pixels[::step, ::step] @ np.array([0.299, 0.587, 0.114])
    side, window = DARK_CHANNEL_SIDE, DARK_CHANNEL_WINDOW
    least = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA).min(2)
    dark_channel = cv2.erode(least, np.ones((window, window), np.uint8)).mean()
    darkest, median, brightest = np.percentile(luma, (1, 50, 99)).tolist()
    return Tones(darkest, median, brightest, float(dark_channel))


def _lead_needed(name: str, tones: Tones) -> float:
    if tones.show(name):
        return PRESENT_IF_TONES_SHOW_IT[name]
    return PRESENT_FOR_TASK.get(name, PRESENT)


def _changes_light(name: str) -> bool:
    return next(task.tone for task in TASKS if task.name == name)


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sort tasks as they are undone: what happened nearest to the sensor first, noise before rain before haze."""
    places = {task.name: place for place, task in enumerate(TASKS)}
    return tuple(sorted(names, key=places.__getitem__))
