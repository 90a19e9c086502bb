"""Which tasks a picture needs, by looking at it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from cyclerdm_cli.pictures.masks import mask_of
from cyclerdm_cli.pictures.picture import Picture, to_depth
from cyclerdm_cli.tasks.catalogue import Task, find_task
from cyclerdm_cli.words.eye import Eye
from cyclerdm_cli.words.judging import judge


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
        likely = eye.see(to_depth(picture.pixels, 8))
        found = judge(likely.tolist(), missing=mask_of(picture) is not None)
        unknown = [name for name in found.tasks if name not in known]
        doubt = ""
        if not found.sure:
            doubt = f"not sure what is wrong ({found}): say so with --task"
        elif unknown:
            doubt = f"looks like {' and '.join(unknown)}, which these weights do not know ({found})"
        chosen = "+".join(found.tasks) or "nothing wrong, left as it is"
        return Choice([find_task(name) for name in found.tasks], found.likely, f"{chosen} ({found})", doubt)

    return choose
