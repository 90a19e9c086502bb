"""Photoshop's blocks, in which JPEG and TIFF files keep IPTC (Adobe Photoshop File Formats, "Image Resources")."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator

SIGNATURE = b"8BIM"
IPTC = 0x0404
PREVIEWS = frozenset((1033, 1036))
RECORD_MARK = 0x1C
"""With which every record of IPTC begins."""


def resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each resource, the bytes whole, with its signature and padding."""
    place = 0
    while block[place : place + 4] == SIGNATURE and place + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, place + 4)
        name = block[place + 6] + 1
        head = place + 6 + name + name % 2
        if head + 4 > len(block):
            return
        (size,) = struct.unpack_from(">I", block, head)
        end = head + 4 + size + size % 2
        yield number, block[place:end]
        place = end


def without(block: bytes | None, numbers: Collection[int]) -> bytes | None:
    """Return blocks without some of the resources; None where none is left."""
    if block is None:
        return None
    return b"".join(whole for number, whole in resources(block) if number not in numbers) or None


def iptc_of(block: bytes | None) -> bytes | None:
    """Return the IPTC in Photoshop's blocks."""
    for number, whole in resources(block or b""):
        if number == IPTC:
            name = whole[6] + 1
            head = 6 + name + name % 2
            (size,) = struct.unpack_from(">I", whole, head)
            return whole[head + 4 : head + 4 + size]
    return None


def with_iptc(block: bytes | None, iptc: bytes | None) -> bytes | None:
    """Return Photoshop's blocks with IPTC that a file keeps beside them, or has instead."""
    if not iptc or iptc_of(block):
        return block
    if iptc.startswith(SIGNATURE):
        return (block or b"") + iptc
    whole = SIGNATURE + struct.pack(">HHI", IPTC, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    return whole + (block or b"")


def in_order(iptc: bytes) -> bytes:
    """Return IPTC from a TIFF file, which some programs write as numbers of four bytes turned around."""
    if iptc[:1] == bytes((RECORD_MARK,)) or len(iptc) % 4 or iptc[3] != RECORD_MARK:
        return iptc
    return b"".join(iptc[at : at + 4][::-1] for at in range(0, len(iptc), 4))
