"""Convolutions in 8-bit integers: what they compute is what float32 makes of the same rounded numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cyclerdm_cli.integers import STEPS, Codes, IntegerConvolution, exact_steps

needs_integers = pytest.mark.skipif(
    exact_steps() is None, reason="this processor, or this torch, convolves no integers exactly"
)


def test_codes_hold_zero_exactly_and_cut_off_what_is_beyond() -> None:
    codes = Codes.of(-1, 3)
    real = torch.tensor([0.0, -1, 3, -9, 9])
    back = (codes.encode(real).float() - codes.zero) * codes.step
    assert back[0] == 0
    assert torch.allclose(back[1:3], real[1:3], atol=codes.step)
    assert torch.allclose(back[3:], real[1:3], atol=codes.step)


def test_a_range_without_zero_takes_it_in() -> None:
    assert Codes.of(1, 2).zero == 0
    assert Codes.of(-2, -1).zero == STEPS
    assert Codes.of(0, 0).step > 0


def rounded(convolution: nn.Conv2d, steps: int) -> nn.Conv2d:
    """Round the weights of a convolution as its packing does."""
    step = convolution.weight.data.abs().amax((1, 2, 3), keepdim=True) / steps
    convolution.weight.data = (convolution.weight.data / step).round() * step
    return convolution


@needs_integers
@pytest.mark.parametrize("kernel", [(3, 1, 1), (2, 2, 0), (1, 1, 0)])
@torch.inference_mode()
def test_real_outputs_are_those_of_the_rounded_numbers_to_the_border(kernel: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    size, stride, padding = kernel
    convolution = rounded(nn.Conv2d(24, 16, size, stride, padding), exact_steps() or 0)
    given = Codes.of(-0.7, 1.9)
    codes = given.encode(torch.randn(2, 24, 12, 10)).contiguous(memory_format=torch.channels_last)
    real = (codes.float() - given.zero) * given.step
    found = IntegerConvolution(convolution, given, scale=3.0)(codes)
    assert torch.allclose(found, 3 * convolution(real), atol=1e-4)


@needs_integers
@torch.inference_mode()
def test_rectified_outputs_are_codes_and_sums_are_added_to() -> None:
    torch.manual_seed(0)
    convolution = rounded(nn.Conv2d(8, 8, 3, padding=1), exact_steps() or 0)
    given, made = Codes.of(-1, 1), Codes.of(0, 0.5)
    codes = given.encode(torch.randn(1, 8, 9, 9)).contiguous(memory_format=torch.channels_last)
    real = convolution((codes.float() - given.zero) * given.step)
    found = IntegerConvolution(convolution, given, made)(codes)
    assert found.dtype == torch.uint8
    assert torch.allclose(found.float() * made.step, real.clamp(0, 0.5), atol=0.51 * made.step)
    before = torch.randn_like(real).contiguous(memory_format=torch.channels_last)
    summed = IntegerConvolution(convolution, given).add_to(
        codes, before.clone(memory_format=torch.preserve_format)
    )
    assert torch.allclose(summed, before + real, atol=1e-4)
