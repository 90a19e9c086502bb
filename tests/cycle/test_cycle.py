"""The three stages: what each is given, and what comes out."""

from __future__ import annotations

import pytest
import torch

from cyclerdm_cli.cycle.cycle import Place, Stages, cycle
from cyclerdm_cli.cycle.padding import padded
from cyclerdm_cli.cycle.shorter import keep_first
from cyclerdm_cli.cycle.wavelet import Wavelet


class NotingStages(Stages):
    """Stages that change nothing, or add a constant in one place, and note what they were given."""

    wavelet = Wavelet.named("haar")

    def __init__(self, added: dict[int, float] | None = None, multiple: int = 1, gain: float = 1.0) -> None:
        self.added = added or {}
        self.multiple = multiple
        self.kept = gain
        self.given: list[tuple[int, torch.Tensor, torch.Tensor]] = []

    def restore(self, stage: int, estimate: torch.Tensor, degraded: torch.Tensor) -> torch.Tensor:
        self.given.append((stage, estimate, degraded))
        start = padded(estimate, self.multiple) if stage == 1 else estimate
        return start + self.added.get(stage, 0.0)

    def calibrate(
        self, low: torch.Tensor, high: torch.Tensor, degraded_low: torch.Tensor, degraded_high: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.given.append((3, low, degraded_low))
        self.high_given = high, degraded_high
        return low + self.added.get(3, 0.0), self.kept * high


def picture_of(height: int, width: int) -> torch.Tensor:
    return torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("multiple", [1, 32])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 40), (64, 32)])
def test_stages_that_change_nothing_return_the_picture(size: tuple[int, int], multiple: int) -> None:
    degraded = picture_of(*size)
    result = cycle(NotingStages(multiple=multiple), degraded)
    torch.testing.assert_close(result.restored, degraded, atol=1e-6, rtol=0)


def test_each_stage_is_given_what_the_one_before_left_and_the_degraded_picture() -> None:
    degraded = picture_of(8, 6)
    stages = NotingStages({1: 0.25, 2: 0.5})
    cycle(stages, degraded)
    first, second, third = stages.given
    assert (first[0], second[0], third[0]) == (1, 2, 3)
    assert torch.equal(first[1], degraded)
    torch.testing.assert_close(second[1], degraded + 0.25)
    low, high = Wavelet.named("haar").split(degraded + 0.75)
    torch.testing.assert_close(third[1], low)
    torch.testing.assert_close(stages.high_given[0], high)
    assert torch.equal(first[2], degraded)
    assert torch.equal(second[2], degraded)
    degraded_low, degraded_high = Wavelet.named("haar").split(degraded)
    assert torch.equal(third[2], degraded_low)
    assert torch.equal(stages.high_given[1], degraded_high)


def test_the_third_stage_works_on_the_low_band_and_on_the_high_ones() -> None:
    degraded = picture_of(8, 6)
    brighter = cycle(NotingStages({3: 1.0}), degraded).restored
    torch.testing.assert_close(brighter, degraded + 0.5)
    flat = cycle(NotingStages(gain=0.0), degraded).restored
    blocks = torch.nn.functional.avg_pool2d(degraded, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(flat, blocks)


def test_the_result_holds_every_stage_for_training() -> None:
    degraded = picture_of(8, 6)
    result = cycle(NotingStages({1: 0.25, 2: 0.5, 3: 1.0}, gain=0.5), degraded)
    low, high = Wavelet.named("haar").split(degraded + 0.75)
    torch.testing.assert_close(result.rough, degraded + 0.25)
    torch.testing.assert_close(result.normal, degraded + 0.75)
    torch.testing.assert_close(result.calibrated_low, low + 1)
    torch.testing.assert_close(result.gained_high, high / 2)


@pytest.mark.parametrize("multiple", [1, 32])
def test_the_first_stages_leave_what_the_others_would_change(multiple: int) -> None:
    degraded = picture_of(17, 40)
    noted = NotingStages({1: 0.1, 2: 0.2, 3: 0.4}, multiple, gain=0.5)
    for count, added in ((1, 0.1), (2, 0.3)):
        torch.testing.assert_close(cycle(keep_first(noted, count), degraded).restored, degraded + added)
    torch.testing.assert_close(
        cycle(keep_first(noted, 3), degraded).restored, cycle(noted, degraded).restored
    )
    assert [stage for stage, *_ in noted.given] == [1, 1, 2, 1, 2, 3, 1, 2, 3]


def test_tiles_that_are_whole_pictures_begin_at_their_corner() -> None:
    place = Place.whole(picture_of(9, 6))
    assert place.corners.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert place.size == (9, 6)
