"""PNG of 16 bits a channel (PNG, third edition), with grey+alpha: no library here does."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from cyclerdm_cli.pictures.picture import Pixels
from cyclerdm_cli.pictures.png_chunks import SIGNATURE, chunk

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2
LEVEL = 4
STRIP_BYTES = 1 << 24


def encode_png16(samples: Pixels) -> bytes:
    """Return a PNG file of (H, W, C) uint16 samples; C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA."""
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    pixels = (chunk(b"IDAT", part) for part in _compressed(samples))
    return b"".join((SIGNATURE, chunk(b"IHDR", header), *pixels, chunk(b"IEND", b"")))


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
