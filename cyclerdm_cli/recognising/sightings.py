"""What the CLIP learns from: photographs with no, one or two damages, described, and sentences about them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from random import Random
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cyclerdm_cli.tasks.camera import gaussian_blur
from cyclerdm_cli.tasks.catalogue import TASKS, Task, find_task
from cyclerdm_cli.tasks.degradation import degradation_of
from cyclerdm_cli.tasks.draw import normal, uniform
from cyclerdm_cli.training.photographs import Photographs
from cyclerdm_cli.words.trials import Trial
from cyclerdm_cli.words.windows import described
from cyclerdm_cli.words.wordings import NAMES

MIXTURES = tuple((task.name, other) for task in TASKS for other in task.recognition.comes_with)
"""Damages that come together, each as it is undone: what happened last, first."""
CLEAN_SHARE, PAIR_SHARE, KNOWN_PAIRS = 0.25, 0.28, 0.6
"""Shares of scenes with no damage and with two, and of those with two that are one of MIXTURES."""
SCENES = (192, 256, 320, 384)
"""Sides in pixels of the scenes that are degraded."""
FINEST_GRAIN = 1.2 / 255
"""Standard deviation of noise that a clean photograph may have."""
SOFTEST = 1.0
"""Sigma in pixels of the softness that a clean photograph may have: lenses and cameras differ."""
SOFTEST_UNDER_NOISE = 1.8
"""The same of a photograph that is called noisy: cameras smooth away a part of it, and of the picture with it."""
SMALLEST_SHARE = 0.5
"""Photographs are shrunk down to this share, but not below the smallest scene: small pictures show whole scenes."""
SHRUNK_SHARE, COMPRESSED_SHARE = 0.3, 0.3
"""Shares of the scenes that are shrunk after the damage, and compressed, as pictures on the way to people are."""


class Sightings(NamedTuple):
    """A handful of damaged scenes."""

    descriptions: Tensor
    """(B, 3, S, S) float32; see `windows.described`."""
    labels: Tensor
    """(B, names) float32, 1 for what is true of the scene."""
    tried: Tensor
    """(B, NUMBERS_OF_TRIALS) float32, what came of trying tasks on the scene; (B, 0) where none were tried."""


def labels_of(names: Sequence[str], known: Sequence[str] = NAMES) -> Tensor:
    """Return (len(known),) float32 with 1 at the names."""
    return torch.tensor([float(name in names) for name in known])


def damage(clean: Tensor, tasks: Sequence[Task], severity: Tensor, generator: torch.Generator) -> Tensor:
    """Degrade (B, 3, H, W) in [0, 1] by one task or more; what the catalogue names later happens first.

    Args:
        severity: (len(tasks), B) in [0, 1], in the tasks' order.
    """
    degraded = clean
    for place in sorted(range(len(tasks)), key=lambda one: TASKS.index(tasks[one]), reverse=True):
        degraded = degradation_of(tasks[place])(degraded, severity[place], generator).lq
    return degraded


@dataclass(frozen=True)
class SightingSource(Dataset[Sightings]):
    """Draws handfuls: the same number gives the same one."""

    photographs: Photographs
    scenes: int = 6
    """Photographs a handful."""
    kinds: int = 4
    """Damages of each of them: beside one another they show what is damage and what is the photograph."""
    seed: int = 0
    names: tuple[str, ...] = NAMES
    """What scenes are taken for: those of NAMES that the model to be taught knows."""
    trial: Trial | None = None
    """Tries tasks on each scene, which takes three times as long as to damage and describe it. Photographs that are
    dark by themselves are then left out: who learns that a rainy night is rain alone takes no night for dark."""

    def shows_any(self) -> bool:
        """Say whether there is a photograph that a scene can be cut from."""
        return bool(self._fitting)

    @cached_property
    def _fitting(self) -> dict[int, Tensor]:
        """The photographs that hold a scene of each size."""
        sides = self.photographs.sides.amin(1)
        if self.trial is not None:
            for task in TASKS:
                if task.recognition.looks_like == "night":
                    sides = torch.where(self._suitable[task.name], sides, 0)
        return {side: (sides >= side).nonzero().flatten() for side in SCENES if bool((sides >= side).any())}

    @cached_property
    def _suitable(self) -> dict[str, Tensor]:
        """For each of NAMES, which photographs can teach it: (P,) bool."""
        found = {task.name: torch.zeros(len(self.photographs.sides), dtype=torch.bool) for task in TASKS}
        for task in TASKS:
            found[task.name][self.photographs.suitable(task)] = True
        # Nobody can tell a night from a picture too dark, or mist from haze: neither is an example of a clean one.
        alike = [found[task.name] for task in TASKS if task.recognition.looks_like]
        found["clean"] = torch.stack(alike).all(0)
        return found

    def __getitem__(self, number: int) -> Sightings:
        """Cut, degrade and describe."""
        torch.set_num_threads(1)
        random = Random(f"{self.seed} {number}")
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        descriptions, labels, tried = [], [], []
        for _ in range(self.scenes):
            side = random.choice(list(self._fitting))
            photograph = self._fitting[side][random.randrange(len(self._fitting[side]))]
            clean = _vary(self.photographs.cut(photograph[None], side, generator), random, generator)
            for _ in range(self.kinds):
                names = self._names_for(int(photograph), random)
                scene = _soften(clean, random) if _is_smoothed_by_cameras(names) else clean
                pixels = _shrink_and_compress(_damage_scene(scene, names, generator), random)
                descriptions.append(described(pixels))
                labels.append(labels_of(names, self.names))
                tried.append(torch.empty(0) if self.trial is None else self.trial(pixels))
        return Sightings(torch.stack(descriptions), torch.stack(labels), torch.stack(tried))

    def _names_for(self, photograph: int, random: Random) -> tuple[str, ...]:
        """Draw damages that the photograph can teach: a dark one, say, is no example of a bright one darkened."""
        while True:
            names = draw_names(random, self.names)
            if all(bool(self._suitable[name][photograph]) for name in names):
                return names


def _damage_scene(clean: Tensor, names: Sequence[str], generator: torch.Generator) -> NDArray[np.uint8]:
    """Degrade one scene, (1, 3, H, W) in [0, 1], by all that is named: (H, W, 3)."""
    tasks = [find_task(name) for name in names if name != "clean"]
    least = torch.tensor([task.recognition.least_severity for task in tasks]).view(-1, 1)
    # Towards the faint end: what is strong is seen at once, and pictures that people take are damaged a little.
    severity = least + (1 - least) * uniform(0, 1, (len(tasks), 1), generator) ** 1.2
    degraded = damage(clean, tasks, severity, generator)[0]
    return (degraded.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def draw_names(random: Random, known: Sequence[str] = NAMES) -> tuple[str, ...]:
    """Draw what is wrong with a picture, of what is known: nothing, one damage, or two that can come together."""
    chance, tasks = random.random(), [task for task in TASKS if task.name in known]
    if chance < CLEAN_SHARE:
        return ("clean",)
    if chance < 1 - PAIR_SHARE:
        often = [task for task in tasks if task.recognition.twice_as_often]
        return (random.choice([*tasks, *often]).name,)
    if random.random() < KNOWN_PAIRS:
        return random.choice([pair for pair in MIXTURES if set(pair) <= set(known)])
    one, other = random.sample([task for task in tasks if not task.masked], 2)
    return (one.name, other.name)


def _vary(clean: Tensor, random: Random, generator: torch.Generator) -> Tensor:
    """Vary light, scale, softness and grain of a photograph a little: not each dark or soft one is damaged."""
    if random.random() < 1 / 3:
        clean = (
            clean ** math.exp(random.uniform(-0.25, 0.25)) * uniform(0.94, 1.06, (1, 3, 1, 1), generator)
        ).clamp(0, 1)
    if random.random() < 1 / 2:
        side = max(SCENES[0], round(clean.shape[-1] * random.uniform(SMALLEST_SHARE, 0.99)))
        clean = F.interpolate(clean, (side, side), mode="bilinear", antialias=True, align_corners=False)
    if random.random() < 1 / 3:
        clean = gaussian_blur(clean, torch.tensor([random.uniform(0.2, SOFTEST)]))
    if random.random() < 1 / 3:
        grain = random.uniform(0, FINEST_GRAIN) * normal(tuple(clean.shape), generator)
        clean = (clean + grain).clamp(0, 1)
    return clean


def _is_smoothed_by_cameras(names: Sequence[str]) -> bool:
    """Tell whether a picture with this one damage is a soft one, now and then."""
    return len(names) == 1 and any(
        task.name == names[0] and task.recognition.smoothed_by_cameras for task in TASKS
    )


def _soften(clean: Tensor, random: Random) -> Tensor:
    """Blur one scene in three, as cameras do that smooth noise away."""
    if random.random() < 2 / 3:
        return clean
    return gaussian_blur(clean, torch.tensor([random.uniform(SOFTEST, SOFTEST_UNDER_NOISE)]))


def _shrink_and_compress(pixels: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """Shrink and compress a share of the pictures."""
    if random.random() < SHRUNK_SHARE:
        side = round(len(pixels) * random.uniform(0.55, 0.95))
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if random.random() < COMPRESSED_SHARE:
        stored = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, random.randint(65, 97)])[1]
        pixels = cv2.imdecode(stored, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return pixels


@contextmanager
def helpers_may_be_stopped(stopped: Callable[[], bool]) -> Iterator[None]:
    """Let a helper process die where the run was asked to stop: a signal to the whole group reaches helpers too.

    torch reports such a death as a RuntimeError, wherever the program is just then.
    """
    try:
        yield
    except RuntimeError:
        if not stopped():
            raise


def handfuls_of(source: Dataset[Sightings], first: int, workers: int) -> Iterator[Sightings]:
    """Yield handfuls without end, drawn ahead in other processes, in order."""
    yield from DataLoader(
        source, batch_size=None, sampler=count(first), num_workers=workers, prefetch_factor=4
    )
