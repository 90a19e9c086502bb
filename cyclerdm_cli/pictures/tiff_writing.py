"""TIFF of 8 and 16 bits, deflated, with EXIF, XMP and ICC profile (TIFF 6.0).

OpenCV writes 16 bits but no metadata, Pillow metadata but not 16-bit colours; here is one way for everything.
EXIF is laid out like a TIFF file, so the file begins with the block, and nothing in it moves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import chain
from typing import BinaryIO

from cyclerdm_cli.pictures import exif as blocks
from cyclerdm_cli.pictures.metadata import ELSEWHERE_TAGS, IPTC_TAG, LAYOUT_TAGS, PHOTOSHOP_TAG
from cyclerdm_cli.pictures.photoshop import IPTC, iptc_of, without
from cyclerdm_cli.pictures.picture import NOTHING, Beside, Pixels
from cyclerdm_cli.pictures.samples import in_groups
from cyclerdm_cli.pictures.tiff_reading import (
    BITS,
    CHANNELS,
    COMPRESSION,
    DEFLATE,
    EXTRA_SAMPLES,
    HEIGHT,
    ICC_PROFILE,
    MIN_IS_BLACK,
    PHOTOMETRIC,
    PLANES,
    PREDICTOR,
    RGB,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    STRIP_BYTES,
    STRIP_OFFSETS,
    UNASSOCIATED_ALPHA,
    WIDTH,
    XMP,
)

TARGET_STRIP_BYTES = 1 << 20
LEVEL = 6
DIRECTORY_PLACE = 4
"""Where a file says where its directory lies."""
BYTE_TYPE, SHORT_TYPE, LONG_TYPE, RATIONAL_TYPE, UNDEFINED_TYPE = 1, 3, 4, 5, 7
Y_RESOLUTION, RESOLUTION_UNIT, INCHES = 283, 296, 2
NO_PREDICTOR, DIFFERENCES = 1, 2
FLOATING = 3


def write_tiff(
    stream: BinaryIO,
    bands: Iterable[Pixels],
    height: int,
    beside: Beside = NOTHING,
    *,
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
) -> None:
    """Write a TIFF file, strip after strip.

    Args:
        stream: where to, at its beginning.
        bands: of rows from the top, (h, W, C) uint8, uint16, float16 or float32; C = 1 grey, 2 grey+alpha,
            3 RGB, 4 RGBA.
        height: rows of all of them.
        exif: as in `Picture.exif`; its general tags become the file's own.
    """
    body = exif.removeprefix(blocks.HEADER) if exif else None
    builder = blocks.Builder(body)
    fields = {
        tag: field
        for tag, field in (blocks.fields_of(body) if body else {}).items()
        if tag not in LAYOUT_TAGS | ELSEWHERE_TAGS
    }
    coming = iter(bands)
    first = next(coming)
    rows = min(height, max(1, TARGET_STRIP_BYTES // first[0].nbytes))
    places, sizes = [], []
    for strip in in_groups(chain([first], coming), rows):
        packed = _packed(strip, builder.order)
        places.append(builder.append(packed))
        sizes.append(len(packed))
        stream.write(builder.hand_over())
    for tag, values in _layout(first).items():
        fields[tag] = builder.field(SHORT_TYPE, len(values), builder.number("H" * len(values), *values))
    for tag, values in {
        WIDTH: [first.shape[1]],
        HEIGHT: [height],
        ROWS_PER_STRIP: [rows],
        STRIP_OFFSETS: places,
        STRIP_BYTES: sizes,
    }.items():
        fields[tag] = builder.field(LONG_TYPE, len(values), builder.number("I" * len(values), *values))
    _put_beside(builder, fields, beside)
    if xmp:
        fields[XMP] = builder.field(BYTE_TYPE, len(xmp), xmp)
    if icc_profile:
        fields[ICC_PROFILE] = builder.field(UNDEFINED_TYPE, len(icc_profile), icc_profile)
    place = builder.directory(fields)
    stream.write(builder.data)
    stream.seek(DIRECTORY_PLACE)
    stream.write(builder.number("I", place))


def _put_beside(builder: blocks.Builder, fields: blocks.Fields, beside: Beside) -> None:
    """Add resolution, IPTC and Photoshop's blocks, the first only where EXIF does not say it."""
    if beside.resolution and blocks.X_RESOLUTION not in fields:
        for tag, dots in zip((blocks.X_RESOLUTION, Y_RESOLUTION), beside.resolution, strict=True):
            parts = builder.number("II", round(dots * 1000), 1000)
            fields[tag] = builder.field(RATIONAL_TYPE, 1, parts)
        fields[RESOLUTION_UNIT] = builder.field(SHORT_TYPE, 1, builder.number("H", INCHES))
    if iptc := iptc_of(beside.photoshop):
        fields[IPTC_TAG] = builder.field(UNDEFINED_TYPE, len(iptc), iptc)
    if others := without(beside.photoshop, (IPTC,)):
        fields[PHOTOSHOP_TAG] = builder.field(BYTE_TYPE, len(others), others)


def _layout(samples: Pixels) -> dict[int, list[int]]:
    channels = samples.shape[2]
    layout = {
        BITS: [samples.itemsize * 8] * channels,
        COMPRESSION: [DEFLATE],
        PHOTOMETRIC: [RGB if channels >= 3 else MIN_IS_BLACK],
        CHANNELS: [channels],
        PLANES: [1],
        PREDICTOR: [NO_PREDICTOR if _floating(samples) else DIFFERENCES],
    }
    if _floating(samples):
        layout[SAMPLE_FORMAT] = [FLOATING] * channels
    return layout | ({EXTRA_SAMPLES: [UNASSOCIATED_ALPHA]} if channels in (2, 4) else {})


def _floating(samples: Pixels) -> bool:
    return samples.dtype.kind == "f"


def _packed(strip: Pixels, order: blocks.Order) -> bytes:
    """Deflate rows, whole numbers as differences between neighbours."""
    differences = strip.copy()
    if not _floating(strip):
        differences[:, 1:] -= strip[:, :-1]
    return zlib.compress(differences.astype(differences.dtype.newbyteorder(order)).tobytes(), LEVEL)
