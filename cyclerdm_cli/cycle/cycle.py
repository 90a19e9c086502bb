"""CycleRDM: three diffusion stages, one after the other (Xue et al., arXiv 2412.14630, section 3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cyclerdm_cli.cycle.wavelet import Wavelet

STAGES = 3
"""Number of stages that the whole cycle has."""


class View:
    """Whole pictures of one batch, as a network looks at them before their tiles are restored.

    Each part is made when a network first asks for it: most need one of the two, or none.
    """

    def __init__(self, make_small: Callable[[], Tensor], cut_windows: Callable[[], Tensor]) -> None:
        self._make_small, self._cut_windows = make_small, cut_windows

    @cached_property
    def small(self) -> Tensor:
        """(B, 3, SMALL_SIDE, SMALL_SIDE) in [0, 1]: the pictures shrunk by area averaging, whatever their shape."""
        return self._make_small()

    @cached_property
    def windows(self) -> Tensor:
        """(B, n, 3, h, w) in [0, 1]: pieces at full size from all over the pictures, of at most WINDOW_SIDE."""
        return self._cut_windows()


SMALL_SIDE = 256
"""Side in pixels of a picture that was shrunk to be looked at as a whole."""
WINDOW_SIDE = 256
"""Largest side in pixels of the windows of a view."""


class Place(NamedTuple):
    """Where the tiles of a batch lie in their pictures."""

    corners: Tensor
    """(B, 2) float32: the top and left pixel of each tile."""
    size: tuple[int, int]
    """Height and width in pixels of the whole pictures."""

    @staticmethod
    def whole(pictures: Tensor) -> Place:
        """Return the place of tiles that are whole pictures, (B, C, H, W)."""
        corners = torch.zeros((len(pictures), 2), device=pictures.device)
        return Place(corners, (pictures.shape[2], pictures.shape[3]))


class Findings(ABC):
    """What a network found in whole pictures; each network has a type of its own."""

    @abstractmethod
    def to(self, device: torch.device) -> Findings:
        """Return the same on another device."""

    @abstractmethod
    def expand(self, batch: int) -> Findings:
        """Repeat the findings of the last picture until they are those of `batch` pictures."""

    @staticmethod
    @abstractmethod
    def join(parts: Sequence[Findings]) -> Findings:
        """Return the findings of several batches as those of one."""


@dataclass(frozen=True)
class NoFindings(Findings):
    """The findings of a network that does not look at whole pictures."""

    def to(self, device: torch.device) -> NoFindings:
        """Return itself."""
        return self

    def expand(self, batch: int) -> NoFindings:
        """Return itself."""
        return self

    @staticmethod
    def join(parts: Sequence[Findings]) -> NoFindings:
        """Return nothing found."""
        return NoFindings()


class Stages(ABC):
    """A network, its sampler and its wavelet, bound to one batch of tiles."""

    wavelet: Wavelet
    """What stage 3 splits the picture with."""

    @abstractmethod
    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run stage 1 (degraded to rough normal), 2 (rough normal to normal), or the diffusion of stage 3.

        Args:
            stage: 1, 2 or 3.
            estimate: (B, 3, H, W) what the stage before left; in stage 3 a low-frequency band, in [0, 2].
            degraded: (B, 3, H, W) the picture as given, in the same domain.

        Returns:
            (B, 3, H, W), or more rows and columns where stage 1 pads at the bottom and the right.
        """

    def in_integers(self) -> Stages:
        """Return the same stages, where they can be in 8-bit integers; for processors."""
        return self

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Remove the redundancy from the high bands, (3, B, 3, h, w)."""
        return high

    def calibrate(
        self, low: Tensor, high: Tensor, degraded_low: Tensor, degraded_high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run stage 3: calibrate the low-frequency band, and remove the redundancy from the high ones.

        Args:
            low, degraded_low: (B, 3, h, w) in [0, 2].
            high, degraded_high: (3, B, 3, h, w).

        Returns:
            Both bands, in the same shapes.
        """
        return self.restore(3, low, degraded_low), self.gain(high, degraded_high)


class Network(nn.Module, ABC):
    """What restoring needs of an architecture."""

    multiple: int
    """Sides of what the cycle is given must be multiples of this."""
    draws_noise: bool = False
    """Whether a tile's result depends on the generator, and so on the tiles before it."""
    tile: int
    """Side of the tiles, in pixels, that larger pictures are best cut into."""
    fills_holes: bool = False
    """Whether holes are filled before the cycle, so that it is given pictures without any."""
    sees_light: bool = False
    """Whether stage 1 looks at the whole picture for its light and colour."""
    deconvolves: bool = False
    """Whether stage 1 works on the spectra of tiles."""
    stages_by_default: int = STAGES
    """How many of the stages are worth their time with these weights."""
    most_steps: int
    """Most evaluations of stage 1 that the weights were trained for."""

    @abstractmethod
    def look(self, view: View, steps: int = 0) -> Findings:
        """Look at whole pictures before their tiles are restored.

        Args:
            view: of the pictures.
            steps: evaluations of stage 1, at most `most_steps`; 0 for the architecture's own number.
        """

    @abstractmethod
    def bind(
        self, findings: Findings, place: Place, mask: Tensor, steps: int, generator: torch.Generator
    ) -> Stages:
        """Return the stages for one batch of tiles.

        Args:
            findings: of each tile's picture, by `look`.
            place: of the tiles in their pictures.
            mask: (B, 1, H, W), 1 where the picture is missing.
            steps: as in `look`, for architectures whose stages run on tiles alone.
            generator: on the CPU, for architectures that start from noise.
        """


class CycleResult(NamedTuple):
    """What each stage left; all but `restored` keep the padding that stage 1 may have given the picture."""

    rough: Tensor
    """(B, 3, H, W) after stage 1."""
    normal: Tensor
    """(B, 3, H, W) after stage 2."""
    calibrated_low: Tensor
    """(B, 3, H/2, W/2) the low band of stage 3, in [0, 2]."""
    gained_high: Tensor
    """(3, B, 3, H/2, W/2) the high bands of stage 3."""
    restored: Tensor
    """(B, 3, H, W) after stage 3: the result, not clipped."""


def cycle(stages: Stages, degraded: Tensor) -> CycleResult:
    """Restore a batch of pictures, (B, 3, H, W) in [0, 1]."""
    # 1. Degraded to rough normal, in the pixel domain.
    rough = stages.restore(1, degraded, degraded)

    # 2. Rough normal to normal.
    normal = stages.restore(2, rough, degraded)

    # 3. Calibration in the wavelet domain: diffusion on the low band, feature gain on the high ones.
    low, high = stages.wavelet.split(normal)
    calibrated_low, gained_high = stages.calibrate(low, high, *stages.wavelet.split(degraded))
    height, width = degraded.shape[2:]
    restored = stages.wavelet.join(calibrated_low, gained_high, (height, width))
    return CycleResult(rough, normal, calibrated_low, gained_high, restored)
