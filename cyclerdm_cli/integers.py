"""Convolutions in 8-bit integers on processors, by oneDNN: four times as fast as in float32 where there are
instructions for them (VNNI, AMX).

Weights are rounded to 255 steps, or 127, for each output channel; what is convolved, to 256 steps of a range that
is known beforehand (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018). Sums are exact, so a result does not depend on how the work is cut
up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

STEPS = 255
"""Steps in a range of 8 bits."""
WEIGHT_STEPS = (127, 63)
"""Steps of a weight on either side of 0, the best first: without VNNI, sums of two products of 127 overflow."""


@dataclass(frozen=True)
class Codes:
    """How real numbers are written as 8-bit integers: real = step * (code - zero)."""

    step: float
    zero: int

    @staticmethod
    def of(low: float, high: float) -> Codes:
        """Return the codes for a range of real numbers, which takes in 0; what lies outside is cut off."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = max(high - low, 1e-6) / STEPS
        return Codes(step, round(-low / step))

    def encode(self, real: Tensor) -> Tensor:
        """Round real numbers to codes, uint8."""
        return (real / self.step).add_(self.zero + 0.5).clamp_(0, STEPS + 0.5).to(torch.uint8)


class IntegerConvolution:
    """A convolution whose input is codes, and whose output is codes or, scaled, real numbers."""

    def __init__(
        self,
        convolution: nn.Conv2d,
        given: Codes,
        made: Codes | None = None,
        scale: float = 1.0,
        weight_steps: int | None = None,
    ) -> None:
        """Pack a convolution.

        Args:
            convolution: with its weights in floating point; it stays as it is.
            given: codes of the input.
            made: codes of the output, which is rectified; None: the output is real.
            scale: that a real output is multiplied by.
            weight_steps: of a weight on either side of 0; None: as many as are exact here.
        """
        weight_steps = weight_steps or exact_steps() or WEIGHT_STEPS[-1]
        weight = convolution.weight.detach().float()
        steps = weight.abs().amax((1, 2, 3)).clamp_min(1e-12) / weight_steps
        rounded = (weight / steps.view(-1, 1, 1, 1)).round().to(torch.int8)
        assert convolution.bias is not None
        self._stride, self._padding = list(convolution.stride), list(map(int, convolution.padding))
        self._given, self._made = given, made
        self._steps, self._zeros = steps * scale, torch.zeros(len(steps), dtype=torch.int8)
        self._bias = convolution.bias.detach().float() * scale
        self._weight = torch.ops.onednn.qconv_prepack(
            rounded, self._steps, given.step, given.zero, self._stride, self._padding, [1, 1], 1, None
        )

    def __call__(self, codes: Tensor) -> Tensor:
        """Convolve (B, C, H, W) uint8 codes."""
        made, kind = self._made, "none"
        step, zero, dtype = 1.0, 0, torch.float32
        if made is not None:
            step, zero, dtype, kind = made.step, made.zero, torch.uint8, "relu"
        found: Tensor = torch.ops.onednn.qconv2d_pointwise.default(
            codes, self._given.step, self._given.zero, self._weight, self._steps, self._zeros, self._bias,
            self._stride, self._padding, [1, 1], 1, step, zero, dtype, kind, [], "",
        )  # fmt: skip
        return found

    def add_to(self, codes: Tensor, sum_: Tensor) -> Tensor:
        """Convolve (B, C, H, W) uint8 codes and add the real output to a sum, which is overwritten."""
        found: Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            codes, self._given.step, self._given.zero, self._weight, self._steps, self._zeros, sum_, self._bias,
            self._stride, self._padding, [1, 1], 1, 1.0, 0, torch.float32, 1.0, 0, "sum", 1.0, "none", [], "",
        )  # fmt: skip
        return found


@cache
def exact_steps() -> int | None:
    """Return the most of WEIGHT_STEPS with which integers are convolved exactly here; None: not with any."""
    return next((steps for steps in WEIGHT_STEPS if _is_exact(steps)), None)


def _is_exact(weight_steps: int) -> bool:
    """Compare the largest sums that there can be with those of float32."""
    try:
        with torch.inference_mode():
            convolution = nn.Conv2d(32, 16, 3, padding=1)
            assert convolution.bias is not None
            convolution.weight[:] = 1
            convolution.weight[::2] = -1
            convolution.bias[:] = 0
            given = Codes.of(-0.25, 0.75)
            codes = torch.full((1, 32, 8, 8), STEPS, dtype=torch.uint8)
            codes[..., ::3] = 0
            codes = codes.contiguous(memory_format=torch.channels_last)
            expected = convolution((codes.float() - given.zero) * given.step)
            found = IntegerConvolution(convolution, given, weight_steps=weight_steps)(codes)
            return bool(torch.allclose(found, expected, rtol=1e-4, atol=1e-3))
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
