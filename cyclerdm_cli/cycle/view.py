"""The one way to look at a whole picture: shrunk by area averaging, and windows at full size from all over it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.cycle.cycle import SMALL_SIDE, WINDOW_SIDE, View

SAMPLE_SIDE = 512
"""Most pixels of a picture's side that are sampled: of a picture of any size, a thousand in each cell of a grid."""


def view_of(pixels: NDArray[np.generic], device: torch.device) -> View:
    """Return the view of one picture, (H, W, 3) uint8 or uint16 of any size.

    The picture is never held once more as a whole.
    """
    peak = float(np.iinfo(pixels.dtype).max)  # type: ignore[type-var]
    return View(
        lambda: to_tensor(shrunk(pixels)[None], peak, device),
        lambda: to_tensor(_windows(pixels), peak, device)[None],
    )


def view_of_batch(pictures: Tensor) -> View:
    """Return the view of whole pictures, (B, 3, H, W) in [0, 1]."""
    return View(lambda: shrink_to_view(pictures), lambda: windows_of(pictures))


def shrink_to_view(pictures: Tensor) -> Tensor:
    """Shrink whole pictures, (B, 3, H, W) in [0, 1], as `view_of` does: (B, 3, SMALL_SIDE, SMALL_SIDE)."""
    if pictures.shape[2:] == (SMALL_SIDE, SMALL_SIDE):
        return pictures
    made = [shrunk(picture.permute(1, 2, 0).cpu().float().numpy()) for picture in pictures]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).to(pictures.device)


def windows_of(pictures: Tensor) -> Tensor:
    """Cut the windows of pictures, (B, 3, H, W), as `view_of` does: (B, n, 3, h, w)."""
    tops, lefts, height, width = _corners(pictures.shape[2], pictures.shape[3])
    cut = [pictures[:, :, top : top + height, left : left + width] for top in tops for left in lefts]
    return torch.stack(cut, 1)


def to_tensor(pixels: NDArray[np.generic], peak: float, device: torch.device) -> Tensor:
    """Bring (B, h, w, 3) integers to the device as (B, 3, h, w) float32 in [0, 1], channels_last."""
    whole = pixels.astype(np.int32) if pixels.dtype == np.uint16 else pixels  # torch lacks much of uint16
    whole = whole if whole.flags.writeable else whole.copy()  # which torch wants, though nothing is written
    return torch.from_numpy(np.ascontiguousarray(whole)).to(device).permute(0, 3, 1, 2).float().div_(peak)


def shrunk(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return a picture as (SMALL_SIDE, SMALL_SIDE, 3): areas are averaged, a shorter side is interpolated."""
    height, width = pixels.shape[:2]
    for axis, side in ((0, min(height, SMALL_SIDE)), (1, min(width, SMALL_SIDE))):
        size = (pixels.shape[1], side) if axis == 0 else (side, pixels.shape[0])
        if pixels.shape[axis] != side:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if pixels.shape[:2] != (SMALL_SIDE, SMALL_SIDE):
        pixels = cv2.resize(pixels, (SMALL_SIDE, SMALL_SIDE), interpolation=cv2.INTER_LINEAR)
    return pixels


def sampled(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return single pixels from all over a picture, with their noise: (h, w, 3), at most SAMPLE_SIDE a side."""
    height, width = (min(side, SAMPLE_SIDE) for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels.copy()
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def _windows(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    tops, lefts, height, width = _corners(*pixels.shape[:2])
    return np.stack([pixels[top : top + height, left : left + width] for top in tops for left in lefts])


def _corners(height: int, width: int) -> tuple[list[int], list[int], int, int]:
    """Return the tops and lefts of the windows, one or two each, and their height and width."""
    places = []
    for side in (height, width):
        beyond = side - WINDOW_SIDE
        places.append([0] if beyond <= 0 else [beyond // 4, beyond - beyond // 4])
    return places[0], places[1], min(height, WINDOW_SIDE), min(width, WINDOW_SIDE)
