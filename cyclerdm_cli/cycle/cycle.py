"""CycleRDM: three diffusion stages, one after the other (Xue et al., arXiv 2412.14630, section 3)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from cyclerdm_cli.cycle.wavelet import Wavelet

STAGES = 3
"""Of the whole cycle."""
THUMBNAIL = 32
"""Side of the thumbnail that stands for a whole picture."""
WINDOW = 256
"""Side at most of the windows through which whole pictures are looked at, in pixels."""


class Stages(Protocol):
    """A network, its sampler and its wavelet, bound to one batch of pictures."""

    @property
    def wavelet(self) -> Wavelet:
        """What stage 3 splits the picture with."""
        ...

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run diffusion stage 1, 2 or 3 from its start to its end.

        Args:
            stage: 1 degraded to rough normal, 2 rough normal to normal, 3 calibration of the low band.
            estimate: (B, 3, H, W) what the stage before left; in stage 3 a low-frequency band, in [0, 2].
            degraded: (B, 3, H, W) the picture as given, in the same domain.

        Returns:
            (B, 3, H, W), or more rows and columns where stage 1 pads at the bottom and the right.
        """
        ...

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Remove the redundancy from the high bands: (3, B, 3, h, w) to the same shape."""
        ...


class Whole(NamedTuple):
    """What is known of the whole pictures that tiles are from."""

    thumbnail: Tensor
    """(B, 3, THUMBNAIL, THUMBNAIL) in [0, 1]."""
    findings: Tensor
    """(B, N) what the network itself found in them, in numbers of its own; N may be 0."""


class Network(Protocol):
    """What restoring needs of an architecture."""

    multiple: int
    """Sides of what the cycle is given must be multiples of this."""
    draws_noise: bool
    """Whether a tile's result depends on the generator, and so on the tiles before it."""
    tile: int
    """Side of the tiles, in pixels, that larger pictures are best cut into."""

    def look(self, task: str, thumbnail: Tensor, windows: Tensor) -> Whole:
        """Look at whole pictures before their tiles are restored.

        Args:
            task: name of the damage to undo.
            thumbnail: (B, 3, THUMBNAIL, THUMBNAIL) in [0, 1] of the whole pictures.
            windows: (B, n, 3, h, w) in [0, 1] from all over the pictures, h and w at most WINDOW.
        """
        ...

    def bind(self, task: str, whole: Whole, mask: Tensor, steps: int, generator: torch.Generator) -> Stages:
        """Return the stages for one batch of tiles of a picture.

        Args:
            task: name of the damage to undo.
            whole: of each tile's picture, by `look`.
            mask: (B, 1, H, W), 1 where the picture is missing.
            steps: evaluations a stage; 0 for the architecture's own number.
            generator: on the CPU, for architectures that start from noise.

        Raises:
            WeightsError: the weights were not trained for the task.
        """
        ...


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
    degraded_low, degraded_high = stages.wavelet.split(degraded)
    calibrated_low = stages.restore(3, low, degraded_low)
    gained_high = stages.gain(high, degraded_high)
    height, width = degraded.shape[2:]
    restored = stages.wavelet.join(calibrated_low, gained_high, (height, width))
    return CycleResult(rough, normal, calibrated_low, gained_high, restored)
