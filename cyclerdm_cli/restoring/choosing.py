"""Which tasks a picture needs, by looking at it, and at what its file says of its compression."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from cyclerdm_cli.pictures.jpeg_quality import quality_of
from cyclerdm_cli.pictures.masks import mask_of
from cyclerdm_cli.pictures.picture import Picture, to_depth
from cyclerdm_cli.tasks.catalogue import Task, find_task
from cyclerdm_cli.words.eye import Eye
from cyclerdm_cli.words.judging import in_order, judge, tones_of

COMPRESSION = "dejpeg"
"""The task that undoes compression."""
COARSE = 40
"""A JPEG of a quality below this, as its own quantisation tables tell it, shows its compression."""


@dataclass(frozen=True)
class Choice:
    """What is to be done to one picture."""

    tasks: Sequence[Task]
    """One after the other; none: the picture stays as it is."""
    likely: Mapping[str, float]
    """How likely each damage is, and that there is none."""
    note: str
    """What was seen and chosen, in a line for people."""
    doubt: str = ""
    """Why nothing was chosen, in a line."""


def chooser(eye: Eye, known: Collection[str]) -> Callable[[Picture], Choice]:
    """Return what chooses the tasks for a picture.

    Args:
        eye: looks at it.
        known: names of the tasks that can be undone.
    """

    def choose(picture: Picture) -> Choice:
        pixels = to_depth(picture.pixels, 8)
        found = judge(eye.see(pixels).tolist(), missing=mask_of(picture) is not None, tones=tones_of(pixels))
        names, likely, seen = found.tasks, found.likely, str(found)
        coarse = _coarse_quality(picture) if COMPRESSION in known else 0
        if coarse:
            names = in_order([*{COMPRESSION, *names}])
            likely, seen = {**likely, COMPRESSION: 1.0}, f"JPEG of quality {coarse}; {seen}"
        doubt = ""
        if not found.sure and not coarse:
            doubt = f"not sure what is wrong ({seen}): say so with --task"
        elif unknown := [name for name in names if name not in known]:
            doubt = f"looks like {' and '.join(unknown)}, which these weights do not know ({seen})"
        chosen = "+".join(names) or "nothing wrong, left as it is"
        if further := [name for name in found.suggested if name in known]:
            seen += f"; perhaps {' and '.join(further)} too"
        return Choice([find_task(name) for name in names], likely, f"{chosen} ({seen})", doubt)

    return choose


def _coarse_quality(picture: Picture) -> int:
    """Return the quality of a JPEG that is below COARSE, 0 for other pictures."""
    quality = quality_of(picture.quantisation) if picture.quantisation else COARSE
    return quality if quality < COARSE else 0
