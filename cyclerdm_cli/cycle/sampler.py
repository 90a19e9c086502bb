"""Samplers: how a stage goes from its start to its end."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def restoring_steps(
    estimate: Tensor, predict_clean: Callable[[Tensor, float], Tensor], steps: int
) -> Tensor:
    """Walk from the degraded picture to the clean one (InDI: Delbracio and Milanfar, TMLR 2023, algorithm 2).

    At time t the estimate is taken as (1 - t) x0 + t y; each step predicts x0 and goes on to t - dt. A single step
    returns the prediction itself.

    Args:
        estimate: (B, C, H, W) where the walk starts, time 1.
        predict_clean: (estimate, time in (0, 1]) -> predicted clean picture.
        steps: evaluations, 1 or more.
    """
    dt = 1 / steps
    for step in range(steps, 0, -1):
        t = step * dt
        x0 = predict_clean(estimate, t)
        estimate = x0 if step == 1 else (dt / t) * x0 + (1 - dt / t) * estimate
    return estimate
