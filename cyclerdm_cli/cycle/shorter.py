"""The cycle cut short: what the later stages would change stays as the earlier ones left it."""

from __future__ import annotations

from torch import Tensor

from cyclerdm_cli.cycle.cycle import STAGES, Stages


class FirstStages(Stages):
    """The first one or two of a network's stages; the others are the identity."""

    def __init__(self, stages: Stages, count: int) -> None:
        self.stages, self.count, self.wavelet = stages, count, stages.wavelet

    def in_integers(self) -> Stages:
        """Have the stages in integers; see `Stages`."""
        self.stages = self.stages.in_integers()
        return self

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run a stage, or leave the estimate as it is; see `Stages`."""
        return self.stages.restore(stage, estimate, degraded) if stage <= self.count else estimate

    def calibrate(
        self, low: Tensor, high: Tensor, degraded_low: Tensor, degraded_high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Leave the bands as they are."""
        return low, high


def keep_first(stages: Stages, count: int) -> Stages:
    """Return the first `count` of the three stages."""
    return stages if count >= STAGES else FirstStages(stages, count)
