"""CycleRDM: three diffusion stages, one after the other (Xue et al., arXiv 2412.14630, section 3)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from cyclerdm_cli.cycle.wavelet import Wavelet


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
        """
        ...

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Remove the redundancy from the high bands: (3, B, 3, h, w) to the same shape."""
        ...


class CycleResult(NamedTuple):
    """What each stage left."""

    rough: Tensor
    """(B, 3, H, W) after stage 1."""
    normal: Tensor
    """(B, 3, H, W) after stage 2."""
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
    return CycleResult(rough, normal, restored)
