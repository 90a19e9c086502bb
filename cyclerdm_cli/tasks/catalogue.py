"""The tasks as data. A further task is one entry here and one file with its `degrade` function.

This module stays free of torch, so that help texts and usage errors come at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from cyclerdm_cli.errors import UsageError

Command = Literal["restore", "enhance"]
USUAL_LEAD = 0.22
"""How much likelier than a clean picture a damage must be to be undone, unless its task says otherwise."""


@dataclass(frozen=True)
class Recognition:
    """How `--task auto` judges one kind of damage, and how it is learned; the defaults suit any."""

    lead: float = USUAL_LEAD
    """How much likelier than a clean picture it must be to be undone: more for what harms a picture without it."""
    lead_if_tones_show_it: float = USUAL_LEAD
    """The same where the tones of a picture show by themselves what it looks like."""
    looks_like: Literal["night", "mist"] | None = None
    """What pictures look like that are the same without any damage: they are no examples of clean ones."""
    tried_for: Literal["light", "detail", "blur"] | None = None
    """What counts where it is tried: how it changes the whole, what it takes away pixel by pixel, or what kernel it
    finds (of one task alone). A verdict goes with the tasks that were tried when it learned."""
    least_severity: float = 0.2
    """Fainter examples are left out when it is learned: they are called neither damaged nor clean."""
    twice_as_often: bool = False
    """Whether it comes up twice as often among the examples: what such damage looks like is learned last."""
    comes_with: tuple[str, ...] = ()
    """Tasks undone after it whose damage often comes together with it."""
    smoothed_by_cameras: bool = False
    """Whether cameras smooth a part of it away, and of the picture with it."""


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
    recognition: Recognition = Recognition()
    """How it is told from other damage, and from none."""


TASKS: tuple[Task, ...] = (
    Task(
        "dejpeg",
        "restore",
        "blocks and ringing of JPEG",
        "a photograph with compression artifacts",
        grain=True,
    ),
    Task(
        "denoise",
        "restore",
        "grain and sensor noise",
        "a photograph with noise",
        grain=True,
        recognition=Recognition(
            tried_for="detail",
            least_severity=0.06,
            twice_as_often=True,
            comes_with=("low-light", "underwater"),
            smoothed_by_cameras=True,
        ),
    ),
    Task(
        "derain",
        "restore",
        "rain streaks and their veil",
        "a photograph taken in the rain",
        recognition=Recognition(tried_for="detail", twice_as_often=True, comes_with=("dehaze",)),
    ),
    Task(
        "desnow",
        "restore",
        "falling snow",
        "a photograph taken in falling snow",
        recognition=Recognition(lead=0.6, tried_for="detail", twice_as_often=True, comes_with=("dehaze",)),
    ),
    Task(
        "raindrop",
        "restore",
        "drops of water on the glass",
        "a photograph through a wet window",
        recognition=Recognition(tried_for="detail", twice_as_often=True, comes_with=("low-light",)),
    ),
    Task(
        "deblur",
        "restore",
        "camera shake, motion, defocus",
        "a blurred photograph",
        blur=True,
        recognition=Recognition(
            lead=0.75, tried_for="blur", least_severity=0.3, twice_as_often=True, comes_with=("low-light",)
        ),
    ),
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
        recognition=Recognition(lead=0.75, looks_like="mist", tried_for="light"),
    ),
    Task(
        "low-light",
        "enhance",
        "too dark",
        "a photograph taken in the dark",
        tone=True,
        dark=True,
        min_luma=0.25,
        max_luma=0.7,
        recognition=Recognition(
            lead=0.75, lead_if_tones_show_it=0.6, looks_like="night", tried_for="light", twice_as_often=True
        ),
    ),
    Task(
        "underwater",
        "enhance",
        "colours lost under water",
        "a photograph taken under water",
        tone=True,
        min_luma=0.25,
        max_luma=0.6,
        recognition=Recognition(lead=0.5, tried_for="light", least_severity=0.14, twice_as_often=True),
    ),
    Task(
        "backlight",
        "enhance",
        "dark subject, bright surround",
        "a photograph taken against the light",
        tone=True,
        dark=True,
        min_luma=0.32,
        recognition=Recognition(lead=0.75, tried_for="light", least_severity=0.12, twice_as_often=True),
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
