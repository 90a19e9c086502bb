"""Whether a file can hold the picture that its header speaks of; asked before anything is decoded.

Pillow takes a PNG whose compressed stream ends early for a whole one, and leaves the rest of the picture black; and
decoders make room for whatever size a header names, though a few bytes of damage named it. So the work
is bounded by what the file holds: what it says of itself is believed only as far as its bytes can bear it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from cyclerdm_cli.pictures.bmp_runs import PILLOWS
from cyclerdm_cli.pictures.tiff_layout import refuse_impossible

MOST_PIXELS_A_BYTE = 512
"""Of a JPEG with Huffman codes: each block of 64 pixels takes one bit at least (ITU-T T.81, annexes F and G)."""
MOST_SCANS = 100
"""Of a JPEG: encoders make 20 at most, and each one is work for the whole picture."""
MOST_SCANNED_A_BYTE = 16 * MOST_PIXELS_A_BYTE
"""Pixels of a JPEG in all its scans."""
MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
"""Of a JPEG, but for those that stand alone: before each of the others' contents stands their length."""
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
MOST_RUN = 128
"""Pixels that a byte of a run-length coded BMP can stand for: a run of 255 takes two."""
ARITHMETIC_STARTS = (b"\xff\xc9", b"\xff\xca", b"\xff\xcb")
DEEPEST_SQUEEZE = 1032
"""Deflate cannot hold more bytes in one."""
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a PNG's colour types, in a pixel."""
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, every so many rows, every so many columns (PNG, third edition, section 8)."""
PIECE = 1 << 20


def refuse_incomplete(kind: str, data: bytes, image: Image.Image) -> None:
    """Raise ValueError where a file is too short for its size, or asks for far more work than its bytes.

    Formats that are not looked at here have decoders that see to it.

    Args:
        kind: a name of `formats.FORMATS`.
        data: the whole file.
        image: as opened, at its first frame; of a TIFF file at any.
    """
    pixels = image.width * image.height
    if kind == "png":
        _refuse_missing_rows(data)
    elif kind == "jpg" and _has_huffman_codes(data):
        _refuse_endless_scans(data, pixels)
    elif kind == "jpg":
        count_scans(data)
    elif kind == "tiff":
        refuse_impossible(image.tag_v2, len(data))  # type: ignore[attr-defined]
    elif kind == "bmp" and pixels > MOST_RUN * len(data) and _has_runs(image):
        raise ValueError("the file is truncated: too short for the size in its header")


def _has_runs(image: Image.Image) -> bool:
    """Tell whether an opened BMP is run-length coded."""
    return any(tile[0] == PILLOWS for tile in getattr(image, "tile", ()))


def _refuse_endless_scans(data: bytes, pixels: int) -> None:
    """Raise ValueError where a JPEG with Huffman codes has fewer bytes than its blocks, or scans without end."""
    scans = count_scans(data)
    if pixels > MOST_PIXELS_A_BYTE * len(data):
        raise ValueError("the file is truncated: too short for the size in its header")
    if pixels * scans > MOST_SCANNED_A_BYTE * len(data):
        raise ValueError(f"{scans} scans are too many for so short a file")


def count_scans(data: bytes) -> int:
    """Return how many scans the first picture of a JPEG file has. Raises ValueError: more than anyone makes."""
    scans, place = 0, 2
    while found := MARKER.search(data, place):
        marker, place = data[found.end() - 1], found.end()
        if marker == END_OF_IMAGE:
            break
        scans += marker == START_OF_SCAN
        if scans > MOST_SCANS:
            raise ValueError(f"it has more than {MOST_SCANS} scans")
        place += int.from_bytes(data[place : place + 2], "big")
    return scans


def has_end(data: bytes) -> bool:
    """Tell whether the first picture of a JPEG file goes on to the marker of its end."""
    place = 2
    while found := MARKER.search(data, place):
        if data[found.end() - 1] == END_OF_IMAGE:
            return True
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return False


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
