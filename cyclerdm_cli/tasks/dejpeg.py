"""Compression: the blocks, ringing and lost colours that JPEG, WebP and AVIF leave.

The encoders are the real ones, by way of Pillow, on the processor: libjpeg's rounding and chroma and the filters of
WebP and AVIF are what pictures went through, and libjpeg costs less than a simulation of it. Pictures that are
compressed, cut and compressed again, so that two grids of blocks lie over one another, follow Jiang et al.,
"Towards Flexible Blind JPEG Artifacts Removal" (FBCNN), ICCV 2021.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import uniform

FINEST, COARSEST = 70.0, 5.0
"""The encoder's quality, 1 to 100, at severity 0 and 1."""
WEBP_SHARE, AVIF_SHARE = 0.1, 0.05
"""Shares of the pictures that another encoder than JPEG's compressed last."""
FULL_COLOUR = 0.3
"""Share whose colours keep all pixels (4:4:4); those of the others have half of them each way (4:2:0)."""
CUT_SHARE = 0.3
"""Share that was cut after it was compressed, so that the first block is no whole one."""
TWICE, RESIZED = 0.3, 0.12
"""Shares compressed as JPEG once before, on another grid; and with a change of size in between besides."""
FIRST_FINEST = 95.0
"""The first compression is between a little coarser than the last one and this."""
SMALLEST, LARGEST = 0.8, 1.6
"""Times its size was a picture at the first compression that was resized after."""
GRID = 16
"""Pixels after which the blocks of JPEG repeat, with colours at half size."""

Pixels = NDArray[np.uint8]


class Course(NamedTuple):
    """How one picture is compressed; but for `quality` all are drawn uniformly in [0, 1)."""

    encoder: float
    colours: float
    history: float
    first_quality: float
    first_colours: float
    scale: float
    cut: float
    down: float
    across: float
    first_down: float
    first_across: float


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Compress each picture: most as JPEG, some as WebP or AVIF; some cut after, some compressed before."""
    drawn = uniform(0, 1, (len(clean), len(Course._fields)), generator).tolist()
    qualities = (FINEST + severity * (COARSEST - FINEST)).round().int().tolist()
    pixels = (clean.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    damaged = [
        _compress(picture, quality, Course(*numbers))
        for picture, quality, numbers in zip(pixels, qualities, drawn, strict=True)
    ]
    lq = torch.from_numpy(np.stack(damaged)).to(clean.device).permute(0, 3, 1, 2).float() / 255
    return Degraded(lq.contiguous())


def encode_jpeg(picture: Pixels, quality: int, *, full_colour: bool = False) -> Pixels:
    """Return what JPEG makes of (H, W, 3), by libjpeg; colours at full size (4:4:4) or at half of it (4:2:0)."""
    return _encode(picture, "JPEG", quality=quality, subsampling=0 if full_colour else 2)


def _compress(picture: Pixels, quality: int, course: Course) -> Pixels:
    """Compress (H, W, 3) once or twice."""
    if course.history < TWICE:
        picture = _compress_before(picture, quality, course)
    corner = _corner(course.down, course.across) if course.cut < CUT_SHARE else (0, 0)
    whole = _extend(picture, corner)
    full_colour = course.colours < FULL_COLOUR
    if course.encoder < WEBP_SHARE:
        whole = _encode(whole, "WEBP", quality=quality, method=0)
    elif course.encoder < WEBP_SHARE + AVIF_SHARE:
        colours = "4:4:4" if full_colour else "4:2:0"
        whole = _encode(whole, "AVIF", quality=quality, subsampling=colours, speed=9, max_threads=1)
    else:
        whole = encode_jpeg(whole, quality, full_colour=full_colour)
    return _cut(whole, corner)


def _compress_before(picture: Pixels, quality: int, course: Course) -> Pixels:
    """Compress (H, W, 3) as JPEG on a grid of its own, some at another size."""
    height, width = picture.shape[:2]
    coarsest = 0.8 * quality
    first = round(coarsest + course.first_quality * (FIRST_FINEST - coarsest))
    resized = course.history < RESIZED
    if resized:
        scale = SMALLEST * (LARGEST / SMALLEST) ** course.scale
        picture = _resize(picture, max(8, round(height * scale)), max(8, round(width * scale)))
    corner = _corner(course.first_down, course.first_across)
    full_colour = course.first_colours < FULL_COLOUR
    picture = _cut(encode_jpeg(_extend(picture, corner), first, full_colour=full_colour), corner)
    return _resize(picture, height, width) if resized else picture


def _corner(down: float, across: float) -> tuple[int, int]:
    """Return how many rows and columns are cut off, 0 up to GRID."""
    return int(down * GRID), int(across * GRID)


def _extend(picture: Pixels, corner: tuple[int, int]) -> Pixels:
    """Put rows on top and columns on the left that look like what lies there."""
    if corner == (0, 0):
        return picture
    # A picture may be smaller than what is put on, which only repeating can do then.
    fits = corner[0] < picture.shape[0] and corner[1] < picture.shape[1]
    return np.pad(picture, ((corner[0], 0), (corner[1], 0), (0, 0)), mode="reflect" if fits else "edge")


def _cut(picture: Pixels, corner: tuple[int, int]) -> Pixels:
    return picture[corner[0] :, corner[1] :]


def _resize(picture: Pixels, height: int, width: int) -> Pixels:
    """Resize as most programs do: averaged when it becomes smaller, bicubic when larger."""
    smaller = height * width < picture.shape[0] * picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=way), np.uint8)


def _encode(picture: Pixels, form: str, **options: Any) -> Pixels:
    """Return (H, W, 3) as it comes back from a file of a format."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, form, **options)
    with Image.open(stream) as stored:
        return np.asarray(stored.convert("RGB"))
