"""Orthogonal wavelets as torch operations: one level, any size, any device, any precision.

Filters come from PyWavelets by name. The picture is taken as periodic, so that there are as many coefficients
as pixels and the inverse is exact; an odd side is first lengthened by repeating its last row or column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pywt
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.errors import UsageError


@dataclass(frozen=True)
class Wavelet:
    """The two analysis filters of an orthogonal wavelet; synthesis is their transpose.

    Both are divided by `scale`, their largest value: Haar's become sums and differences, fast and exact.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    scale: float

    @staticmethod
    @lru_cache
    def named(name: str) -> Wavelet:
        """Return a wavelet by its PyWavelets name.

        Raises:
            UsageError: unknown, or not orthogonal.
        """
        if name not in pywt.wavelist(kind="discrete"):
            raise UsageError(
                f"unknown wavelet {name!r}", hint="an orthogonal one of PyWavelets: haar, db2, sym4, coif1"
            )
        wavelet = pywt.Wavelet(name)
        if not wavelet.orthogonal:
            raise UsageError(f"wavelet {name!r} is not orthogonal", hint="haar, db2, sym4, coif1 are")
        # The paper takes differences forwards (right minus left), PyWavelets backwards.
        scale = max(wavelet.dec_lo, key=abs)
        low = tuple(value / scale for value in wavelet.dec_lo)
        high = tuple(-value / scale for value in wavelet.dec_hi)
        return Wavelet(low, high, scale)

    def split(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Split into the low-frequency band and three high ones.

        Args:
            picture: (B, C, H, W), any size from 1x1.

        Returns:
            low: (B, C, h, w), h and w half of H and W, rounded up; a picture in [0, 1] gives about [0, 2].
            high: (3, B, C, h, w): differences along rows, along columns, and both. For Haar and a block
                a b / c d: (-a+b-c+d)/2, (-a-b+c+d)/2, (a-b-c+d)/2 (the paper's order and signs).
        """
        picture = _evened(picture)
        low_rows, high_rows = self._analyse(picture, 2)
        low, across = self._analyse(low_rows, 3)
        down, both = self._analyse(high_rows, 3)
        # In place, on tensors that were made here: a copy would cost as much as the arithmetic.
        return low.mul_(self.scale**2), torch.stack([across, down, both]).mul_(self.scale**2)

    def join(self, low: Tensor, high: Tensor, size: tuple[int, int]) -> Tensor:
        """Invert `split`: (B, C, h, w) and (3, B, C, h, w) give (B, C, *size)."""
        across, down, both = high
        low_rows = self._synthesise(low, across, 3)
        high_rows = self._synthesise(down, both, 3)
        picture = self._synthesise(low_rows, high_rows, 2).mul_(self.scale**2)
        return picture[..., : size[0], : size[1]]

    def _analyse(self, signal: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Filter along a dimension of even length and keep every second value, without the scale."""
        phases = torch.unflatten(signal, dim, (-1, 2)).unbind(dim + 1)
        taps = [_rolled(phases[phase], -shift, dim) for phase, shift in self._places]
        return _weighted(taps, self.low), _weighted(taps, self.high)

    def _synthesise(self, low: Tensor, high: Tensor, dim: int) -> Tensor:
        """Apply the transpose of `_analyse`, without the scale."""
        phases = []
        for wanted in (0, 1):
            chosen = [tap for tap, (phase, _) in enumerate(self._places) if phase == wanted]
            parts = [_rolled(band, self._places[tap][1], dim) for tap in chosen for band in (low, high)]
            phases.append(
                _weighted(parts, [weights[tap] for tap in chosen for weights in (self.low, self.high)])
            )
        return torch.stack(phases, dim + 1).flatten(dim, dim + 1)

    @property
    def _places(self) -> list[tuple[int, int]]:
        """For each tap, which of the two phases it reads and how far ahead: PyWavelets' periodization."""
        half = len(self.low) // 2
        return [((half - tap) % 2, (half - tap) // 2) for tap in range(len(self.low))]


def _evened(picture: Tensor) -> Tensor:
    height, width = picture.shape[2:]
    if height % 2 or width % 2:
        return F.pad(picture, (0, width % 2, 0, height % 2), mode="replicate")
    return picture


def _rolled(signal: Tensor, shift: int, dim: int) -> Tensor:
    return signal.roll(shift, dim) if shift else signal


def _weighted(parts: list[Tensor], weights: list[float] | tuple[float, ...]) -> Tensor:
    total = parts[0] if weights[0] == 1 else parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = torch.add(total, part, alpha=weight)
    return total
