"""A `Picture` -> the samples that its file holds: in the file's colours, channels and depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageColor

from cyclerdm_cli.pictures.carrying import luma, own_colours, to_levels
from cyclerdm_cli.pictures.colour import STRIP_PIXELS, colour_space, from_srgb
from cyclerdm_cli.pictures.picture import Picture, Pixels, to_depth
from cyclerdm_cli.pictures.write_options import WriteOptions, format_of, keeps_floats

BAND_PIXELS = 1 << 20
"""So many that a band's copies are small beside any picture that is large."""


def samples_of(picture: Picture, options: WriteOptions) -> Pixels:
    """Return (H, W, C) samples as the file shall hold them: C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA."""
    target = format_of(picture, options)
    pixels, alpha = picture.pixels, picture.alpha if target.alpha else None
    profile = _profile(picture, options)
    if profile and picture.own is not None:
        pixels = own_colours(picture, profile)
    elif profile:
        pixels = from_srgb(luma(pixels) if picture.grey else pixels, colour_space(profile))
    if keeps_floats(picture, options):
        return _add_alpha(pixels[..., : 1 if picture.grey else 3], alpha)
    pixels = to_levels(pixels)
    if picture.grey:
        pixels = luma(pixels)[..., : 1 if target.grey else 3]
    if picture.alpha is not None and alpha is None:
        pixels = _lay_on(pixels, picture, options.background)
    wanted = picture.depth if options.depth == "keep" else int(options.depth)
    depth = wanted if target.bits > 8 else 8
    pixels = to_depth(pixels, depth)
    return pixels if alpha is None else np.dstack((pixels, to_depth(alpha, depth)))


def bands_of(picture: Picture, options: WriteOptions) -> Iterator[Pixels]:
    """Yield what `samples_of` returns in bands of rows from the top, so that it is never held as a whole."""
    height, width = picture.size
    rows = max(1, STRIP_PIXELS // width)  # as many as colours are carried back in at a time
    rows *= max(1, BAND_PIXELS // (rows * width))
    for top in range(0, height, rows):
        yield samples_of(picture.rows(slice(top, top + rows)), options)


def in_groups(bands: Iterable[Pixels], rows: int) -> Iterator[Pixels]:
    """Yield the rows of bands in groups of so many, the last of what is left."""
    rest: Pixels | None = None
    for band in bands:
        rest = band if rest is None or not len(rest) else np.concatenate((rest, band))
        while len(rest) >= rows:
            yield rest[:rows]
            rest = rest[rows:]
    if rest is not None and len(rest):
        yield rest


def _profile(picture: Picture, options: WriteOptions) -> bytes | None:
    """Return the profile of the colours that the file shall hold; None for sRGB."""
    keeps = format_of(picture, options).metadata and not options.strip_metadata
    understood = picture.said_by != "floats" or keeps_floats(picture, options)
    return picture.icc_profile if keeps and understood else None


def _add_alpha(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Return floating-point samples with their alpha, uint16, as the last."""
    if alpha is None:
        return pixels
    return np.dstack((pixels, (alpha.astype(np.float32) / 65535).astype(pixels.dtype)))


def _lay_on(pixels: Pixels, picture: Picture, background: str) -> Pixels:
    """Return (H, W, C) pixels upon a colour, by the picture's alpha; what was filled in is there to be seen."""
    alpha = picture.alpha
    assert alpha is not None
    most = np.iinfo(pixels.dtype).max
    red, green, blue = (
        np.uint32(level) * np.uint32(most // 255) for level in ImageColor.getrgb(background)[:3]
    )
    colour = np.array((red, green, blue), pixels.dtype)
    below = luma(colour.reshape(1, 1, 3))[0, 0, :1] if pixels.shape[2] == 1 else colour
    result = np.empty_like(pixels)
    for row in range(len(pixels)):  # a row at a time: the products need 64 bits
        opaque = to_depth(alpha[row], 8 * pixels.itemsize).astype(np.uint64)[:, None]
        if picture.filled is not None:
            opaque[picture.filled[row]] = most
        mixed = pixels[row] * opaque + below.astype(np.uint64) * (most - opaque) + most // 2
        result[row] = (mixed // most).astype(pixels.dtype)
    return result


def to_image(picture: Picture) -> Image.Image:
    """Return what a file without loss would hold of a picture, as an image: L, LA, RGB, RGBA, or I;16 of grey."""
    return as_image(samples_of(picture, WriteOptions("tiff")))


def as_image(samples: Pixels) -> Image.Image:
    """Return (H, W, C) samples as an image of Pillow."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
