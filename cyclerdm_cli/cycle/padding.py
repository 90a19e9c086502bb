"""Lengthening a picture to the sides that a network can take."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def padded(picture: Tensor, multiple: int) -> Tensor:
    """Lengthen pictures at the right and the bottom until both sides are multiples of a number.

    The picture is reflected at its edge, without repeating the edge itself; a side too short for that repeats
    its last row or column instead.

    Args:
        picture: (B, C, H, W), any size from 1x1.
        multiple: of which both sides shall be.
    """
    height, width = picture.shape[2:]
    bottom, right = -height % multiple, -width % multiple
    picture = F.pad(picture, (0, right, 0, 0), mode="reflect" if right < width else "replicate")
    return F.pad(picture, (0, 0, 0, bottom), mode="reflect" if bottom < height else "replicate")
