"""Frames of a sequence: one decision for all of a folder, and light that is steady from one to the next.

Of a frame's neighbours only a small look is kept, a million numbers at most: they are read once for the
look, ahead of their turn, and once more when it comes. So memory stays that of single pictures, and a run that goes
on with `--skip-existing` gives the same bytes, since frames whose results are there are looked at all the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import CycleRDMError
from cyclerdm_cli.luma import LUMA
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.tasks.catalogue import Task

if TYPE_CHECKING:
    from cyclerdm_cli.cycle.light import Light
    from cyclerdm_cli.cycle.steady import Seen
    from cyclerdm_cli.restoring.choosing import Choice
    from cyclerdm_cli.restoring.computing import Pixels

REACH = 12
"""Frames before and after one that its light depends on."""
SPREAD = 6.0
"""Standard deviation in frames of the weights that they have."""
ASKED = 5
"""Frames of a folder, evenly over it, that are looked at for the decision of auto."""
THUMBNAIL = 16
"""Side in pixels of the thumbnails by which a cut is found."""
LEAST_CONTRAST = 0.02
"""Standard deviation of a thumbnail, 0 to 1, below which it shows nothing."""
MAYBE, CERTAIN = (0.4, 0.4), (0.8, 0.92)
"""Differences of pattern and of light that may be a cut if they are unusual, and those that always are: the mean
absolute difference of patterns, which have a deviation of 1, and the logarithm of the ratio of mean lumas."""
UNUSUAL = 3.0
"""Times the usual difference between neighbours that a cut is far above."""
CUT = "a cut before it: light and colour begin anew"


@dataclass(frozen=True)
class Look:
    """What is kept of one frame."""

    size: tuple[int, int]
    pattern: NDArray[np.float64]
    """Luma of a thumbnail, with a mean of 0 and a standard deviation of 1."""
    luma: float
    """Mean, 0 to 1."""
    seen: Mapping[str, Seen]
    """By the names of those tasks that change light and colour of the whole picture."""


@dataclass
class _Shot:
    """The frames of one folder, and what is known of them."""

    jobs: list[Job] = field(default_factory=list)
    looks: dict[int, Look | None] = field(default_factory=dict)
    """Of the frames near the one in hand; None where a frame cannot be read."""
    choice: Choice | None = None


class Frames:
    """The frames of a plan, which come in their order."""

    def __init__(
        self,
        plan: Iterable[Job],
        read: Callable[[Job], Picture],
        look: Callable[[Pixels, Sequence[Task]], Mapping[str, Seen]],
        choose: Callable[[Picture], Choice] | None = None,
    ) -> None:
        """Sort a plan by folders.

        Args:
            plan: all jobs.
            read: decodes a frame.
            look: says what the networks of tasks see in a frame.
            choose: chooses the tasks for one picture.
        """
        self._read, self._look, self._choose = read, look, choose
        self._shots: dict[Path, _Shot] = {}
        self._places: dict[Path, tuple[_Shot, int]] = {}
        self._choosing = Lock()
        self._begins: set[Path] = set()
        for job in plan:
            shot = self._shots.setdefault(_path(job).parent, _Shot())
            self._places[_path(job)] = shot, len(shot.jobs)
            shot.jobs.append(job)

    def choice(self, job: Job, picture: Picture) -> Choice:
        """Return the decision for all frames of a job's folder: the commonest among a few; of equals, the earliest.

        Args:
            job: one of the plan.
            picture: its own, which decides where no other can be read.
        """
        assert self._choose is not None
        shot, _ = self._places[_path(job)]
        with self._choosing:
            if shot.choice is None:
                shot.choice = _commonest(self._opinions(shot)) or self._choose(picture)
            return shot.choice

    def _opinions(self, shot: _Shot) -> list[Choice]:
        assert self._choose is not None
        last = len(shot.jobs) - 1
        asked = sorted({round(last * number / (ASKED - 1)) for number in range(ASKED)})
        found = []
        for index in asked:
            try:
                found.append(self._choose(self._read(shot.jobs[index])))
            except CycleRDMError:  # it is told of when its turn comes
                continue
        return found

    def light(self, job: Job, tasks: Sequence[Task]) -> dict[str, Light]:
        """Return the light of a frame for each task that changes it, by name.

        Args:
            job: one of the plan, not before another one of its folder.
            tasks: the same for all frames of a folder.
        """
        shot, index = self._places[_path(job)]
        for other in self._shots.values():
            if other is not shot:
                other.looks.clear()
        _forget(shot.looks, index)
        own = self._looked_at(shot, index, tasks)
        if own is None or not own.seen:
            return {}
        near = range(max(index - REACH, 0), min(index + REACH, len(shot.jobs) - 1) + 1)
        looks = {place: look for place in near if (look := self._looked_at(shot, place, tasks)) is not None}
        # Torch takes a second to import, and is not needed where every frame has its result.
        from cyclerdm_cli.cycle.steady import steadied

        scene = scene_of(looks, index)
        if scene[0] == index and any(place < index for place in looks):
            self._begins.add(_path(job))
        weights = [math.exp(-(((place - index) / SPREAD) ** 2) / 2) for place in scene]
        return {
            name: steadied([looks[place].seen[name] for place in scene], weights, scene.index(index))
            for name in own.seen
        }

    def notes(self, job: Job) -> tuple[str, ...]:
        """Return what is to be said of a frame whose light was asked for."""
        return (CUT,) if _path(job) in self._begins else ()

    def _looked_at(self, shot: _Shot, index: int, tasks: Sequence[Task]) -> Look | None:
        if index not in shot.looks:
            try:
                pixels = self._read(shot.jobs[index]).pixels
            except CycleRDMError:  # it is told of when its turn comes
                shot.looks[index] = None
            else:
                shot.looks[index] = look_of(pixels, self._look(pixels, tasks))
        return shot.looks[index]


def _forget(looks: dict[int, Look | None], index: int) -> None:
    """Drop what no frame from one on will ask for."""
    for place in [place for place in looks if place < index]:
        look = looks.pop(place)
        if place >= index - REACH:
            seen = {} if look is None else {name: one.for_others() for name, one in look.seen.items()}
            looks[place] = look and replace(look, seen=seen)


def look_of(pixels: Pixels, seen: Mapping[str, Seen]) -> Look:
    """Return what is kept of a frame, (H, W, 3)."""
    small = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    luma = small @ np.array(LUMA) / np.iinfo(pixels.dtype).max
    pattern = (luma - luma.mean()) / max(float(luma.std()), LEAST_CONTRAST)
    return Look((pixels.shape[0], pixels.shape[1]), pattern, float(luma.mean()), seen)


def scene_of(looks: Mapping[int, Look], own: int) -> list[int]:
    """Return those neighbours of a frame, and itself, that no cut and no other size parts from it, in order."""
    places = sorted(looks)
    steps = [_difference(looks[one], looks[two]) for one, two in pairwise(places)]
    cuts = [_is_cut(number, steps) for number in range(len(steps))]
    first = last = places.index(own)
    while first > 0 and not cuts[first - 1]:
        first -= 1
    while last < len(steps) and not cuts[last]:
        last += 1
    return places[first : last + 1]


def _difference(one: Look, two: Look) -> tuple[float, float]:
    """Return how much pattern and light of two frames differ; frames of different sizes differ without end."""
    if one.size != two.size:
        return math.inf, math.inf
    light = abs(math.log((one.luma + 0.01) / (two.luma + 0.01)))
    return float(np.abs(one.pattern - two.pattern).mean()), light


def _is_cut(number: int, steps: Sequence[tuple[float, float]]) -> bool:
    """Tell whether one of the differences between neighbours is far above the others."""
    others = [step for place, step in enumerate(steps) if place != number]
    for kind, value in enumerate(steps[number]):
        usual = float(np.median([step[kind] for step in others])) if others else 0.0
        if value > CERTAIN[kind] or (value > MAYBE[kind] and value > UNUSUAL * usual):
            return True
    return False


def _commonest(opinions: Sequence[Choice]) -> Choice | None:
    """Return the choice that most agree on, None where there is none; doubts count where all doubt."""
    sure = [one for one in opinions if not one.doubt] or opinions
    if not sure:
        return None
    votes = Counter("+".join(task.name for task in one.tasks) for one in sure)
    most, count = votes.most_common(1)[0]
    choice = next(one for one in sure if "+".join(task.name for task in one.tasks) == most)
    if len(opinions) == 1 or choice.doubt:
        return choice
    return replace(choice, note=f"{choice.note}, as {count} of {len(opinions)} frames looked at")


def _path(job: Job) -> Path:
    assert job.input.path is not None, "standard input is no frame"
    return job.input.path
