"""The picture that `--compare` writes: before | after."""

from __future__ import annotations

import numpy as np

from cyclerdm_cli.pictures.picture import Pixels


def side_by_side(before: Pixels, after: Pixels) -> Pixels:
    """Return `before` and `after` beside each other, a thin mid-grey gap between them.

    Args:
        before: (H, W, 3) uint8 or uint16.
        after: the same shape and type.

    Returns:
        (H, 2 * W + gap, 3) of the same type; the gap is a hundredth of the width, 2 pixels at least.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        raise ValueError(f"{before.shape} {before.dtype} does not stand beside {after.shape} {after.dtype}")
    height, width, channels = before.shape
    middle = np.iinfo(before.dtype).max // 2 + 1
    gap = np.full((height, max(2, width // 100), channels), middle, before.dtype)
    return np.concatenate((before, gap, after), axis=1)
