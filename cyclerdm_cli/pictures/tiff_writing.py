"""TIFF of 8 and 16 bits, deflated, with EXIF, XMP and ICC profile (TIFF 6.0).

OpenCV writes 16 bits but no metadata, Pillow metadata but not 16-bit colours; here is one way for everything.
Pillow packs the tags.
"""

from __future__ import annotations

import zlib
from io import BytesIO

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cyclerdm_cli.pictures.metadata import exif_directories
from cyclerdm_cli.pictures.picture import Pixels
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
    STRIP_BYTES,
    STRIP_OFFSETS,
    UNASSOCIATED_ALPHA,
    WIDTH,
    XMP,
)

TARGET_STRIP_BYTES = 1 << 20
LEVEL = 6
UNDEFINED_TYPE, BYTE_TYPE, LONG_TYPE = 7, 1, 4


def encode_tiff(
    samples: Pixels, *, icc_profile: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None
) -> bytes:
    """Return a TIFF file.

    Args:
        samples: (H, W, C) uint8 or uint16; C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA.
        exif: as in `Picture.exif`; its general tags become the file's own.
    """
    height, width, channels = samples.shape
    rows = max(1, TARGET_STRIP_BYTES // (width * channels * samples.itemsize))
    strips = [_strip(samples[top : top + rows]) for top in range(0, height, rows)]
    tags = ImageFileDirectory_v2()
    if exif:
        block = Image.Exif()
        block.load(exif)
        for tag, value in exif_directories(block).items():
            tags[tag] = value
    tags[WIDTH], tags[HEIGHT] = width, height
    tags[BITS] = (samples.itemsize * 8,) * channels
    tags[COMPRESSION] = DEFLATE
    tags[PHOTOMETRIC] = RGB if channels >= 3 else MIN_IS_BLACK
    tags[CHANNELS] = channels
    tags[ROWS_PER_STRIP] = min(rows, height)
    tags[PLANES] = 1
    tags[PREDICTOR] = 2
    if channels in (2, 4):
        tags[EXTRA_SAMPLES] = (UNASSOCIATED_ALPHA,)
    if xmp:
        tags.tagtype[XMP] = BYTE_TYPE
        tags[XMP] = xmp
    if icc_profile:
        tags.tagtype[ICC_PROFILE] = UNDEFINED_TYPE
        tags[ICC_PROFILE] = icc_profile
    sizes = [len(strip) for strip in strips]
    tags.tagtype[STRIP_OFFSETS] = tags.tagtype[STRIP_BYTES] = LONG_TYPE
    tags[STRIP_BYTES] = tuple(sizes)
    # Counted from the end of the tags: Pillow adds where that is once it has packed them.
    tags[STRIP_OFFSETS] = tuple(sum(sizes[:index]) for index in range(len(sizes)))
    stream = BytesIO()
    tags.save(stream)
    return b"".join((stream.getvalue(), *strips))


def _strip(samples: Pixels) -> bytes:
    """Deflate rows as differences between neighbours (predictor 2), low byte first."""
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]
    return zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes(), LEVEL)
