"""A picture of any size as a grid of windows, each described by what damage does to the statistics of pixels.

Noise, rain and flakes show only at full resolution, tone and haze only in the whole. So the picture is looked at
through small windows at full size, spread over all of it, and of each only numbers are kept: how strong detail is
at four scales, how lopsided and how directed, how tones and colours spread. That such statistics give damage away
is old (Moorthy and Bovik, "Blind Image Quality Assessment: From Natural Scene Statistics to Perceptual Quality",
IEEE TIP 2011); a tower that is given them learns from thousands of pictures what one that is given pixels
learns from millions. The description of a window takes the place of a patch of pixels: an ordinary vision
transformer reads the grid.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.luma import LUMA

GRID = 8
"""Windows in a row, and rows of them."""
WINDOW_SIDE = 64
"""Side in pixels of a window."""
PATCH = 6
"""Side of the patch of three channels that a window's description fills."""
NUMBERS = 3 * PATCH * PATCH
"""In the description of one window; places of its patch that are left over are 0."""
SIDE = GRID * PATCH
"""Side of the whole, as the image tower sees it."""
LARGE_SIDE, REDUCED_SIDE = 1024, 768
"""Pictures whose longer side is above LARGE_SIDE are also seen shrunk to REDUCED_SIDE, through every other window:
rain and drops grow with the picture, noise does not."""
LEVELS = 4
QUANTILES = (0.005, 0.03, 0.1, 0.25, 0.75, 0.9, 0.97, 0.995)
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
LEAST_DETAIL = 0.004
"""A level of 255: details below it are as good as none."""

Pixels = NDArray[np.uint8]


def described(pixels: Pixels) -> Tensor:
    """Describe a picture, (H, W, 3) uint8 of any size: (3, SIDE, SIDE) float32, a patch for each window."""
    seen = (
        torch.from_numpy(_windows(pixels)).permute(0, 3, 1, 2).contiguous().float() / 255
    )  # (GRID^2, 3, w, w)
    numbers = torch.cat([_details(seen), _tones(seen), _whole(pixels).expand(len(seen), -1)], 1)
    filled = F.pad(numbers, (0, NUMBERS - numbers.shape[1]))
    patches = filled.view(GRID, GRID, 3, PATCH, PATCH)
    return patches.permute(2, 0, 3, 1, 4).reshape(3, SIDE, SIDE)


def _windows(pixels: Pixels) -> Pixels:
    """Cut the windows, row by row, of a small picture with mirrored rims: (GRID^2, WINDOW_SIDE, WINDOW_SIDE, 3)."""
    longer = max(pixels.shape[:2])
    sources = [pixels, pixels]
    if longer > LARGE_SIDE:
        height, width = (max(1, round(side * REDUCED_SIDE / longer)) for side in pixels.shape[:2])
        reduced = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        sources[1] = np.asarray(reduced, np.uint8)
    short = [[(0, max(WINDOW_SIDE - side, 0)) for side in source.shape[:2]] for source in sources]
    sources = [
        np.pad(source, (*lacking, (0, 0)), mode="symmetric") if any(after for _, after in lacking) else source
        for source, lacking in zip(sources, short, strict=True)
    ]
    cut = []
    for row in range(GRID):
        for column in range(GRID):
            source = sources[(row + column) % 2]
            top, left = (
                round(place * (side - WINDOW_SIDE) / (GRID - 1))
                for place, side in zip((row, column), source.shape[:2], strict=True)
            )
            cut.append(source[top : top + WINDOW_SIDE, left : left + WINDOW_SIDE])
    return np.stack(cut)


def _details(seen: Tensor) -> Tensor:
    """Describe detail at each scale: strength, lopsidedness, direction, likeness to its neighbours."""
    red, green, blue = seen[:, :1], seen[:, 1:2], seen[:, 2:]
    luma = (LUMA[0] * red).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    numbers, smooth = [], luma
    for level in range(LEVELS):
        smoother = _smoothed(smooth, 2**level)
        detail = smooth - smoother
        numbers += [_log_energy(detail.clamp_min(0)), _log_energy((-detail).clamp_min(0)), _spread(detail)]
        if level < 3:
            numbers += [_directed(detail, 2**level), _directed(detail.clamp_min(0), 2**level)]
        if level < 2:
            numbers += [_likeness(detail, (1, 3) if level == 0 else (3, 8)), _unevenness(detail)]
        smooth = smoother
    chroma = torch.cat([red - green, blue - green], 1)
    for level in range(2):
        smoother = _smoothed(chroma, 2**level)
        numbers.append((chroma - smoother).abs().mean((2, 3)).add(LEAST_DETAIL / 4).log())
        chroma = smoother
    return torch.cat(numbers, 1)


def _smoothed(picture: Tensor, step: int) -> Tensor:
    """Smooth by the binomial (1 4 6 4 1) / 16 with holes of `step`: a level of Starck's starlet transform."""
    for axis in (3, 2):
        reach = (2 * step, 2 * step, 0, 0) if axis == 3 else (0, 0, 2 * step, 2 * step)
        padded, length = F.pad(picture, reach, mode="reflect"), picture.shape[axis]
        one, two, three, four, five = (padded.narrow(axis, shift * step, length) for shift in range(5))
        picture = (one + five).add_(two + four, alpha=4).add_(three, alpha=6).div_(16)
    return picture


def _log_energy(detail: Tensor) -> Tensor:
    return detail.square().mean((2, 3)).add(LEAST_DETAIL**2 / 16).log() / 2  # (N, C)


def _spread(detail: Tensor) -> Tensor:
    """Return the signed quantiles of every ninth pixel, on a scale that is even for faint and strong ones."""
    ordered = detail[:, 0, ::3, ::3].flatten(1).sort(1).values
    places = [round(share * (ordered.shape[1] - 1)) for share in QUANTILES]
    return torch.asinh(ordered[:, places] / LEAST_DETAIL)


def _directed(detail: Tensor, step: int) -> Tensor:
    """Return how much the gradients prefer the axes, and the diagonals, from -1 to 1: (N, 2)."""
    across = (detail[..., step:-step, 2 * step :] - detail[..., step:-step, : -2 * step])[:, 0]
    down = (detail[..., 2 * step :, step:-step] - detail[..., : -2 * step, step:-step])[:, 0]
    horizontal, vertical = across.square().mean((1, 2)), down.square().mean((1, 2))
    total = horizontal + vertical + LEAST_DETAIL**2
    return torch.stack([(horizontal - vertical) / total, 2 * (across * down).mean((1, 2)) / total], 1)


def _likeness(detail: Tensor, distances: tuple[int, ...]) -> Tensor:
    """Return the correlation with itself some pixels away, in four directions: streaks, smears, coarse noise."""
    plane = detail[:, 0]
    energy = plane.square().mean((1, 2)) + LEAST_DETAIL**2 / 4
    found = []
    for distance in distances:
        for down, across in DIRECTIONS:
            dy, dx = down * distance, across * distance
            height, width = plane.shape[1:]
            here = plane[:, : height - dy, max(-dx, 0) : width - max(dx, 0)]
            there = plane[:, dy:, max(dx, 0) : width + min(dx, 0)]
            found.append((here * there).mean((1, 2)) / energy)
    return torch.stack(found, 1)


def _unevenness(detail: Tensor) -> Tensor:
    """Return the strength in the flattest, middle and busiest tenth of small blocks: noise is in all of them."""
    blocks = F.avg_pool2d(detail.abs(), 8).flatten(1).sort(1).values
    count = blocks.shape[1]
    return blocks[:, [count // 10, count // 2, count - 1 - count // 10]].add(LEAST_DETAIL / 4).log()


def _tones(seen: Tensor) -> Tensor:
    """Describe light and colour."""
    least, most = seen.amin(1), seen.amax(1)
    ordered = seen[:, :, ::4, ::4].mean(1).flatten(1).sort(1).values
    count = ordered.shape[1] - 1
    tones = ordered[:, [round(share * count) for share in (0.01, 0.1, 0.5, 0.9, 0.99)]]
    missing = (least == 1).float()
    border = (missing[:, 1:] - missing[:, :-1]).abs().mean((1, 2))
    saturation = ((most - least) / (most + LEAST_DETAIL)).mean((1, 2))
    dark = least[:, ::4, ::4].flatten(1).sort(1).values[:, [count // 100, count // 2]]
    shares = torch.stack([missing.mean((1, 2)), border, (most == 0).float().mean((1, 2)), saturation], 1)
    # Light as the eye counts it, and as film does: the dark end is where most of it is told.
    levels = torch.cat([tones, dark], 1)
    mean = seen.mean((2, 3))
    spread = (seen.square().mean((2, 3)) - mean.square()).clamp_min(0).sqrt().add(LEAST_DETAIL).log()
    return torch.cat([mean, levels, (levels + LEAST_DETAIL).log(), spread, shares], 1)


def _whole(pixels: Pixels) -> Tensor:
    """Describe the picture as a whole by its mean colour."""
    small = cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return torch.from_numpy(small.mean((0, 1)))
