"""What restoring changed, carried back onto the file's own colours: what it left alone or never saw stays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.pictures.colour import ColourSpace, colour_space, conversion, strips
from cyclerdm_cli.pictures.icc import Floats
from cyclerdm_cli.pictures.picture import Picture, Pixels

CV_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U}


def carried_back(
    own: Pixels,
    restored: Pixels,
    space: ColourSpace,
    *,
    filled: NDArray[np.bool_] | None = None,
    grey: bool = False,
) -> Pixels:
    """Return a picture's own colours with what restoring changed in them; where nothing changed, to the bit.

    The change is added in the picture's colour space: what was neutral there stays so.

    Args:
        own: (H, W, 3) uint8, uint16 or floating point, in that colour space.
        restored: what became of `to_srgb(to_levels(own), space)`; the same shape, whole numbers.
        filled: (H, W), where nothing of the picture's own shall shine through.
        grey: whether only the lightness of what was restored counts.
    """
    inward = conversion(space, restored.dtype, inward=True, whole=True)
    outward = conversion(space, restored.dtype, inward=False)
    result, floating = np.empty_like(own), own.dtype.kind == "f"
    for rows in strips(own):
        mine, wanted = own[rows], restored[rows]
        seen = inward(to_levels(mine))
        if np.array_equal(seen, wanted):
            result[rows] = mine
            continue
        if grey:
            seen, wanted = luma(seen), luma(wanted)
        after = outward(wanted)
        change = np.asarray(cv2.subtract(after, outward(seen), dtype=cv2.CV_32F), np.float32)
        moved = _moved(mine, change.reshape(mine.shape))
        if filled is not None:
            moved[filled[rows]] = (
                after[filled[rows]] / np.float32(65535) if floating else np.rint(after[filled[rows]])
            )
        result[rows] = moved
    return result


def own_colours(picture: Picture, profile: bytes) -> Pixels:
    """Return what a picture that has colours of its own, of that profile, has become in them: as `Picture.own`."""
    assert picture.own is not None
    space = colour_space(profile)
    return carried_back(picture.own, picture.pixels, space, filled=picture.filled, grey=picture.grey)


def _moved(own: Pixels, change: Floats) -> Pixels:
    """Return colours with a change added, in levels: within what their type can hold, and rounded."""
    if own.dtype.kind == "f":
        return np.where(change == 0, own, own + change / np.float32(65535))
    return np.asarray(cv2.add(own, change, dtype=CV_DEPTHS[own.dtype])).reshape(own.shape)


def to_levels(samples: Pixels) -> Pixels:
    """Return floating-point samples as uint16, clipped to what 0 to 1 can say; whole numbers as they are."""
    if samples.dtype.kind != "f":
        return samples
    result = np.empty(samples.shape, np.uint16)
    for rows in strips(samples):
        within = np.clip(np.nan_to_num(samples[rows].astype(np.float32)), 0, 1)
        result[rows] = np.rint(within * 65535).astype(np.uint16)
    return result


def luma(pixels: Pixels) -> Pixels:
    """Return the luma of (H, W, 3) pixels three times; rounded, and exact where the channels are equal."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
