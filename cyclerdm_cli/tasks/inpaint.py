"""Missing parts: strokes, boxes, polygons, scratches, dead lines, text; what is missing is white.

Source: free-form masks as in Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.tasks.degradation import Degraded

Mask = NDArray[np.uint8]

LEAST, MOST = 0.05, 0.60
"""Share of the picture that is missing at severity 0 and 1."""
_TURNS = 300
_LETTERS = list(string.ascii_letters + string.digits + "   .,!?")
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Take parts away, 5 per cent of the picture at severity 0, 60 at severity 1; the mask says where."""
    height, width = clean.shape[2:]
    seeds = torch.randint(2**31, (clean.shape[0],), generator=generator, device=generator.device).tolist()
    masks = [
        drawn_mask(height, width, LEAST + (MOST - LEAST) * worst, np.random.default_rng(seed))
        for seed, worst in zip(seeds, severity.tolist(), strict=True)
    ]
    mask = torch.from_numpy(np.stack(masks)).to(clean.device).unsqueeze(1).float()
    return Degraded(torch.where(mask > 0, 1.0, clean), mask)


def drawn_mask(height: int, width: int, share: float, random: np.random.Generator) -> Mask:
    """Draw shapes of one or two kinds until about a share of the picture is missing.

    Args:
        height: in pixels. width: in pixels.
        share: of the picture, in (0, 1); never exceeded by more than half a pixel.
        random: the source of chance.

    Returns:
        (H, W) uint8, 1 where the picture is missing.
    """
    wanted = round(share * height * width)
    kinds = random.choice(len(_SHAPES), size=2, p=_ODDS)
    mask, missing = np.zeros((height, width), np.uint8), 0
    for turn in range(_TURNS):
        if missing >= 0.93 * wanted:
            break
        drawn = mask.copy()
        _SHAPES[kinds[turn % 2]](drawn, share, random)
        count = cv2.countNonZero(drawn)
        if count <= wanted:
            mask, missing = drawn, count
    return _completed(mask, wanted, random)


def _completed(mask: Mask, wanted: int, random: np.random.Generator) -> Mask:
    """Add boxes of just the area that is lacking: thin shapes alone seldom reach a large share."""
    height, width = mask.shape
    for _ in range(12):
        lacking = wanted - cv2.countNonZero(mask)
        if lacking <= 0.03 * wanted:
            break
        tall = int(min(height, max(1, lacking**0.5 * random.uniform(0.6, 1.6))))
        wide = int(min(width, max(1, lacking // tall)))
        top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
        mask[top : top + tall, left : left + wide] = 1
    return mask


def _scale(mask: Mask) -> float:
    """Return how much larger shapes may be than on a patch of 128 pixels: grown slower than the picture."""
    return float((min(mask.shape) / 128) ** 0.6)


def _point(mask: Mask, random: np.random.Generator) -> tuple[int, int]:
    return int(random.integers(mask.shape[1])), int(random.integers(mask.shape[0]))


def _stroke(mask: Mask, share: float, random: np.random.Generator) -> None:
    points, angle = [_point(mask, random)], random.uniform(0, 2 * np.pi)
    for _ in range(int(random.integers(3, 12))):
        angle += random.uniform(-0.9, 0.9)
        length = random.uniform(5, 28) * _scale(mask)
        x, y = points[-1]
        points.append((int(x + length * np.cos(angle)), int(y + length * np.sin(angle))))
    thickness = int(random.integers(2, 6 + int(16 * share)) * _scale(mask))
    cv2.polylines(mask, [np.array(points, np.int32)], False, 1, max(1, thickness), cv2.LINE_8)


def _scratch(mask: Mask, share: float, random: np.random.Generator) -> None:
    (x, y), angle = _point(mask, random), random.uniform(0, np.pi)
    bend, length = random.uniform(-0.3, 0.3), random.uniform(20, 160) * _scale(mask)
    steps = np.linspace(0, 1, 9)
    turned = angle + bend * steps
    points = np.stack([x + length * steps * np.cos(turned), y + length * steps * np.sin(turned)], 1)
    cv2.polylines(mask, [points.astype(np.int32)], False, 1, int(random.integers(1, 4)), cv2.LINE_8)


def _box(mask: Mask, share: float, random: np.random.Generator) -> None:
    (x, y), (wide, tall) = _point(mask, random), random.integers(4, 12 + int(50 * share), 2) * _scale(mask)
    cv2.rectangle(mask, (x, y), (int(x + wide), int(y + tall)), 1, -1)


def _polygon(mask: Mask, share: float, random: np.random.Generator) -> None:
    middle, corners = np.array(_point(mask, random)), int(random.integers(3, 11))
    radius = random.uniform(4, 12 + 30 * share) * _scale(mask) * random.uniform(0.6, 1, (corners, 1))
    turns = np.sort(random.uniform(0, 2 * np.pi, corners))
    outline = middle + radius * np.stack([np.cos(turns), np.sin(turns)], 1)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 1, cv2.LINE_8)


def _text(mask: Mask, share: float, random: np.random.Generator) -> None:
    x, y = _point(mask, random)
    scale, thickness = random.uniform(0.3, 1.0) * _scale(mask), int(random.integers(1, 4))
    font = _FONTS[int(random.integers(len(_FONTS)))]
    start = x - int(60 * _scale(mask))
    for row in range(int(random.integers(1, 4))):
        letters = "".join(random.choice(_LETTERS, int(random.integers(5, 24))))
        cv2.putText(mask, letters, (start, y + int(row * 34 * scale)), font, scale, 1, thickness, cv2.LINE_8)


def _dead_line(mask: Mask, share: float, random: np.random.Generator) -> None:
    axis = int(random.integers(2))
    first, count = int(random.integers(mask.shape[axis])), int(random.integers(1, 4))
    lines = slice(first, first + count)
    mask[(lines, slice(None)) if axis == 0 else (slice(None), lines)] = 1


_SHAPES: tuple[Callable[[Mask, float, np.random.Generator], None], ...] = (
    _stroke, _scratch, _box, _polygon, _text, _dead_line,
)  # fmt: skip
_ODDS = (0.35, 0.1, 0.15, 0.15, 0.17, 0.08)
