"""Whether the tables of a TIFF file can hold the picture that it speaks of (TIFF 6.0); asked before decoding.

Decoders make room for whatever the tags say, and leave black what no strip or tile fills.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.pictures.tiff_reading import (
    BITS,
    CHANNELS,
    COMPRESSION,
    DEFLATE,
    HEIGHT,
    OLD_DEFLATE,
    PHOTOMETRIC,
    PLAIN,
    PLANES,
    ROWS_PER_STRIP,
    STRIP_BYTES,
    STRIP_OFFSETS,
    WIDTH,
)

TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
YCBCR = 6
SQUEEZE = {
    PLAIN: 1, 5: 2731, 7: 1536, DEFLATE: 1032, OLD_DEFLATE: 1032, 32773: 64, 34925: 1 << 15, 50000: 1 << 15,
}  # fmt: skip
"""Bytes that one byte can hold at most: plain, LZW, JPEG, deflate twice, PackBits, LZMA, Zstandard. The codes of
fax machines have no such bound: a white row takes a bit."""
SUBSAMPLED = 3
"""How many times fewer samples there may be where colours have a lower resolution."""
SHARED = 16
"""How many times over the bytes of a file may serve: some writers store equal strips once."""
MOST_CHANNELS = 8
BIG = (b"II+\0", b"MM\0+")


def refuse_impossible(tags: Any, length: int) -> None:
    """Raise ValueError where strips or tiles are missing, too short, or shared without end.

    Args:
        tags: of the picture, by number, as Pillow reads them.
        length: of the file, in bytes.
    """
    width, height, channels = (_whole(tags, tag, value) for tag, value in SIZES)
    bits = tags.get(BITS, (1,))
    if channels > MOST_CHANNELS or (len(bits) > 1 and len(bits) != channels):
        raise ValueError(f"it says {channels} samples a pixel, and the bits of {len(bits)}")
    kind, offset_tag, bytes_tag, needed = _pieces(tags, width, height)
    needed *= channels if tags.get(PLANES, 1) == 2 else 1
    offsets = _numbers(tags, offset_tag, needed, kind)
    if len(offsets) < needed:
        raise ValueError(f"the file is truncated: {needed - len(offsets)} of {needed} {kind} are missing")
    sizes = _numbers(tags, bytes_tag, needed, kind) if bytes_tag in tags else np.full(needed, length)
    if len(sizes) < needed or not bool(((offsets > 0) & (offsets < length) & (sizes > 0)).all()):
        raise ValueError(f"the file is truncated: {kind} are missing")
    held = int(np.minimum(sizes, length - offsets).sum())
    if bytes_tag in tags and held > SHARED * length:
        raise ValueError(f"its {kind} take the same bytes over and over")
    squeeze = SQUEEZE.get(tags.get(COMPRESSION, PLAIN))
    depth = sum(bits) if len(bits) > 1 else bits[0] * channels
    expected = width * height * depth // 8 // (SUBSAMPLED if tags.get(PHOTOMETRIC) == YCBCR else 1)
    if squeeze is not None and expected > squeeze * held:
        raise ValueError("the file is truncated: too short for the size in its header")


SIZES = ((WIDTH, 0), (HEIGHT, 0), (CHANNELS, 1))
"""Tags of one number, and what they are where they are not given."""


def _whole(tags: Any, tag: int, default: int) -> int:
    """Return a tag that is one number above zero."""
    value = tags.get(tag, default)
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"tag {tag} is {str(value)[:40]}, not a whole number above 0")
    return value


def _pieces(tags: Any, width: int, height: int) -> tuple[str, int, int, int]:
    """Return what a plane is cut into, the tags of offsets and bytes, and how many there must be."""
    if TILE_OFFSETS in tags:
        across, down = (_whole(tags, tag, 0) for tag in (TILE_WIDTH, TILE_HEIGHT))
        return "tiles", TILE_OFFSETS, TILE_BYTES, -(-width // across) * -(-height // down)
    return "strips", STRIP_OFFSETS, STRIP_BYTES, -(-height // _whole(tags, ROWS_PER_STRIP, height))


def _numbers(tags: Any, tag: int, most: int, kind: str) -> NDArray[np.int64]:
    """Return the first numbers of a table; those beyond all files count as far behind the end."""
    found = tags.get(tag, ())
    values = np.asarray(found if isinstance(found, tuple) else (found,))[:most]
    if len(values) and values.dtype.kind not in "iu":
        raise ValueError(f"its table of {kind} holds no whole numbers")
    return np.minimum(values, np.iinfo(np.int64).max // 2).astype(np.int64)


def count_pages(data: bytes) -> int:
    """Return how many directories follow each other, to the last that lies in the file; a circle ends there."""
    big = data[:4] in BIG
    order = "<" if data[:2] == b"II" else ">"
    entries, pointer, entry_bytes = (f"{order}Q", f"{order}Q", 20) if big else (f"{order}H", f"{order}I", 12)
    place = 8 if big else 4
    seen: set[int] = set()
    while place + struct.calcsize(pointer) <= len(data):
        (offset,) = struct.unpack_from(pointer, data, place)
        if not offset or offset in seen or offset + struct.calcsize(entries) > len(data):
            break
        seen.add(offset)
        (count,) = struct.unpack_from(entries, data, offset)
        place = offset + struct.calcsize(entries) + entry_bytes * count
    return len(seen)
