"""What is known of the blur of pictures, and the kernels of known shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.cycle.deconvolution.settings import SETTINGS


class Blur(NamedTuple):
    """What is known of the blur of B pictures."""

    kernel: Tensor
    """(B, side, side), each of sum 1: where the light of one point went, about its own centre of mass."""
    caution: Tensor
    """(B, 2): half the natural logarithms of the Wiener filter's noise, growing with the frequency and even."""
    trust: Tensor
    """(B, 1) in [0, 1]: how much of what deconvolution changes is kept."""

    def to(self, device: torch.device) -> Blur:
        """Return the same on a device."""
        return Blur(self.kernel.to(device), self.caution.to(device), self.trust.to(device))

    def expand(self, batch: int) -> Blur:
        """Return the blur of one picture, B = 1, as that of `batch` pictures, which share its memory."""
        kernel = self.kernel.expand(batch, -1, -1)
        return Blur(kernel, self.caution.expand(batch, -1), self.trust.expand(batch, -1))

    @classmethod
    def cat(cls, blurs: Sequence[Blur]) -> Blur:
        """Return the blurs of several batches as those of one."""
        kernels, cautions, trusts = zip(*blurs, strict=True)
        return cls(torch.cat(kernels), torch.cat(cautions), torch.cat(trusts))


def sharp_kernel(batch: int, device: torch.device) -> Tensor:
    """Return the kernels of no blur at all, (B, kernel_side, kernel_side)."""
    side = SETTINGS.kernel_side
    kernel = torch.zeros((batch, side, side), device=device)
    kernel[:, side // 2, side // 2] = 1
    return kernel


def frame_kernel(kernel: Tensor) -> Tensor:
    """Pad kernels, (B, k, k), k odd and at most kernel_side, to (B, kernel_side, kernel_side)."""
    return F.pad(kernel, ((SETTINGS.kernel_side - kernel.shape[-1]) // 2,) * 4)
