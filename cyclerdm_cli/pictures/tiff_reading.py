"""TIFF samples of 16 bits, exactly (TIFF 6.0; Adobe Photoshop TIFF Technical Notes for deflate).

Pillow halves 16-bit colours and does not know 16-bit grey with alpha; OpenCV mixes up the channels of files
whose planes lie apart. So plain and deflated strips are read here, and OpenCV gets LZW, tiles and the like.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cyclerdm_cli.pictures.mapped import take
from cyclerdm_cli.pictures.picture import Pixels

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, CHANNELS, ROWS_PER_STRIP, STRIP_BYTES, PLANES = 273, 277, 278, 279, 284
PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC_PROFILE = 317, 338, 339, 700, 34675
PLAIN, DEFLATE, OLD_DEFLATE = 1, 8, 32946
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2


def is_tiff(data: bytes) -> bool:
    """Tell a TIFF file by its first bytes."""
    return data[:4] in (b"II*\0", b"MM\0*")


def directory(data: bytes) -> ImageFileDirectory_v2:
    """Return the tags of a TIFF file's first picture. Raises what Pillow raises over a damaged file."""
    tags = ImageFileDirectory_v2(data[:8])
    stream = BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    return tags


def grey_alpha_image(data: bytes) -> Image.Image | None:
    """Return a stand-in for what Pillow cannot open, 16-bit grey with alpha: an empty "LA" with all its tags.

    None for any other file. `samples_of` fills in what the stand-in leaves empty.
    """
    tags = directory(data)
    if tags.get(PHOTOMETRIC) not in (MIN_IS_WHITE, MIN_IS_BLACK) or tags.get(BITS) != (16, 16):
        return None
    if tags.get(CHANNELS) != 2:
        raise ValueError(f"it says {str(tags.get(CHANNELS))[:40]} samples a pixel, and the bits of 2")
    image = Image.new("LA", (0, 0))
    image.format = "TIFF"
    image.info = {"exif": data, "xmp": tags.get(XMP), "icc_profile": tags.get(ICC_PROFILE)}
    image.tag_v2 = tags  # type: ignore[attr-defined]
    return image


def has_sixteen_bits(tags: Any) -> bool:
    """Tell whether grey or RGB samples are unsigned whole numbers of 16 bits."""
    return (
        set(tags.get(BITS, (1,))) == {16}
        and set(tags.get(SAMPLE_FORMAT, (1,))) == {1}
        and tags.get(PHOTOMETRIC) in (MIN_IS_WHITE, MIN_IS_BLACK, RGB)
    )


def samples_of(data: bytes, tags: Any, frame: int) -> Pixels:
    """Return the samples of a 16-bit grey or RGB file as (H, W, C) uint16: grey or RGB, then alpha.

    Black is 0 whichever way the file counts, and colours are no longer multiplied by alpha.

    Raises:
        ValueError: the strips are incomplete, or laid out in a way that nothing here reads exactly.
    """
    return as_meant(from_strips(data, tags) if is_in_strips(tags) else _by_opencv(data, tags, frame), tags)


def as_meant(samples: Pixels, tags: Any) -> Pixels:
    """Return (H, W, C) uint16 samples of a file with black as 0, alpha apart from colours, and no further bands."""
    colours = 3 if tags[PHOTOMETRIC] == RGB else 1
    if tags[PHOTOMETRIC] == MIN_IS_WHITE:
        samples[..., 0] = 65535 - samples[..., 0]
    extra = tags.get(EXTRA_SAMPLES, (0,))[0]
    if extra not in (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA):
        return samples[..., :colours]
    if extra == ASSOCIATED_ALPHA:
        _divide_by_alpha(samples, colours)
    return samples[..., : colours + 1]


def is_in_strips(tags: Any) -> bool:
    """Tell whether samples lie in strips of the kinds that are read here."""
    return STRIP_OFFSETS in tags and tags.get(COMPRESSION, PLAIN) in (PLAIN, DEFLATE, OLD_DEFLATE)


def from_strips(data: bytes, tags: Any) -> Pixels:
    """Return samples that are `is_in_strips` as (H, W, C), uint8 where they have 8 bits and else uint16.

    Raises ValueError where there are fewer than the size says.
    """
    dtype: type[np.uint8] | type[np.uint16] = np.uint8 if set(tags.get(BITS, (16,))) == {8} else np.uint16
    width, height, channels = tags[WIDTH], tags[HEIGHT], tags.get(CHANNELS, 1)
    apart = tags.get(PLANES, 1) == 2
    planes, together = (channels, 1) if apart else (1, channels)
    rows = min(tags.get(ROWS_PER_STRIP, height), height)
    strips = -(-height // rows)
    offsets, sizes = tags[STRIP_OFFSETS], tags[STRIP_BYTES]
    if len(offsets) < planes * strips or len(sizes) < planes * strips:
        raise ValueError("strips are missing")
    order = np.dtype(dtype).newbyteorder("<" if data[:2] == b"II" else ">")
    samples = np.empty((height, width, channels), dtype)
    for index in range(planes * strips):
        plane, top = index // strips, index % strips * rows
        here = min(rows, height - top)
        start, end = offsets[index], offsets[index] + sizes[index]
        raw = take(data, start, end)
        expected = here * width * together * order.itemsize
        if tags.get(COMPRESSION, PLAIN) != PLAIN:
            raw = zlib.decompressobj().decompress(raw, expected)
        if len(raw) < expected:
            raise ValueError("the file is truncated")
        strip = np.frombuffer(raw[:expected], order).reshape(here, width, together)
        if tags.get(PREDICTOR, 1) == 2:
            strip = np.cumsum(strip, axis=1, dtype=dtype)
        samples[top : top + here, :, plane : plane + together] = strip
    return samples


def _by_opencv(data: bytes, tags: Any, frame: int) -> Pixels:
    if tags.get(PLANES, 1) == 2:
        raise ValueError("16-bit planes that lie apart are read only without compression or with deflate")
    found, pages = cv2.imdecodemulti(
        np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, None, (frame, frame + 1)
    )
    if not found or pages[0].dtype != np.uint16 or pages[0].shape[:2] != (tags[HEIGHT], tags[WIDTH]):
        raise ValueError("the samples cannot be decoded")
    return channels_last(np.asarray(pages[0]))


def channels_last(samples: Pixels) -> Pixels:
    """Return what OpenCV decoded, (H, W) or blue-green-red first, as (H, W, C) with red first."""
    if samples.ndim == 2:
        return samples[..., np.newaxis]
    conversion = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}.get(samples.shape[2])
    return samples if conversion is None else np.asarray(cv2.cvtColor(samples, conversion))


def _divide_by_alpha(samples: Pixels, colours: int) -> None:
    for row in samples:  # a row at a time: the products need 32 bits
        alpha = np.maximum(row[:, colours : colours + 1].astype(np.uint32), 1)
        straight = (row[:, :colours] * np.uint32(65535) + alpha // 2) // alpha
        row[:, :colours] = np.minimum(straight, 65535)
