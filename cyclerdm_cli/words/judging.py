"""From probabilities to a decision: what is wrong, nothing, or not sure enough to touch it. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.luma import LUMA
from cyclerdm_cli.tasks.catalogue import TASKS, USUAL_LEAD, Task
from cyclerdm_cli.words.wordings import NAMES

PRESENT = USUAL_LEAD
"""How much likelier than a clean picture a damage must be to be undone, or suggested; some tasks need more."""
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
MOST_TOGETHER = 2
"""Damages undone in one picture: nothing was ever taught with more."""
WORTH_SAYING = 0.05
"""Probabilities below this are not worth a word."""


class Tones(NamedTuple):
    """What the tones of a picture say, 0 to 255; the first three are luma."""

    darkest: float
    median: float
    brightest: float
    dark_channel: float
    """Mean of the least colour in each neighbourhood (He et al., CVPR 2009): high where it is hazy."""

    def show(self, task: Task) -> bool:
        """Tell whether they show by themselves that a task is needed."""
        look = task.recognition.looks_like
        if look == "night":
            return self.median < DARK_LUMA
        return look == "mist" and self.dark_channel > HAZY_DARK_CHANNEL


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
        worth = [f"{name} {value:.2f}" for name, value in ranked if value >= WORTH_SAYING]
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
    ranked = sorted(TASKS, key=lambda task: -lead[task.name])
    there = [task for task in ranked if lead[task.name] >= _lead_needed(task, tones)]
    # Of tasks that brighten the likelier alone is undone.
    less_likely = [task for task in there if task.dark][1:]
    there = [task for task in there if task not in less_likely][:MOST_TOGETHER]
    for task in there[1:]:
        # Rain and snow look like haze to tones, never like a night.
        dark = task.recognition.looks_like == "night" and tones.show(task)
        if task.tone and values[task.name] < SURE_SECOND and not dark:
            there.remove(task)
    suggested = [
        task.name for task in ranked
        if task.tone and lead[task.name] >= PRESENT and task not in (*there, *less_likely)
    ]  # fmt: skip
    sure = bool(there) or lead[ranked[0].name] < DOUBTED
    return Judgement(values, in_order([task.name for task in there]), sure, tuple(suggested) if there else ())


def tones_of(pixels: NDArray[np.uint8]) -> Tones:
    """Return the tones of a picture, (H, W, 3): luma by about 100,000 pixels, without the extreme hundredths."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / 100_000) ** 0.5))
    luma = pixels[::step, ::step] @ np.array(LUMA)
    side, window = DARK_CHANNEL_SIDE, DARK_CHANNEL_WINDOW
    least = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA).min(2)
    dark_channel = cv2.erode(least, np.ones((window, window), np.uint8)).mean()
    darkest, median, brightest = np.percentile(luma, (1, 50, 99)).tolist()
    return Tones(darkest, median, brightest, float(dark_channel))


def _lead_needed(task: Task, tones: Tones) -> float:
    own = task.recognition
    return own.lead_if_tones_show_it if tones.show(task) else own.lead


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sort tasks as they are undone: what happened nearest to the sensor first, noise before rain before haze."""
    places = {task.name: place for place, task in enumerate(TASKS)}
    return tuple(sorted(names, key=places.__getitem__))
