"""The samplers against what can be worked out by hand."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch

from cyclerdm_cli.cycle.sampler import NoiseSchedule, ddim
from cyclerdm_cli.errors import UsageError

SCHEDULE = NoiseSchedule()


def drawn(seed: int) -> torch.Tensor:
    return torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(seed))


def test_the_authors_noise_schedule() -> None:
    expected = np.cumprod(1 - np.linspace(1e-4, 0.02, 200))
    assert SCHEDULE.alpha_bar() == pytest.approx(expected.tolist(), rel=1e-12)


def test_ddim_visits_the_authors_times() -> None:
    visited = []

    def predict_noise(x: torch.Tensor, time: int) -> torch.Tensor:
        visited.append(time)
        return x

    ddim(predict_noise, drawn(0), SCHEDULE, 10)
    assert visited == [180, 160, 140, 120, 100, 80, 60, 40, 20, 0]


@pytest.mark.parametrize("steps", [1, 7, 10, 200])
def test_ddim_finds_the_picture_when_the_noise_is_known(steps: int) -> None:
    clean, alpha_bar = drawn(1), SCHEDULE.alpha_bar()

    def true_noise(x: torch.Tensor, time: int) -> torch.Tensor:
        return (x - sqrt(alpha_bar[time]) * clean) / sqrt(1 - alpha_bar[time])

    torch.testing.assert_close(ddim(true_noise, drawn(2), SCHEDULE, steps), clean, atol=1e-4, rtol=0)


def test_ddim_keeps_a_noisy_picture_on_the_line_between_picture_and_noise() -> None:
    clean, noise, alpha_bar = drawn(3), drawn(4), SCHEDULE.alpha_bar()
    start = sqrt(alpha_bar[180]) * clean + sqrt(1 - alpha_bar[180]) * noise

    def predict_noise(x: torch.Tensor, time: int) -> torch.Tensor:
        expected = sqrt(alpha_bar[time]) * clean + sqrt(1 - alpha_bar[time]) * noise
        torch.testing.assert_close(x, expected, atol=1e-5, rtol=0)
        return noise

    torch.testing.assert_close(ddim(predict_noise, start, SCHEDULE, 10), clean, atol=1e-5, rtol=0)


def test_ddim_without_noise_found_only_rescales() -> None:
    start = drawn(5)
    result = ddim(lambda x, time: torch.zeros_like(x), start, SCHEDULE, 10)
    torch.testing.assert_close(result, start / sqrt(SCHEDULE.alpha_bar()[180]))


@pytest.mark.parametrize("steps", [-1, 0, 201])
def test_ddim_refuses_steps_that_the_schedule_does_not_have(steps: int) -> None:
    with pytest.raises(UsageError, match=f"{steps} steps.*1 to 200"):
        ddim(lambda x, time: x, drawn(0), SCHEDULE, steps)
