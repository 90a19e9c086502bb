"""An opened image -> numpy arrays with every bit that the file holds."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import many_bits, tiff_reading
from cyclerdm_cli.pictures.bmp_runs import with_own_decoder
from cyclerdm_cli.pictures.colour import cmyk_to_rgb, colour_space
from cyclerdm_cli.pictures.formats import Format
from cyclerdm_cli.pictures.picture import Mode, Pixels

STRIP_PIXELS = 1 << 20


def samples_of(
    image: Image.Image, data: bytes, kind: Format, frame: int, notes: list[str]
) -> tuple[Pixels, Pixels | None, Mode]:
    """Return (H, W, 3) pixels, (H, W) alpha or None, and the mode; in the file's colours.

    As stored, not upright, unless `turns_by_itself`.

    Args:
        data: the file that `image` was opened from, at the right frame; nothing need be decoded yet.
        notes: gets a line for whatever people should know.

    Raises whatever Pillow raises over damaged files, and `ValueError` and `PictureError` of its own.
    """
    if (bits := many_bits.bits_of(image, data, kind.name)) > 8:
        if many_bits.can_read(kind.name):
            return split(many_bits.samples_of(image, data, kind.name, frame))
        notes.append(f"{bits} bits a channel in {kind.title} are read as 8 (all of them with imagecodecs)")
    with_own_decoder(image)
    image.load()  # decodes all of it, and so finds out whether the file is whole
    tags = getattr(image, "tag_v2", None)
    if kind.name == "tiff" and tags is not None and tiff_reading.has_sixteen_bits(tags):
        return split(tiff_reading.samples_of(data, tags, frame))
    if tags is not None and 16 in tags.get(tiff_reading.BITS, ()):
        notes.append("16 bits a channel are read as 8 in a TIFF file that is neither grey nor RGB")
    if kind.name == "png" and data[24] == 16:
        if frame == 0:
            return split(_png_sixteen_bits(data, image))
        notes.append("further frames are read with 8 bits a channel")
    return eight_bits_of(image, notes)


def eight_bits_of(image: Image.Image, notes: list[str]) -> tuple[Pixels, Pixels | None, Mode]:
    """Return what `samples_of` does, 8 bits a channel. Raises PictureError where the image holds something else."""
    transparent = image.has_transparency_data
    mode = image.mode
    if mode == "CMYK":
        notes.append("CMYK converted to sRGB")
        profile = image.info.get("icc_profile")
        return np.asarray(cmyk_to_rgb(image, colour_space(profile) if profile else None)), None, "cmyk"
    if mode in ("P", "PA"):
        notes.append("palette converted to RGB")
        pixels, alpha, _ = split(np.asarray(image.convert("RGBA" if transparent else "RGB")))
        return pixels, alpha, "palette"
    if mode in ("1", "L", "LA", "La"):
        wanted = "LA" if transparent else "L"
    elif mode in ("RGB", "RGBA", "RGBa", "YCbCr"):
        wanted = "RGBA" if transparent else "RGB"
    else:
        raise PictureError(
            f"samples of the kind {mode!r} are not read here", hint="8 or 16 bits a channel are"
        )
    return split(_as_array(image, wanted))


def _as_array(image: Image.Image, mode: str) -> Pixels:
    """Return a decoded image as (H, W, C) uint8, strip by strip: all at once, Pillow copies it thrice."""
    samples = np.empty((image.height, image.width, len(mode)), np.uint8)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        samples[top : top + rows] = np.asarray(strip.convert(mode)).reshape(-1, image.width, len(mode))
    return samples


def has_sixteen_bits(image: Image.Image, data: bytes, kind: Format) -> bool:
    """Tell from a file's header whether `samples_of` will give 16 bits a channel."""
    tags = getattr(image, "tag_v2", None)
    if kind.name == "tiff" and tags is not None:
        return tiff_reading.has_sixteen_bits(tags)
    if kind.name in many_bits.READERS:
        return many_bits.bits_of(image, data, kind.name) > 8 and many_bits.can_read(kind.name)
    return kind.name == "png" and data[24] == 16


def _png_sixteen_bits(data: bytes, image: Image.Image) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("the picture is truncated")
    samples = tiff_reading.channels_last(np.asarray(decoded))
    level = image.info.get("transparency")
    if samples.shape[2] == 1 and isinstance(level, int):  # OpenCV does this for RGB, not for grey
        opaque = np.where(samples == level, 0, 65535).astype(np.uint16)
        return np.concatenate((samples, opaque), axis=2)
    if samples.shape[2] == 4 and data[25] == 4:  # grey with alpha, which OpenCV spreads over four channels
        return samples[..., [0, 3]]
    return samples


def split(samples: Pixels) -> tuple[Pixels, Pixels | None, Mode]:
    """Part (H, W) or (H, W, 1 to 4) samples into (H, W, 3) colours, (H, W) alpha or None, and the mode."""
    if samples.ndim == 2:
        samples = samples[..., np.newaxis]
    channels = samples.shape[2]
    grey = channels < 3
    colours = 1 if grey else 3
    alpha = np.ascontiguousarray(samples[..., colours]) if channels > colours else None
    pixels = np.repeat(samples[..., :1], 3, axis=2) if grey else np.ascontiguousarray(samples[..., :3])
    if grey:
        return pixels, alpha, "grey" if alpha is None else "grey+alpha"
    return pixels, alpha, "rgb" if alpha is None else "rgba"


def turns_by_itself(image: Image.Image, kind: Format) -> bool:
    """Tell whether `samples_of` has applied the orientation: Pillow does, with the TIFF files that it decodes."""
    tags = getattr(image, "tag_v2", None)
    return kind.name == "tiff" and tags is not None and not tiff_reading.has_sixteen_bits(tags)


def upright(samples: Pixels, orientation: int) -> Pixels:
    """Return (H, W, ...) samples as EXIF orientation 1 to 8 wants them seen (CIPA DC-008, 4.6.4)."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)
