"""From the profile in the file to sRGB, which the network knows, and back.

- A profile that changes no colour by more than one level of 8 bits *is* sRGB, whatever it is called.
- 8-bit RGB: Little CMS (Pillow), relative colorimetric with black point compensation.
- 16-bit RGB with curves and a matrix: float32, a strip of rows at a time.
- 16-bit RGB with tables: Little CMS at 52 x 52 x 52 nodes, trilinear between them. It gives 8 bits a node,
  so values are within a level of 8 bits, and within a dozen where colours begin to be clipped.
- Grey: one table of 256 or 65536 values.

Colours outside sRGB are clipped on the way in; the network knows no others. On the way back only what it changed
is added to the file's own colours, so what it left alone, and what it could not see, stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

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
    srgb_to_linear,
)
from cyclerdm_cli.pictures.picture import Pixels, to_depth

STRIP_PIXELS = 1 << 18
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
    if space.kind == "grey":
        return _grey_table(space, pixels.dtype, inward=True)[pixels]
    if space.kind == "rgb":
        return _convert(pixels, space, inward=True)
    return pixels


def from_srgb(pixels: Pixels, space: ColourSpace) -> Pixels:
    """Return (H, W, 3) uint8 or uint16 sRGB pixels, converted to that colour space; same shape and type."""
    if space.kind == "grey":
        return _grey_table(space, pixels.dtype, inward=False)[pixels]
    if space.kind == "rgb":
        return _convert(pixels, space, inward=False)
    return pixels


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
    result = np.empty_like(own)
    for rows in _strips(own):
        levels = to_levels(own[rows])
        seen, wanted = to_srgb(levels, space), restored[rows]
        changed = (seen != wanted).any(axis=2, keepdims=True)
        if not changed.any():
            result[rows] = own[rows]
            continue
        if grey:
            seen, wanted = luma(seen), luma(wanted)
        moved = _moved(own[rows], from_srgb(seen, space), from_srgb(wanted, space))
        if filled is not None:
            invented = from_srgb(wanted, space)
            invented = invented / np.float32(65535) if own.dtype.kind == "f" else invented
            moved = np.where(filled[rows, :, None], invented, moved)
        result[rows] = np.where(changed, moved.astype(own.dtype), own[rows])
    return result


def _moved(own: Pixels, before: Pixels, after: Pixels) -> Pixels:
    """Return colours moved by the difference of two others, uint8 or uint16, within what their type can hold."""
    wide = np.int16 if before.dtype == np.uint8 else np.int32
    change = np.subtract(after, before, dtype=wide, casting="unsafe")
    if own.dtype.kind == "f":
        return np.asarray(own + change / np.float32(65535))
    return np.asarray(np.clip(own + change, 0, np.iinfo(own.dtype).max))


def to_levels(samples: Pixels) -> Pixels:
    """Return floating-point samples as uint16, clipped to what 0 to 1 can say; whole numbers as they are."""
    if samples.dtype.kind != "f":
        return samples
    result = np.empty(samples.shape, np.uint16)
    for rows in _strips(samples):
        within = np.clip(np.nan_to_num(samples[rows].astype(np.float32)), 0, 1)
        result[rows] = np.rint(within * 65535).astype(np.uint16)
    return result


def luma(pixels: Pixels) -> Pixels:
    """Return the luma of (H, W, 3) pixels three times; rounded, and exact where the channels are equal."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


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


def _grey_table(space: ColourSpace, dtype: np.dtype[np.generic], *, inward: bool) -> Pixels:
    if space.shaped is None:
        raise ValueError("a grey colour space has a curve")
    curve = space.shaped.curves[0]
    table = linear_to_srgb(curve) if inward else np.interp(srgb_to_linear(LEVELS), curve, LEVELS)
    sixteen = np.rint(table * 65535).astype(np.uint16)
    return sixteen if dtype == np.uint16 else to_depth(sixteen[::257], 8)


def _convert(pixels: Pixels, space: ColourSpace, *, inward: bool) -> Pixels:
    if space.profile is None:
        raise ValueError("an RGB colour space has a profile")
    transform = _transform(space.profile, SRGB) if inward else _transform(SRGB, space.profile)
    if pixels.dtype == np.uint8:
        converted = np.empty_like(pixels)
        for rows in _strips(pixels):
            converted[rows] = _by_little_cms(pixels[rows], transform)
        return converted
    convert: Callable[[Pixels], Floats]
    if space.shaped is None:
        nodes = _by_little_cms(_grid(255 // (NODES - 1)), transform).reshape(NODES, NODES, NODES, 3)
        convert = _between_nodes(nodes.astype(np.float32) / 255)
    else:
        convert = _shaped_inward(space.shaped) if inward else _shaped_outward(space.shaped)
    result = np.empty_like(pixels)
    for rows in _strips(pixels):
        result[rows] = np.rint(np.clip(convert(pixels[rows]), 0, 1) * 65535).astype(np.uint16)
    return result


def _strips(pixels: Pixels) -> Iterator[slice]:
    """Yield the rows in strips of about `STRIP_PIXELS`, so that floats never hold a whole picture."""
    height, width = pixels.shape[:2]
    rows = max(1, STRIP_PIXELS // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, top + rows)


def _shaped_inward(shaped: ShapedProfile) -> Callable[[Pixels], Floats]:
    to_linear_srgb = np.asarray(shaped.to_linear_srgb).T

    def convert(pixels: Pixels) -> Floats:
        linear = np.stack(
            [curve[pixels[..., channel]] for channel, curve in enumerate(shaped.curves)], axis=-1
        )
        return linear_to_srgb(linear @ to_linear_srgb)

    return convert


def _shaped_outward(shaped: ShapedProfile) -> Callable[[Pixels], Floats]:
    from_linear_srgb = np.linalg.inv(np.asarray(shaped.to_linear_srgb)).T
    linear_levels = srgb_to_linear(LEVELS.astype(np.float32)).astype(np.float32)
    inverses = [_inverse(curve) for curve in shaped.curves]

    def convert(pixels: Pixels) -> Floats:
        linear = linear_levels[pixels] @ from_linear_srgb.astype(np.float32)
        place = np.sqrt(np.clip(linear, 0, 1)) * np.float32(len(LEVELS) - 1)
        low = place.astype(np.int32)
        part = place - low
        channels = []
        for index, inverse in enumerate(inverses):
            start = inverse[low[..., index]]
            channels.append(start + part[..., index] * (inverse[low[..., index] + 1] - start))
        return np.stack(channels, axis=-1)

    return convert


def _inverse(curve: Floats) -> Floats:
    """Return a curve turned around: levels at the squares of even steps, which lie close where it is steep.

    Looking up there takes a tenth of the time of searching the curve.
    """
    roots = np.linspace(0, 1, len(LEVELS))
    levels = np.interp(roots**2, curve, LEVELS).astype(np.float32)
    return np.append(levels, levels[-1])


def _between_nodes(nodes: Floats) -> Callable[[Pixels], Floats]:
    """Return trilinear interpolation in a table (N, N, N, 3), float32 [0, 1]."""

    def convert(pixels: Pixels) -> Floats:
        position = pixels.astype(np.float32) * (NODES - 1) / 65535
        low = np.minimum(position.astype(np.intp), NODES - 2)
        part = position - low
        result = np.zeros(position.shape, np.float32)
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1 - part), axis=-1, keepdims=True)
            red, green, blue = np.moveaxis(low + corner, -1, 0)
            result += weight * nodes[red, green, blue]
        return result

    return convert
