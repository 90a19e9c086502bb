"""How often the CLIP is right about pictures, and what `--task auto` gains where two damages meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray

from cyclerdm_cli.metrics import psnr
from cyclerdm_cli.pictures.masks import mask_of
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.recognising.sightings import MIXTURES, damage
from cyclerdm_cli.tasks.catalogue import TASKS, Task, find_task
from cyclerdm_cli.tasks.draw import uniform
from cyclerdm_cli.training.photographs import Photographs
from cyclerdm_cli.words.eye import Eye
from cyclerdm_cli.words.judging import Judgement, judge, tones_of

Pixels = NDArray[np.uint8]
Restore = Callable[[Pixels, str], Pixels]
"""Undoes the task of a name such as `derain`."""
UNSURE = "unsure"


@dataclass(frozen=True)
class Sight:
    """One picture, what is wrong with it, and what was thought of it."""

    truth: tuple[str, ...]
    """Names of tasks, or clean."""
    found: Judgement

    @property
    def answer(self) -> str:
        """What it was taken for: the likeliest damage that is there, clean, or unsure."""
        if self.found.tasks:
            return max(self.found.tasks, key=self.found.likely.__getitem__)
        return "clean" if self.found.sure else UNSURE

    @property
    def right(self) -> bool:
        """Whether the answer is the truth; of several damages, whether all are named and nothing else."""
        return self.answer == self.truth[0] if len(self.truth) == 1 else self.all_named

    @property
    def all_named(self) -> bool:
        """Whether every damage is named."""
        return set(self.truth) <= set(self.found.tasks)


def judged(eye: Eye, pixels: Pixels) -> Judgement:
    """Judge a picture as `restore --task auto` does."""
    missing = mask_of(Picture(pixels)) is not None
    return judge(eye.see(pixels).tolist(), missing=missing, tones=tones_of(pixels))


def whole(photographs: Photographs, index: int) -> Pixels:
    """Return a photograph, (H, W, 3)."""
    height, width = photographs.sides[index].tolist()
    start = int(photographs.starts[index])
    return photographs.pixels[start : start + height * width].view(height, width, 3).numpy()


def degraded(clean: Pixels, tasks: Sequence[Task], least: float, seed: int) -> Pixels:
    """Degrade a photograph by tasks, each with a severity uniform in [least, 1]; the same seed, the same damage."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None].float() / 255
    damaged = damage(picture, tasks, uniform(least, 1, (len(tasks), 1), generator), generator)[0]
    return (damaged.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def sights(
    eye: Eye, photographs: Photographs, truths: Iterable[tuple[str, ...]], least: float, seed: int
) -> Iterator[Sight]:
    """Judge every photograph with every damage that it can show; `Photographs.suitable` says which those are."""
    for number, truth in enumerate(truths):
        tasks = [find_task(name) for name in truth if name != "clean"]
        suited = [set(photographs.suitable(task).tolist()) for task in tasks]
        for index in range(len(photographs.sides)):
            if all(index in some for some in suited):
                pixels = whole(photographs, index)
                if tasks:
                    pixels = degraded(pixels, tasks, least, seed + 1000 * index + number)
                yield Sight(truth, judged(eye, pixels))


def singles(eye: Eye) -> list[tuple[str, ...]]:
    """Return the truths with one name each that an eye can tell apart."""
    return [(name,) for name in eye.names]


def confusion(seen: Iterable[Sight]) -> dict[str, Counter[str]]:
    """Count the answers for each truth, in the order in which they come."""
    table: dict[str, Counter[str]] = {}
    for sight in seen:
        table.setdefault("+".join(sight.truth), Counter())[sight.answer] += 1
    return table


@dataclass(frozen=True)
class MixtureScore:
    """Mean gains in dB over the damaged picture, RGB."""

    names: tuple[str, ...]
    pictures: int
    best: float
    """The best of the known ways: either task alone, or both in either order; chosen for the mean."""
    way: str
    """Which one that is."""
    auto: float
    """What --task auto chooses for each picture."""


def mixture_scores(
    eye: Eye, photographs: Photographs, restore: Restore, least: float, seed: int
) -> Iterator[MixtureScore]:
    """Measure each of MIXTURES."""
    for number, names in enumerate(MIXTURES):
        tasks = [find_task(name) for name in names]
        gains: dict[str, list[float]] = {}
        suited = set.intersection(*(set(photographs.suitable(task).tolist()) for task in tasks))
        for index in sorted(suited):
            clean = whole(photographs, index)
            lq = degraded(clean, tasks, least, seed + 1000 * index + number)
            known = [(name,) for name in names] + list(permutations(names))
            results = {"+".join(way): _in_turn(restore, lq, way) for way in known}
            chosen = judged(eye, lq).tasks
            way = "+".join(chosen)
            results["auto"] = results[way] if way in results else _in_turn(restore, lq, chosen)
            before = psnr(lq, clean)
            for way, result in results.items():
                gains.setdefault(way, []).append(psnr(result, clean) - before)
        means = {way: float(np.mean(values)) for way, values in gains.items()}
        auto = means.pop("auto")
        way = max(means, key=means.__getitem__)
        yield MixtureScore(names, len(gains["auto"]), means[way], way, auto)


def _in_turn(restore: Restore, pixels: Pixels, names: Sequence[str]) -> Pixels:
    for name in names:
        pixels = restore(pixels, name)
    return pixels


def order_of(answers: Iterable[str]) -> list[str]:
    """Sort answers as the catalogue does: tasks, clean, unsure."""
    given = set(answers)
    return [name for name in (*(task.name for task in TASKS), "clean", UNSURE) if name in given]
