"""The tasks as data. A further task is one entry here and one file with its `degrade` function.

This module stays free of torch, so that help texts and usage errors come at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from cyclerdm_cli.errors import UsageError

Command = Literal["restore", "enhance"]


@dataclass(frozen=True)
class Task:
    """One kind of damage and the words for it."""

    name: str
    """As typed after `--task`, and in the weights' task table."""
    command: Command
    """The command under which people look for it."""
    summary: str
    """One line for help texts."""
    prompt: str
    """The damage as a sentence: what a text encoder reads."""
    masked: bool = False
    """Whether parts of the picture are missing, so that a mask says where."""
    tone: bool = False
    """Whether the damage changes light and colour of the whole picture, so that undoing it begins with
    looking at it."""
    dark: bool = False
    """Whether what is damaged is too dark, so that undoing it begins with a power curve to a middle grey."""
    blur: bool = False
    """Whether the damage is a blur, mostly with one kernel, so that undoing it begins with looking for that."""
    grain: bool = False
    """Whether the damage lies evenly over all fine detail, so that what stands out of it is the picture's own."""
    degrades: bool = True
    """Whether there is a module with its degradation; otherwise it is learned from pairs alone."""
    min_luma: float = 0.0
    """Training leaves out photographs darker than this on average: they are no example of a bright one."""
    max_luma: float = 1.0
    """The same for brighter ones: how bright the damaged picture was cannot be told if anything may be."""
    max_dark_channel: float = 1.0
    """Training leaves out photographs with a higher mean dark channel: they may be misty themselves."""


TASKS: tuple[Task, ...] = (
    Task(
        "dejpeg",
        "restore",
        "blocks and ringing of JPEG",
        "a photograph with compression artifacts",
        grain=True,
    ),
    Task("denoise", "restore", "grain and sensor noise", "a photograph with noise", grain=True),
    Task("derain", "restore", "rain streaks and their veil", "a photograph taken in the rain"),
    Task("desnow", "restore", "falling snow", "a photograph taken in falling snow"),
    Task("raindrop", "restore", "drops of water on the glass", "a photograph through a wet window"),
    Task("deblur", "restore", "camera shake, motion, defocus", "a blurred photograph", blur=True),
    Task(
        "inpaint", "restore", "missing parts, scratches, text", "a photograph with missing parts", masked=True
    ),
    Task(
        "dehaze",
        "restore",
        "haze, mist, fog",
        "a hazy photograph",
        tone=True,
        min_luma=0.2,
        max_luma=0.62,
        max_dark_channel=0.35,
    ),
    Task(
        "low-light",
        "enhance",
        "too dark",
        "a photograph taken in the dark",
        tone=True,
        dark=True,
        min_luma=0.32,
        max_luma=0.66,
    ),
    Task(
        "underwater",
        "enhance",
        "colours lost under water",
        "a photograph taken under water",
        tone=True,
        min_luma=0.25,
        max_luma=0.6,
    ),
    Task(
        "backlight",
        "enhance",
        "dark subject, bright surround",
        "a photograph taken against the light",
        tone=True,
        dark=True,
        min_luma=0.32,
    ),
)
"""In the order in which they are undone: what happened to the file first, then near the sensor, then far from
it, and to the light, last."""


def new_task(name: str) -> Task:
    """Return a task that is not in the catalogue: learned from pairs alone, known to some weights."""
    return Task(
        name, "restore", f"as learned from pairs: {name}", f"a photograph with {name}", degrades=False
    )


def find_task(name: str) -> Task:
    """Return the task of that name. Raises UsageError where there is none (the nearest name is suggested)."""
    for task in TASKS:
        if task.name == name:
            return task
    known = [task.name for task in TASKS]
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"one of: {', '.join(known)}"
    raise UsageError(f"unknown task {name!r}", hint=hint)
