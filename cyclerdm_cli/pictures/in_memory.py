"""Pictures that programs hold, arrays and Pillow's images: to a `Picture` and back, as files go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.carrying import carried_back, to_levels
from cyclerdm_cli.pictures.colour import ColourSpace, colour_space, to_srgb
from cyclerdm_cli.pictures.decoding import eight_bits_of, split
from cyclerdm_cli.pictures.masks import THRESHOLD, painted
from cyclerdm_cli.pictures.picture import Mode, Picture, Pixels
from cyclerdm_cli.pictures.samples import to_image

SRGB = ColourSpace("srgb")
FLOAT_RANGE = (-1.0, 2.0)
"""Values of float32 arrays beyond this are on another scale than 0 to 1."""
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of grey pictures with 16 bits."""


def from_array(pixels: Pixels) -> Picture:
    """Return a picture of (H, W, 3) uint8, uint16 or float32, sRGB-encoded; float32 on the scale 0 to 1.

    Raises:
        PictureError: it is another array, empty, or its values are not on that scale.
    """
    kinds = (np.uint8, np.uint16, np.float32)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype.newbyteorder("=") not in kinds:
        raise PictureError(
            f"an array of shape {pixels.shape} and type {pixels.dtype} is no picture",
            hint="(H, W, 3) uint8, uint16 or float32, RGB",
        )
    if not pixels.size:
        raise PictureError(f"an array of shape {pixels.shape} has no pixels")
    pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    if pixels.dtype != np.float32:
        return Picture(pixels, format="tiff")
    low, high = float(pixels.min()), float(pixels.max())
    if not (FLOAT_RANGE[0] <= low and high <= FLOAT_RANGE[1]):  # which values that are no numbers are not
        raise PictureError(
            f"an array of float32 holds values from {low:g} to {high:g}", hint="black is 0 and white is 1"
        )
    return Picture(to_levels(pixels), own=pixels, format="tiff")


def to_array(picture: Picture) -> Pixels:
    """Return the pixels of a picture that came from `from_array`, of the type that they had there.

    What was changed is added to values in float32, so that what was not stays as it was.
    """
    if picture.own is None:
        return picture.pixels
    return carried_back(picture.own, picture.pixels, SRGB, filled=picture.filled)


def upright_image(image: Image.Image) -> Image.Image:
    """Return a copy of an image, loaded, and turned as its EXIF says. Raises PictureError where it is damaged."""
    try:
        image.load()
    except Exception as fault:  # Pillow's plugins raise a dozen types
        raise PictureError(f"the image cannot be loaded: {' '.join(str(fault).split())}") from fault
    if not image.width * image.height:
        raise PictureError("the image has no pixels")
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # as many; damaged EXIF is no reason to refuse the picture
        copied = image.copy()
        copied.info.pop("exif", None)
        return copied


def from_image(image: Image.Image, opened: Image.Image | None = None) -> Picture:
    """Return the picture in an image that lies upright, in sRGB, with its transparency and colour profile.

    Args:
        image: as `upright_image` returns it.
        opened: what it was made from; one that was opened from a JPEG knows how hard that is compressed.

    Raises:
        PictureError: it holds other samples than 8 bits, or 16 bits of grey.
    """
    pixels, alpha, mode = _samples_of(image)
    profile = _profile_for(image, mode)
    space = SRGB if profile is None else colour_space(profile)
    return Picture(
        to_srgb(pixels, space),
        own=pixels if space.changes_pixels else None,
        mode=mode,
        alpha=alpha,
        icc_profile=profile,
        format="tiff",
        quantisation=getattr(opened, "quantization", None) if mode != "cmyk" else None,
    )


def _samples_of(image: Image.Image) -> tuple[Pixels, Pixels | None, Mode]:
    if image.mode in SIXTEEN_BITS:
        return split(np.asarray(image).astype(np.uint16))
    return eight_bits_of(image, [])


def _profile_for(image: Image.Image, mode: Mode) -> bytes | None:
    """Return the profile of an image where it says what such samples mean."""
    profile: bytes | None = image.info.get("icc_profile")
    if not profile or mode == "cmyk":
        return None
    kind = colour_space(profile).kind
    fits = kind != "cmyk" and (kind != "grey" or mode in ("grey", "grey+alpha"))
    return profile if fits else None


def to_image_like(image: Image.Image, picture: Picture) -> Image.Image:
    """Return a picture that came from `from_image`, with what the image said beside its pixels.

    Palettes and inks have become RGB.
    """
    result = to_image(picture)
    result.info = {name: value for name, value in image.info.items() if name != "transparency"}
    if picture.icc_profile is None:
        result.info.pop("icc_profile", None)
    return result


def mask_from(mask: Image.Image | NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return a mask as (H, W) bool, True where the picture is to be filled in.

    Args:
        mask: (H, W) bool; or (H, W) uint8 or an image, in which white is filled in.

    Raises:
        PictureError: it is another array.
    """
    if isinstance(mask, Image.Image):
        return painted(from_image(upright_image(mask)))
    if mask.ndim != 2 or mask.dtype not in (np.bool_, np.uint8):
        raise PictureError(
            f"an array of shape {mask.shape} and type {mask.dtype} is no mask", hint="(H, W) bool or uint8"
        )
    return np.asarray(mask >= THRESHOLD if mask.dtype == np.uint8 else mask, np.bool_)
