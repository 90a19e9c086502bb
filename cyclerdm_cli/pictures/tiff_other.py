"""TIFF files that neither Pillow nor OpenCV reads exactly: floating point, BigTIFF, planes apart, zstd and others.

The extra `tiff` reads them: tifffile, with imagecodecs for LZW, PackBits, zstd and the like.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import exif
from cyclerdm_cli.pictures.picture import Pixels
from cyclerdm_cli.pictures.tiff_reading import (
    BITS,
    CHANNELS,
    COMPRESSION,
    DEFLATE,
    EXTRA_SAMPLES,
    HEIGHT,
    ICC_PROFILE,
    OLD_DEFLATE,
    PHOTOMETRIC,
    PLAIN,
    PLANES,
    RGB,
    SAMPLE_FORMAT,
    STRIP_OFFSETS,
    WIDTH,
    XMP,
    as_meant,
)

LZW, PACKBITS = 5, 32773
UNSIGNED, SIGNED, FLOAT, UNSAID = 1, 2, 3, 4
COMPRESSIONS = {
    5: "LZW",
    32773: "PackBits",
    34925: "LZMA",
    50000: "zstd",
    8: "deflate",
    32946: "deflate",
    1: "plain",
}
SHORT_TYPE = 3
SUBFILE_TYPE, REDUCED, MOST_COPIES = 254, 1, 8
_ENDS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
MOST_CHANNELS = 8
STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
HINT = "pip install tifffile imagecodecs"


@dataclass(frozen=True)
class Layout:
    """How a page keeps its samples."""

    tags: dict[int, Any]
    orientation: int
    big: bool

    @property
    def floating(self) -> bool:
        """Whether samples are floating-point numbers."""
        return FLOAT in self.tags[SAMPLE_FORMAT]

    @property
    def other(self) -> bool:
        """Whether it takes another reader than the usual ones."""
        bits = set(self.tags[BITS])
        if self.floating:
            return bits <= {16, 32}
        if bits != {16} or set(self.tags[SAMPLE_FORMAT]) != {UNSIGNED}:
            return False
        compression = self.tags[COMPRESSION]
        inflated = compression in (PLAIN, DEFLATE, OLD_DEFLATE) and STRIP_OFFSETS in self.tags
        apart = self.tags[PLANES] == 2 and not inflated
        return self.big or apart or compression not in (PLAIN, DEFLATE, OLD_DEFLATE, LZW, PACKBITS)

    @property
    def strange(self) -> bool:
        """Whether samples are of a kind that nothing here reads."""
        numbers = set(self.tags[SAMPLE_FORMAT]) <= {UNSIGNED, SIGNED, FLOAT, UNSAID}
        usual = (16, 32) if self.floating else (1, 2, 4, 6, 8, 12, 16)
        signed = SIGNED in self.tags[SAMPLE_FORMAT] and max(self.tags[BITS]) > 8
        return not numbers or signed or not set(self.tags[BITS]) <= set(usual)

    @property
    def words(self) -> str:
        """What it is, for people."""
        signed = "signed " if SIGNED in self.tags[SAMPLE_FORMAT] else ""
        kind = "floating point" if self.floating else f"{signed}whole numbers"
        compression = COMPRESSIONS.get(self.tags[COMPRESSION], f"compression {self.tags[COMPRESSION]}")
        apart = ", planes apart" if self.tags[PLANES] == 2 else ""
        return f"{'Big' if self.big else ''}TIFF of {max(self.tags[BITS])} bits, {kind}, {compression}{apart}"


def main_page(data: bytes) -> int:
    """Return the first page of a TIFF file that is no reduced copy of another; 0 for any other file."""
    if data[:4] not in STARTS:
        return 0
    try:
        for number in range(MOST_COPIES):
            place, big = exif.page(data, number)
            if not place:
                return 0
            kind = next(
                (one for one in exif.entries_at(data, place, big=big) if one.tag == SUBFILE_TYPE), None
            )
            if kind is None or not int.from_bytes(kind.value, _ENDS[exif.byte_order(data)]) & REDUCED:
                return number
    except (ValueError, struct.error):
        return 0
    return 0


def layout_of(data: bytes, page: int) -> Layout | None:
    """Return how a page keeps its samples where that takes another reader; None for any other file."""
    if data[:4] not in STARTS:
        return None
    try:
        place, big = exif.page(data, page)
        order = exif.byte_order(data)
        found = {
            one.tag: _numbers(order, one)
            for one in exif.entries_at(data, place, big=big)
            if one.kind in (SHORT_TYPE, 4, 16) and one.count <= MOST_CHANNELS
        }
    except (ValueError, struct.error):
        return None
    if WIDTH not in found or HEIGHT not in found:
        return None
    tags: dict[int, Any] = {BITS: found.get(BITS, (1,)), SAMPLE_FORMAT: found.get(SAMPLE_FORMAT, (UNSIGNED,))}
    defaults = {WIDTH: 0, HEIGHT: 0, COMPRESSION: PLAIN, PHOTOMETRIC: 1, CHANNELS: 1, PLANES: 1}
    tags |= {tag: found.get(tag, (value,))[0] for tag, value in defaults.items()}
    tags[EXTRA_SAMPLES] = found.get(EXTRA_SAMPLES, (0,))
    if any(one.tag == STRIP_OFFSETS for one in exif.entries_at(data, place, big=big)):
        tags[STRIP_OFFSETS] = ()
    layout = Layout(tags, found.get(exif.ORIENTATION, (1,))[0], big)
    return layout if layout.other or layout.strange else None


def _numbers(order: str, entry: exif.Entry) -> tuple[int, ...]:
    letter = {SHORT_TYPE: "H", 4: "I", 16: "Q"}[entry.kind]
    return struct.unpack(f"{order}{entry.count}{letter}", entry.value)


def stand_in(layout: Layout, data: bytes, page: int) -> Image.Image:
    """Return an empty image with such a file's tags and blocks. Raises PictureError where the extra is missing."""
    if layout.strange:
        raise PictureError(
            f"a {layout.words} is not read here",
            hint="8 or 16 bits without a sign are, or 16 or 32 in floating point",
        )
    try:
        import tifffile  # noqa: F401
    except ImportError as error:
        raise PictureError(f"a {layout.words} needs an extra", hint=HINT) from error
    if layout.tags[CHANNELS] > MOST_CHANNELS or layout.tags[PHOTOMETRIC] not in (0, 1, RGB):
        raise PictureError(f"a {layout.words} is read only in grey and RGB")
    place, big = exif.page(data, page)
    blocks = {
        one.tag: one.value for one in exif.entries_at(data, place, big=big) if one.tag in (XMP, ICC_PROFILE)
    }
    image = Image.new("LA", (0, 0))
    image.format = "TIFF"
    image.info = {"xmp": blocks.get(XMP), "icc_profile": blocks.get(ICC_PROFILE)}
    image.tag_v2 = layout.tags  # type: ignore[attr-defined]
    return image


def samples_of(layout: Layout, data: bytes, page: int) -> Pixels:
    """Return (H, W, C) samples, uint16, float16 or float32: grey or RGB, then alpha.

    Raises:
        PictureError: imagecodecs is missing, or nothing reads such a file.
        ValueError: the file is cut short.
    """
    import tifffile

    with tifffile.TiffFile(BytesIO(data)) as file:
        found = file.pages[page]
        ends = [at + size for at, size in zip(found.dataoffsets, found.databytecounts, strict=True)]
        if not ends or min(found.databytecounts) < 1 or max(ends) > len(data):
            raise ValueError("the file is truncated")
        _refuse_endless(layout, found, data)
        try:
            samples = np.asarray(found.asarray())
        except (ValueError, ImportError) as error:
            if isinstance(error, ImportError) or "imagecodecs" in str(error):
                raise PictureError(f"a {layout.words} needs an extra", hint=HINT) from error
            raise
    if samples.ndim == 2:
        samples = samples[..., np.newaxis]
    elif layout.tags[PLANES] == 2:
        samples = np.moveaxis(samples, 0, -1)
    size = (layout.tags[HEIGHT], layout.tags[WIDTH])
    if samples.shape[:2] != size or samples.dtype.kind not in "uf" or samples.dtype.itemsize not in (2, 4):
        raise PictureError(f"a {layout.words} is not read here")
    samples = np.array(samples, dtype=samples.dtype.newbyteorder("="), order="C")
    return samples if layout.floating else as_meant(samples, layout.tags)


def _refuse_endless(layout: Layout, page: Any, data: bytes) -> None:
    """Raise ValueError where a deflated part holds more than its place in the picture."""
    if layout.tags[COMPRESSION] not in (DEFLATE, OLD_DEFLATE):
        return
    most = int(np.prod(page.chunks)) * max(layout.tags[BITS]) // 8
    for at, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if len(zlib.decompressobj().decompress(data[at : at + size], most + 1)) > most:
            raise ValueError("a part of it holds more than its place in the picture")
