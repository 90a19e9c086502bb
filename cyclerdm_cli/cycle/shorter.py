"""The cycle cut short: what the later stages would change stays as the earlier ones left it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cyclerdm_cli.cycle.cycle import STAGES, Stages
from cyclerdm_cli.cycle.wavelet import Wavelet


@dataclass(frozen=True)
class FirstStages:
    """The first one or two of a network's stages; the others are the identity. Follows `Stages`."""

    stages: Stages
    count: int

    @property
    def wavelet(self) -> Wavelet:
        """Return the network's own."""
        return self.stages.wavelet

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run a stage, or leave the estimate as it is; see `Stages`."""
        return self.stages.restore(stage, estimate, degraded) if stage <= self.count else estimate

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Leave the high bands as they are: the module belongs to stage 3."""
        return high


def first(stages: Stages, count: int) -> Stages:
    """Return the first `count` of the three stages."""
    return stages if count >= STAGES else FirstStages(stages, count)
