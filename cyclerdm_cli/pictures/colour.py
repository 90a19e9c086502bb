"""From the profile in the file to sRGB, which the network knows, and back.

- A profile that changes no colour by more than one level of 8 bits *is* sRGB, whatever it is called.
- RGB with curves and a matrix, and grey: by tables of 65536 values, in float32.
- RGB with tables of colours: Little CMS (Pillow), relative colorimetric with black point compensation; it knows
  8 bits only, so 16 bits go through 52 x 52 x 52 nodes of it, trilinear between them: within a level of 8 bits, and
  within a dozen where colours begin to be clipped.

Colours outside sRGB are clipped on the way in; the network knows no others. `carrying` brings back what it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cyclerdm_cli.pictures.icc import (
    LEVELS,
    Floats,
    ShapedProfile,
    linear_to_srgb,
    shaped_profile,
)
from cyclerdm_cli.pictures.picture import Pixels

STRIP_PIXELS = 1 << 15
"""So many that the floats of a strip stay in the processor's cache."""
NODES = 52  # 255 = 51 * 5: the nodes fall on whole levels


@dataclass(frozen=True)
class ColourSpace:
    """What a profile does to colours: RGB or grey to sRGB, and back."""

    kind: str
    """One of srgb, grey, rgb, cmyk, unusable."""
    profile: ImageCms.ImageCmsProfile | None = None
    shaped: ShapedProfile | None = None

    @property
    def changes_pixels(self) -> bool:
        """Whether pixels must be converted at all."""
        return self.kind in ("grey", "rgb")


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=16)
def colour_space(profile: bytes) -> ColourSpace:
    """Return what an ICC profile means; of kind "unusable" where it is damaged or not for pictures."""
    shaped = shaped_profile(profile)
    space = profile[16:20]
    if space == b"GRAY" and shaped:
        return ColourSpace("srgb" if _is_srgb_curve(shaped) else "grey", shaped=shaped)
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if space == b"CMYK":
            _transform(opened, SRGB, "CMYK", "RGB")
            return ColourSpace("cmyk", opened)
        if space == b"RGB ":
            _transform(SRGB, opened)
            return ColourSpace("srgb" if _is_srgb(opened) else "rgb", opened, shaped)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        pass
    return ColourSpace("unusable")


def to_srgb(pixels: Pixels, space: ColourSpace) -> Pixels:
    """Return (H, W, 3) uint8 or uint16 pixels of that colour space, converted to sRGB; the same type."""
    return _converted(pixels, space, inward=True)


def from_srgb(pixels: Pixels, space: ColourSpace) -> Pixels:
    """Return (H, W, 3) uint8 or uint16 sRGB pixels, converted to that colour space; same shape and type."""
    return _converted(pixels, space, inward=False)


def conversion(
    space: ColourSpace, dtype: np.dtype[Any], *, inward: bool, whole: bool = False
) -> Callable[[Pixels], NDArray[Any]]:
    """Return what converts strips of a picture, (H, W, 3) uint8 or uint16, to sRGB or back.

    What comes of it are levels of the same type, as float32 where they are not `whole` and where the profile allows
    it. What a colour becomes does not depend on where it stands.
    """
    if not space.changes_pixels:
        return lambda pixels: pixels
    if space.shaped is not None:
        convert = space.shaped.inward if inward else space.shaped.outward
        return convert.in_levels(dtype, whole=whole)
    if space.profile is None:
        raise ValueError("an RGB colour space has a profile")
    transform = _transform(space.profile, SRGB) if inward else _transform(SRGB, space.profile)
    if dtype == np.uint8:
        return lambda pixels: _by_little_cms(pixels, transform)
    nodes = _by_little_cms(_grid(255 // (NODES - 1)), transform).reshape(-1, 3)
    return _between_nodes(nodes.T.astype(np.float32) * np.float32(257), whole)


def strips(pixels: Pixels) -> Iterator[slice]:
    """Yield the rows of a picture in strips of about `STRIP_PIXELS`, so that floats never hold all of it."""
    height, width = pixels.shape[:2]
    rows = max(1, STRIP_PIXELS // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, top + rows)


def cmyk_to_rgb(image: Image.Image, space: ColourSpace | None) -> Image.Image:
    """Return a CMYK image as sRGB, by its profile where it has a usable one, else by the plain formula."""
    if space is None or space.kind != "cmyk" or space.profile is None:
        return image.convert("RGB")
    converted = ImageCms.applyTransform(image, _transform(space.profile, SRGB, "CMYK", "RGB"))
    return converted if converted is not None else image.convert("RGB")


def _transform(
    source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, have: str = "RGB", want: str = "RGB"
) -> ImageCms.ImageCmsTransform:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(source, target, have, want, intent, flags)


def _by_little_cms(pixels: Pixels, transform: ImageCms.ImageCmsTransform) -> Pixels:
    image = Image.fromarray(pixels)
    ImageCms.applyTransform(image, transform, inPlace=True)
    return np.array(image)


def _grid(step: int) -> Pixels:
    """All RGB colours whose levels are multiples of `step`: (N * N, N, 3) uint8, red changing slowest."""
    levels = np.arange(0, 256, step, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    return grid.reshape(-1, len(levels), 3)


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    grid = _grid(17)
    converted = _by_little_cms(grid, _transform(profile, SRGB))
    return bool(np.abs(converted.astype(np.int16) - grid).max() <= 1)


def _is_srgb_curve(shaped: ShapedProfile) -> bool:
    return bool(np.abs(linear_to_srgb(shaped.curves[0]) - LEVELS).max() <= 1 / 255)


def _converted(pixels: Pixels, space: ColourSpace, *, inward: bool) -> Pixels:
    if not space.changes_pixels:
        return pixels
    convert = conversion(space, pixels.dtype, inward=inward, whole=True)
    result = np.empty_like(pixels)
    for rows in strips(pixels):
        result[rows] = convert(pixels[rows])
    return result


def _between_nodes(nodes: Floats, whole: bool) -> Callable[[Pixels], NDArray[Any]]:
    """Return trilinear interpolation in tables, (3, N * N * N) float32 of 0 to 65535, red changing slowest."""

    def convert(pixels: Pixels) -> NDArray[Any]:
        lows, parts = [], []
        for plane in cv2.split(pixels):
            place = plane * np.float32((NODES - 1) / 65535)
            low = np.minimum(place.astype(np.int32), NODES - 2)
            lows.append(low)
            part = place - low.astype(np.float32)
            parts.append((1 - part, part))
        corner = (lows[0] * NODES + lows[1]) * NODES + lows[2]
        results = [np.zeros(corner.shape, np.float32) for _ in range(3)]
        for red, green, blue in np.ndindex(2, 2, 2):
            weight = parts[0][red] * parts[1][green] * parts[2][blue]
            there = corner + np.int32((red * NODES + green) * NODES + blue)
            for result, table in zip(results, nodes, strict=True):
                result += weight * table.take(there)
        levels = np.asarray(cv2.merge(results))
        return np.rint(levels).astype(np.uint16) if whole else levels

    return convert
