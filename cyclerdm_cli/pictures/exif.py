"""EXIF as the bytes that it is (TIFF 6.0, section 2; CIPA DC-008): nothing is decoded that need not be changed.

Maker notes hold offsets that only their camera knows, texts are in whatever encoding somebody chose: both stay
right only where nobody moves or rewrites them. So a block is changed in place; and a TIFF file that takes one up
begins with it, and has its first directory behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

HEADER = b"Exif\0\0"
CAMERA, GPS, INTEROP = 0x8769, 0x8825, 0xA005
LINKS = frozenset((CAMERA, GPS, INTEROP))
ORIENTATION, X_RESOLUTION = 274, 282
PAIRS = ((256, 257), (282, 283), (0xA002, 0xA003), (0xA20E, 0xA20F))
"""Tags that are true of the other side once a picture is turned: sizes and resolutions."""
MAKER_NOTE, DIRECTORY, LONG = 37500, 13, 4
BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
"""Of one value of each type, the 64-bit ones of BigTIFF too."""

Order = Literal["<", ">"]
Fields = dict[int, bytes]
"""Tag -> type, count and value or its place: the ten bytes of an entry that follow the tag."""


@dataclass(frozen=True)
class Entry:
    """One tag of a directory."""

    tag: int
    kind: int
    count: int
    value: bytes
    """As in the file, in its byte order."""


def byte_order(data: bytes | bytearray) -> Order:
    """Return the byte order of a TIFF structure as `struct` writes it. Raises ValueError where it is none."""
    if len(data) < 8 or data[:2] not in (b"II", b"MM"):
        raise ValueError("no TIFF structure")
    return "<" if data[:2] == b"II" else ">"


def upright(block: bytes, orientation: int) -> tuple[bytes | None, bool]:
    """Return a block as it is true of a picture turned upright, and whether it had a thumbnail.

    The orientation goes, sizes change places where the picture lay on its side, the link to the thumbnail is cut;
    all else stays where it is. None where nothing is left.

    Args:
        block: may begin with `Exif\\0\\0`; what comes back does.
        orientation: that the picture had, 1 to 8.

    Raises:
        ValueError, struct.error: the block is damaged.
    """
    body = bytearray(block.removeprefix(HEADER))
    order = byte_order(body)
    (first,) = struct.unpack_from(order + "I", body, 4)
    left = _without(body, order, first, ORIENTATION)
    if orientation >= 5:
        _swap_sides(body, order, first)
    end = first + 2 + 12 * left
    link = struct.unpack_from(order + "I", body, end)[0] if len(body) >= end + 4 else 0
    thumbnail = 8 <= link < len(body)
    if thumbnail:
        body[end : end + 4] = bytes(4)
    return (HEADER + bytes(body) if left else None), thumbnail


def _without(body: bytearray, order: str, directory: int, tag: int) -> int:
    """Take a tag out of a directory, moving up what follows it there; return how many are left."""
    (count,) = struct.unpack_from(order + "H", body, directory)
    if directory + 2 + 12 * count > len(body):
        raise ValueError("a directory is cut short")
    end = min(directory + 2 + 12 * count + 4, len(body))
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", body, entry)[0] == tag:
            body[entry:end] = body[entry + 12 : end].ljust(end - entry, b"\0")
            struct.pack_into(order + "H", body, directory, count - 1)
            return count - 1
    return int(count)


def _swap_sides(body: bytearray, order: str, directory: int, inner: bool = False) -> None:
    (count,) = struct.unpack_from(order + "H", body, directory)
    places = {
        struct.unpack_from(order + "H", body, entry)[0]: entry + 2
        for entry in range(directory + 2, directory + 2 + 12 * count, 12)
        if entry + 12 <= len(body)
    }
    for one, other in PAIRS:
        if one in places and other in places:
            here, there = (slice(places[tag], places[tag] + 10) for tag in (one, other))
            body[here], body[there] = body[there], body[here]
    if CAMERA in places and not inner:
        (camera,) = struct.unpack_from(order + "I", body, places[CAMERA] + 6)
        if camera + 2 <= len(body) and camera != directory:
            _swap_sides(body, order, camera, inner=True)


def entries_at(data: bytes, directory: int, *, big: bool = False) -> Iterator[Entry]:
    """Yield the entries of a directory of a TIFF structure; those whose values lie outside of it are passed over.

    Args:
        big: whether places are 64-bit numbers, as in BigTIFF.
    """
    order, head, step, room = byte_order(data), *(("Q", 20, 8) if big else ("H", 12, 4))
    (count,) = struct.unpack_from(order + head, data, directory)
    start = directory + (8 if big else 2)
    for entry in range(start, min(start + step * count, len(data) - step + 1), step):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, entry)
        size, place = BYTES.get(kind, 0) * number, entry + step - room
        if size > room:
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
        if size and place + size <= len(data):
            yield Entry(tag, kind, number, data[place : place + size])


def first_directory(data: bytes) -> int:
    """Return where the first directory of a TIFF structure of 32 bits lies."""
    return int(struct.unpack_from(byte_order(data) + "I", data, 4)[0])


def fields_of(body: bytes) -> Fields:
    """Return the fields of a block's first directory, values that lie elsewhere by their place."""
    order, directory = byte_order(body), first_directory(body)
    (count,) = struct.unpack_from(order + "H", body, directory)
    places = range(directory + 2, min(directory + 2 + 12 * count, len(body) - 11), 12)
    return {struct.unpack_from(order + "H", body, entry)[0]: body[entry + 2 : entry + 12] for entry in places}


class Builder:
    """A TIFF structure that grows at its end."""

    def __init__(self, body: bytes | None = None, order: Order = "<") -> None:
        """Go on from a block's bytes, or begin an empty one."""
        self.order = order if body is None else byte_order(body)
        start = (b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
        self.data = bytearray(start if body is None else body)
        """What has not been handed over yet."""
        self._handed_over = 0

    def append(self, value: bytes) -> int:
        """Put bytes at the end, at an even place as TIFF asks for; return where."""
        self.data += bytes(len(self.data) % 2)
        self.data += value
        return self._handed_over + len(self.data) - len(value)

    def hand_over(self) -> bytes:
        """Return the bytes since the last time, an even number of them, and forget them."""
        self.data += bytes(len(self.data) % 2)
        piece = bytes(self.data)
        self._handed_over += len(piece)
        self.data.clear()
        return piece

    def field(self, kind: int, count: int, value: bytes) -> bytes:
        """Return the field of a value, which is put at the end where it is longer than four bytes."""
        inside = value.ljust(4, b"\0") if len(value) <= 4 else self.number("I", self.append(value))
        return self.number("HI", kind, count) + inside

    def number(self, layout: str, *values: int) -> bytes:
        """Pack numbers in the structure's byte order."""
        return struct.pack(self.order + layout, *values)

    def directory(self, fields: Fields) -> int:
        """Put a directory at the end, its tags in order and no other behind it; return where."""
        entries = b"".join(self.number("H", tag) + fields[tag] for tag in sorted(fields))
        return self.append(self.number("H", len(fields)) + entries + bytes(4))

    def finish(self, fields: Fields) -> int:
        """Put the first directory at the end and name its place in the header; return where it is."""
        place = self.directory(fields)
        struct.pack_into(self.order + "I", self.data, 4, place)
        return place


def rebuilt(
    data: bytes, directory: int, keep: Callable[[Entry], bool], *, big: bool = False
) -> tuple[bytes | None, bool]:
    """Return a block with the tags of one directory of a TIFF file, and whether maker notes moved on the way.

    Types, counts and values stay as they are; directories that are linked to come along.

    Args:
        keep: which of the first directory's entries to take.
    """
    builder, moved = Builder(order=byte_order(data)), [False]
    entries = filter(keep, entries_at(data, directory, big=big))
    fields = _copied(builder, data, entries, big, moved, depth=2)
    if not fields:
        return None, False
    builder.finish(fields)
    return HEADER + bytes(builder.data), moved[0]


def page(data: bytes, number: int) -> tuple[int, bool]:
    """Return where the directory of a TIFF file's page lies, counted from 0, and whether it is a BigTIFF."""
    order = byte_order(data)
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    for _ in range(number):
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
        link = place + (8 + 20 * count if big else 2 + 12 * count)
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, link)
    return place, big


def _copied(
    builder: Builder, data: bytes, entries: Iterable[Entry], big: bool, moved: list[bool], depth: int
) -> Fields:
    """Put the values of a directory into a builder, and those of the directories linked to; return its fields."""
    fields: Fields = {}
    for entry in entries:
        if len(builder.data) > 2 * len(data):
            raise ValueError("tags that share their values")
        if entry.tag in fields or entry.kind > DIRECTORY:  # 64-bit numbers have no place in EXIF
            continue
        moved[0] |= entry.tag == MAKER_NOTE
        if entry.tag not in LINKS and entry.kind != DIRECTORY:
            fields[entry.tag] = builder.field(entry.kind, entry.count, entry.value)
        elif depth and len(entry.value) == 4:
            (place,) = struct.unpack(builder.order + "I", entry.value)
            inner = _copied(builder, data, entries_at(data, place, big=big), big, moved, depth - 1)
            if inner:
                link = builder.number("I", builder.directory(inner))
                fields[entry.tag] = builder.field(LONG, 1, link)
    return fields


def fitted(block: bytes, most: int) -> tuple[bytes | None, list[int]]:
    """Return a block of at most so many bytes, and the tags of its first directory left out, the largest first."""
    left_out: list[int] = []
    body = block.removeprefix(HEADER)
    sizes = {entry.tag: len(entry.value) for entry in entries_at(body, first_directory(body))}
    for tag in sorted(sizes.keys() - LINKS, key=lambda tag: -sizes[tag]):
        if len(block) <= most:
            break
        left_out.append(tag)
        gone = frozenset(left_out)
        block = rebuilt(body, first_directory(body), lambda entry, gone=gone: entry.tag not in gone)[0] or b""  # type: ignore[misc]
    return (block, left_out) if 0 < len(block) <= most else (None, left_out)
