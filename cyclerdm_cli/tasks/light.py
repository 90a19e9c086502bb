"""Between encoded values and light, and what a photograph's light and colours should be like."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.luma import LUMA

GOOD_LUMA = 0.47
"""Mean luma of a photograph that is well exposed, sRGB-encoded."""
ADJUSTED = 0.6
"""Share of the way to it that a photograph is taken: a night stays darker than a beach."""
CLIPPED = 0.01
"""Share of all values that becomes black, and as many white, where tones fill their range."""
STEPS = 3
"""Times that the exposure is measured and corrected."""


def to_linear(encoded: Tensor) -> Tensor:
    """Decode sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Tensor) -> Tensor:
    """Encode linear light as sRGB (IEC 61966-2-1); the inverse of `to_linear`, clipped to [0, 1]."""
    linear = linear.clamp(0, 1)
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055
    )


def expose_well(picture: Tensor, by_gain: Tensor) -> Tensor:
    """Bring the mean luma of each picture, (B, 3, H, W) in [0, 1], towards that of a good exposure.

    Args:
        by_gain: (B, 1, 1, 1) bool: by more or less light, which clips what is white, or by a power curve.
    """
    before = mean_luma(picture)
    wanted = before + ADJUSTED * (GOOD_LUMA - before)
    for _ in range(STEPS):
        now = mean_luma(picture)
        brighter = to_srgb(to_linear(picture) * to_linear(wanted) / to_linear(now))
        curved = picture.clamp_min(1e-4) ** (wanted.log() / now.log()).clamp(0.5, 2)
        picture = torch.where(by_gain, brighter, curved)
    return picture


def fill_range(picture: Tensor, share: Tensor) -> Tensor:
    """Stretch the tones of each picture, (B, 3, H, W) in [0, 1], towards the whole range from black to white.

    Args:
        share: (B, 1, 1, 1): share of the way; at 1, a hundredth of all values is clipped at each end.
    """
    few = picture[..., ::4, ::4].flatten(1)
    dark, bright = (few.quantile(place, 1).view(-1, 1, 1, 1) for place in (CLIPPED, 1 - CLIPPED))
    dark, bright = dark * share, 1 - (1 - bright) * share
    return ((picture - dark) / (bright - dark).clamp_min(0.2)).clamp(0, 1)


def mean_luma(picture: Tensor) -> Tensor:
    """Return the mean luma of each picture, (B, 1, 1, 1), kept off 0 and 1."""
    shares = picture.new_tensor(LUMA).view(1, 3, 1, 1)
    return (picture * shares).sum(1, keepdim=True).mean((2, 3), keepdim=True).clamp(0.02, 0.98)


def balance_grey(picture: Tensor, share: Tensor) -> Tensor:
    """Bring the mean of each colour towards that of all, by a share, (B, 1, 1, 1), of the way (grey world)."""
    means = picture.mean((2, 3), keepdim=True).clamp_min(0.02)
    return (picture * (means.mean(1, keepdim=True) / means).clamp(0.4, 2.5) ** share).clamp(0, 1)
