"""Samplers: how a stage goes from its start to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from operator import mul

from torch import Tensor

from cyclerdm_cli.errors import UsageError


@dataclass(frozen=True)
class NoiseSchedule:
    """How much noise a picture holds at each time (DDPM: Ho et al., NeurIPS 2020); beta grows linearly."""

    times: int = 200
    """T, the number of noise levels."""
    first_beta: float = 1e-4
    """Variance added at time 0."""
    last_beta: float = 0.02
    """Variance added at time T - 1."""

    def alpha_bar(self) -> list[float]:
        """Return the share of the picture's variance that is left at times 0, ..., T-1."""
        rise = (self.last_beta - self.first_beta) / max(self.times - 1, 1)
        return list(accumulate((1 - (self.first_beta + rise * t) for t in range(self.times)), mul))


def ddim(
    predict_noise: Callable[[Tensor, int], Tensor], x: Tensor, schedule: NoiseSchedule, steps: int
) -> Tensor:
    """Walk from noise to a picture (DDIM with eta 0: Song et al., ICLR 2021, equation 12).

    Nothing is drawn and nothing is clipped on the way.

    Args:
        predict_noise: (x, time in 0, ..., T-1) -> the noise in x.
        x: (B, C, H, W) standard normal noise.
        schedule: that the noise predictor was trained with.
        steps: evaluations, 1 to T, evenly spread over the times; the last one is at time 0.

    Raises:
        UsageError: more steps than the schedule has times, or none.
    """
    if not 1 <= steps <= schedule.times:
        raise UsageError(f"{steps} steps a stage do not fit this network", hint=f"1 to {schedule.times}")
    times = [k * schedule.times // steps for k in range(steps)]
    alpha_bar = schedule.alpha_bar()
    for k in reversed(range(steps)):
        now, after = alpha_bar[times[k]], alpha_bar[times[k - 1]] if k > 0 else 1.0
        noise = predict_noise(x, times[k])
        x0 = (x - sqrt(1 - now) * noise) / sqrt(now)
        x = sqrt(after) * x0 + sqrt(1 - after) * noise
    return x
