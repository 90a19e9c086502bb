"""PNG of 16 bits a channel (PNG, third edition), with grey+alpha and all metadata: no library here does."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from cyclerdm_cli.pictures.picture import Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2
LEVEL = 4
STRIP_BYTES = 1 << 24


def encode_png16(
    samples: Pixels, *, icc_profile: bytes | None = None, exif: bytes | None = None, xmp: bytes | None = None
) -> bytes:
    """Return a PNG file.

    Args:
        samples: (H, W, C) uint16; C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA.
        exif: the TIFF structure, without the `Exif\\0\\0` in front.
    """
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if icc_profile:
        chunks.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile)))
    if exif:
        chunks.append(_chunk(b"eXIf", exif))
    if xmp:
        chunks.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    chunks += [_chunk(b"IDAT", part) for part in _compressed(samples)]
    return b"".join((SIGNATURE, *chunks, _chunk(b"IEND", b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _compressed(samples: Pixels) -> list[bytes]:
    """Compress a strip of rows at a time, each row as its difference from the row above (filter type 2)."""
    height, width, channels = samples.shape
    row_bytes = width * channels * 2
    rows = max(1, STRIP_BYTES // row_bytes)
    above = np.zeros((1, row_bytes), np.uint8)
    compressor = zlib.compressobj(LEVEL)
    parts = []
    for top in range(0, height, rows):
        strip = samples[top : top + rows].astype(">u2").view(np.uint8).reshape(-1, row_bytes)
        filtered = np.full((len(strip), 1 + row_bytes), UP, np.uint8)
        np.subtract(strip, np.concatenate((above, strip[:-1])), out=filtered[:, 1:])
        above = strip[-1:]
        parts.append(compressor.compress(filtered.data))
    parts.append(compressor.flush())
    return [part for part in parts if part]
