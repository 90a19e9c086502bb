"""Missing parts: strokes, boxes, polygons, scratches, dead lines, text; what is missing is white.

Source: free-form masks as in Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from cyclerdm_cli.tasks.degradation import Degraded

LEAST, MOST = 0.05, 0.60
"""Share of the picture that is missing at severity 0 and 1."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Take parts away: about 5 to 60 per cent of each picture."""
    height, width = clean.shape[2:]
    seeds = torch.randint(2**31, (clean.shape[0],), generator=generator, device=generator.device).tolist()
    masks = [
        draw_mask(height, width, LEAST + (MOST - LEAST) * share, np.random.default_rng(seed))
        for seed, share in zip(seeds, severity.tolist(), strict=True)
    ]
    mask = torch.from_numpy(np.stack(masks)).to(clean.device).unsqueeze(1).float()
    return Degraded(torch.where(mask > 0, 1.0, clean), mask)


def draw_mask(height: int, width: int, share: float, random: np.random.Generator) -> np.ndarray:
    """Draw shapes of one or two kinds until a share of the picture is missing: (H, W) uint8, 1 = missing."""
    mask = np.zeros((height, width), np.uint8)
    kinds = random.choice(len(_SHAPES), size=2, p=_ODDS)
    for turn in range(400):
        _SHAPES[kinds[turn % 2]](mask, share, random)
        if turn % 4 == 3 and mask.mean() >= share * 0.97:
            break
    return mask


def _point(mask: np.ndarray, random: np.random.Generator) -> tuple[int, int]:
    return int(random.integers(mask.shape[1])), int(random.integers(mask.shape[0]))


def _stroke(mask: np.ndarray, share: float, random: np.random.Generator) -> None:
    points, angle = [_point(mask, random)], random.uniform(0, 2 * np.pi)
    for _ in range(int(random.integers(2, 8))):
        angle += random.uniform(-1.2, 1.2)
        length = random.uniform(8, 50)
        x, y = points[-1]
        points.append((int(x + length * np.cos(angle)), int(y + length * np.sin(angle))))
    thickness = int(random.integers(2, 6 + int(16 * share)))
    cv2.polylines(mask, [np.array(points, np.int32)], False, 1, thickness, cv2.LINE_8)


def _scratch(mask: np.ndarray, share: float, random: np.random.Generator) -> None:
    (x, y), angle, length = _point(mask, random), random.uniform(0, np.pi), random.uniform(20, 200)
    end = int(x + length * np.cos(angle)), int(y + length * np.sin(angle))
    cv2.line(mask, (x, y), end, 1, int(random.integers(1, 4)), cv2.LINE_8)


def _box(mask: np.ndarray, share: float, random: np.random.Generator) -> None:
    (x, y), (w, h) = _point(mask, random), random.integers(5, 14 + int(40 * share), 2)
    cv2.rectangle(mask, (x, y), (x + int(w), y + int(h)), 1, -1)


def _polygon(mask: np.ndarray, share: float, random: np.random.Generator) -> None:
    middle, radius = np.array(_point(mask, random)), random.uniform(5, 12 + 30 * share)
    turns = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 8))))
    corners = middle + radius * np.stack([np.cos(turns), np.sin(turns)], 1)
    cv2.fillPoly(mask, [corners.astype(np.int32)], 1, cv2.LINE_8)


def _text(mask: np.ndarray, share: float, random: np.random.Generator) -> None:
    letters = "".join(random.choice(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,!"), 14))
    x, y = _point(mask, random)
    scale = random.uniform(0.3, 1.1)
    font = int(random.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX]))
    cv2.putText(mask, letters, (x - 60, y), font, scale, 1, int(random.integers(1, 4)), cv2.LINE_8)


def _dead_line(mask: np.ndarray, share: float, random: np.random.Generator) -> None:
    axis = int(random.integers(2))
    first, count = int(random.integers(mask.shape[axis])), int(random.integers(1, 4))
    mask[(slice(first, first + count), slice(None)) if axis == 0 else (slice(None), slice(first, first + count))] = 1


_SHAPES = (_stroke, _scratch, _box, _polygon, _text, _dead_line)
_ODDS = (0.35, 0.1, 0.15, 0.15, 0.17, 0.08)
