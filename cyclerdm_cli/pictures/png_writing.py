"""PNG written strip by strip (PNG, third edition): of 16 bits a channel with grey+alpha, which no library here
does, and of 8 bits without a copy of the picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

import numpy as np

from cyclerdm_cli.pictures.picture import Pixels
from cyclerdm_cli.pictures.png_chunks import SIGNATURE, chunk
from cyclerdm_cli.pictures.samples import in_groups

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2
LEVEL = 4
STRIP_BYTES = 1 << 24


def write_png(
    stream: BinaryIO, bands: Iterable[Pixels], height: int, beside: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Write a PNG file.

    Args:
        stream: where to.
        bands: of rows from the top, (h, W, C) uint8 or uint16; C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA.
        height: rows of all of them.
        beside: name and contents of further chunks.
    """
    coming = iter(bands)
    first = next(coming)
    _, width, channels = first.shape
    bits = 8 * first.itemsize
    header = struct.pack(">IIBBBBB", width, height, bits, COLOUR_TYPES[channels], 0, 0, 0)
    stream.write(SIGNATURE + chunk(b"IHDR", header))
    for name, data in beside:
        stream.write(chunk(name, data))
    rows = max(1, STRIP_BYTES // first[0].nbytes)
    for part in _compressed(in_groups(chain([first], coming), rows), first[0].nbytes):
        stream.write(chunk(b"IDAT", part))
    stream.write(chunk(b"IEND", b""))


def _compressed(strips: Iterable[Pixels], row_bytes: int) -> Iterator[bytes]:
    """Compress a strip of rows at a time, each row as its difference from the row above (filter type 2)."""
    above = np.zeros((1, row_bytes), np.uint8)
    compressor = zlib.compressobj(LEVEL)
    for strip in strips:
        rows = strip.astype(strip.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, row_bytes)
        filtered = np.full((len(rows), 1 + row_bytes), UP, np.uint8)
        np.subtract(rows, np.concatenate((above, rows[:-1])), out=filtered[:, 1:])
        above = rows[-1:].copy()
        if part := compressor.compress(filtered.data):
            yield part
    yield compressor.flush()
