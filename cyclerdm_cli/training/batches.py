"""Batches: photographs cut and degraded on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.cycle.deconvolution import SETTINGS, frame_kernel, sharp_kernel
from cyclerdm_cli.cycle.filling import fill
from cyclerdm_cli.errors import DataError
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.tasks.degradation import degradation_of
from cyclerdm_cli.tasks.draw import smooth_field, uniform
from cyclerdm_cli.training.configuration import Phase, TrainingConfig
from cyclerdm_cli.training.photographs import Pairs, Photographs


class Batch(NamedTuple):
    """What one training step sees: scenes, and patches of them."""

    clean: Tensor
    """(B, 3, P, P) in [0, 1]."""
    degraded: Tensor
    """(B, 3, P, P) in [0, 1]; holes are filled."""
    mask: Tensor
    """(B, 1, P, P), 1 where the picture was missing."""
    place: Place
    """Of the patches in their scenes."""
    scene: Tensor
    """(S, 3, side, side) in [0, 1]: the whole degraded scenes; S divides B."""
    clean_scene: Tensor
    """The same before they were degraded."""
    kernel: Tensor
    """(S, kernel_side, kernel_side): what blurred the scenes, all 0 where it was not one kernel; see `Degraded`."""

    def for_patches(self, of_scenes: Tensor) -> Tensor:
        """Repeat what is known of scenes, (S, ...), for each of their patches: (B, ...)."""
        return of_scenes.repeat(len(self.clean) // len(self.scene), *(1,) * (of_scenes.ndim - 1))


class Scenes(NamedTuple):
    """Scenes before patches are cut from them; see `Batch`."""

    clean: Tensor
    degraded: Tensor
    mask: Tensor
    kernel: Tensor


@dataclass(frozen=True)
class BatchSource:
    """Draws batches: the same iteration gives the same batch, so that training resumes exactly.

    Each batch is drawn from a generator of its own, seeded by its number. Several processes take different numbers.
    """

    task: Task
    config: TrainingConfig
    photographs: Photographs | None = None
    """Clean ones, where the task has a degradation."""
    pairs: tuple[Pairs, ...] = ()
    """Folders of pairs."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    """Which of `world` processes this one is."""
    world: int = 1

    def draw(self, iteration: int, phase: Phase) -> Batch:
        """Cut, degrade and cut again: one batch of scenes * patches_per_scene patches."""
        number = iteration * self.world + self.rank
        generator = torch.Generator(self.device).manual_seed(self.config.seed * 1_000_003 + number)
        scenes = self._draw_scenes(phase, generator)
        most = phase.scene - phase.patch + 1
        count = phase.scenes * phase.patches_per_scene
        corners = torch.randint(most, (count, 2), generator=generator, device=self.device)

        def cut(planes: Tensor) -> Tensor:
            squares = [
                planes[number % phase.scenes, :, top : top + phase.patch, left : left + phase.patch]
                for number, (top, left) in enumerate(corners.tolist())
            ]
            return torch.stack(squares)

        return Batch(
            cut(scenes.clean), cut(scenes.degraded), cut(scenes.mask),
            Place(corners.float(), (phase.scene, phase.scene)),
            scenes.degraded, scenes.clean, scenes.kernel,
        )  # fmt: skip

    def _draw_scenes(self, phase: Phase, generator: torch.Generator) -> Scenes:
        chance = float(torch.rand(1, generator=generator, device=self.device))
        if self.pairs and (
            self.photographs is None or not self.task.degrades or chance < self.config.pair_share
        ):
            pick = torch.randint(len(self.pairs), (1,), generator=generator, device=self.device)
            degraded, clean = self.pairs[int(pick)].cut(phase.scenes, phase.scene, generator)
            return Scenes(clean, degraded, torch.zeros_like(clean[:, :1]), self._no_kernels(phase.scenes))
        if self.photographs is None:
            raise DataError(
                f"no photographs to degrade for {self.task.name}", hint="--data takes clean ones too"
            )
        suitable = self.photographs.suitable(self.task)
        picks = torch.randint(len(suitable), (phase.scenes,), generator=generator, device=self.device).cpu()
        clean = self.photographs.cut(suitable[picks], phase.scene, generator)
        smooth = self._happens(self.config.smooth_share, phase.scenes, generator)
        if bool(smooth.any()):
            clean = torch.where(smooth, draw_gradients(phase.scenes, phase.scene, generator), clean)
        return self._degrade(clean, generator)

    def _degrade(self, clean: Tensor, generator: torch.Generator) -> Scenes:
        """Damage clean scenes; a share of them is spared."""
        count = len(clean)
        severity = uniform(0, 1, (count,), generator)
        damaged = degradation_of(self.task)(clean, severity, generator)
        clean = clean if damaged.wanted is None else damaged.wanted
        degraded = damaged.lq
        mask = torch.zeros_like(clean[:, :1]) if damaged.mask is None else damaged.mask
        kernel = self._no_kernels(count) if damaged.kernel is None else frame_kernel(damaged.kernel)
        if self.task.masked:  # what is not missing is never changed, so nothing is learned of clean scenes
            return Scenes(clean, fill(degraded, mask), mask, kernel)
        spared = self._happens(self.config.clean_share, count, generator)
        kernel = torch.where(spared[:, 0], sharp_kernel(1, self.device), kernel)
        return Scenes(clean, torch.where(spared, clean, degraded), mask, kernel)

    def _happens(self, share: float, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand((count, 1, 1, 1), generator=generator, device=self.device) < share

    def _no_kernels(self, count: int) -> Tensor:
        return torch.zeros((count, SETTINGS.kernel_side, SETTINGS.kernel_side), device=self.device)


def draw_gradients(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Draw smooth colour gradients, as skies are: (count, 3, side, side) in [0, 1]."""
    device = generator.device
    rows = torch.linspace(0, 1, side, device=device).view(1, 1, -1, 1)
    columns = torch.linspace(0, 1, side, device=device).view(1, 1, 1, -1)
    first = uniform(0, 1, (count, 3, 1, 1), generator)
    down, across = (uniform(-reach, reach, (count, 3, 1, 1), generator) for reach in (0.5, 0.3))
    bend = uniform(0, 0.2, (count, 1, 1, 1), generator) * smooth_field(count, side, side, 2, generator)
    return (first + down * rows + across * columns + bend).clamp(0, 1)
