"""Whether a file can hold the picture that its header speaks of; asked before anything is decoded.

Pillow takes a PNG whose compressed stream ends early for a whole one, and leaves the rest of the picture black; and
decoders make room for whatever size a header names, though a few bytes of damage named it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MOST_PIXELS_A_BYTE = 512
"""Of a JPEG with Huffman codes: each block of 64 pixels takes one bit at least (ITU-T T.81, annexes F and G)."""
ARITHMETIC_STARTS = (b"\xff\xc9", b"\xff\xca", b"\xff\xcb")
DEEPEST_SQUEEZE = 1032
"""Deflate cannot hold more bytes in one."""
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a PNG's colour types, in a pixel."""
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, every so many rows, every so many columns (PNG, third edition, section 8)."""
PIECE = 1 << 20


def refuse_incomplete(kind: str, data: bytes, size: tuple[int, int]) -> None:
    """Raise ValueError where a JPEG or PNG file is too short for its size; other formats' decoders see to it.

    Args:
        kind: a name of `formats.FORMATS`.
        data: the whole file.
        size: (height, width) that its header says.
    """
    if kind == "png":
        _refuse_missing_rows(data)
    if kind == "jpg" and size[0] * size[1] > MOST_PIXELS_A_BYTE * len(data) and _has_huffman_codes(data):
        raise ValueError("the file is truncated: too short for the size in its header")


def _has_huffman_codes(data: bytes) -> bool:
    """Tell a JPEG of the common kind; arithmetic codes take less than a bit where nothing changes."""
    return not any(start in data for start in ARITHMETIC_STARTS)


def _refuse_missing_rows(data: bytes) -> None:
    """Raise ValueError where the first picture of a PNG file has fewer bytes than its size needs.

    Nothing is kept of what is unpacked; sizes that no stream of that length can fill are refused before unpacking.
    """
    expected = _expected_bytes(data)
    streams = list(_pixel_chunks(data))
    if expected > DEEPEST_SQUEEZE * (sum(map(len, streams)) + 1):
        raise ValueError("the file is truncated: too short for the size in its header")
    unpacker, found = zlib.decompressobj(), 0
    for stream in streams:
        rest: bytes | memoryview = stream
        while rest and not unpacker.eof and found < expected:
            found += len(unpacker.decompress(rest, PIECE))
            rest = unpacker.unconsumed_tail
    while found < expected and not unpacker.eof and (more := len(unpacker.decompress(b"", PIECE))):
        found += more
    if found < expected:
        raise ValueError("the file is truncated: rows are missing")


def _expected_bytes(data: bytes) -> int:
    width, height, bits, colours, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    sample_bits = bits * SAMPLES[colours]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for top, left, rows_apart, columns_apart in passes:
        rows = max(0, -(-(height - top) // rows_apart))
        columns = max(0, -(-(width - left) // columns_apart))
        total += rows * (1 + -(-columns * sample_bits // 8)) if columns else 0
    return total


def _pixel_chunks(data: bytes) -> Iterator[memoryview]:
    view, position = memoryview(data), 8
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if position + 8 + length > len(data):
            raise ValueError("the file is truncated within a chunk")
        if name == b"IDAT":
            yield view[position + 8 : position + 8 + length]
        if name == b"IEND":
            return
        position += 12 + length
