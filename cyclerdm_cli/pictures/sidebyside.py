"""The picture that `--compare` writes: before | after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cyclerdm_cli.pictures.carrying import own_colours, to_levels
from cyclerdm_cli.pictures.colour import colour_space, to_srgb
from cyclerdm_cli.pictures.picture import Picture, Pixels

MIDDLE_LIGHT = 0.18
"""Of floating-point samples, which are light: what is seen halfway between black and white."""


def compared(before: Pixels, after: Picture) -> Picture:
    """Return the picture of before | after, in the colours of the file: those outside sRGB are not clipped.

    Args:
        before: (H, W, 3) uint8 or uint16, what `after.pixels` were before.
    """
    if after.own is None or after.icc_profile is None:
        return after.with_pixels(side_by_side(before, after.pixels))
    own = side_by_side(after.own, own_colours(after, after.icc_profile))
    pixels = to_srgb(to_levels(own), colour_space(after.icc_profile))
    return replace(after, pixels=pixels, own=own, alpha=None, filled=None)


def side_by_side(before: Pixels, after: Pixels) -> Pixels:
    """Return `before` and `after` beside each other, a thin mid-grey gap between them.

    Args:
        before: (H, W, 3) uint8, uint16 or floating point.
        after: the same shape and type.

    Returns:
        (H, 2 * W + gap, 3) of the same type; the gap is a hundredth of the width, 2 pixels at least.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        raise ValueError(f"{before.shape} {before.dtype} does not stand beside {after.shape} {after.dtype}")
    height, width, channels = before.shape
    middle = MIDDLE_LIGHT if before.dtype.kind == "f" else np.iinfo(before.dtype).max // 2 + 1
    gap = np.full((height, max(2, width // 100), channels), middle, before.dtype)
    return np.concatenate((before, gap, after), axis=1)
