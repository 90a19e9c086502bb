"""XMP packets, changed only where they would be false of the result; all else stays to the byte.

Regions of faces are said for the picture as it is stored (Metadata Working Group, guidelines 2.0, section 5.9), so
they turn with it. What tells of a video or a gain map behind the picture goes when these do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

AREA = (b"<mwg-rs:Area", b"</mwg-rs:Area>")
DIRECTORIES = (
    (b"<Container:Directory", b"</Container:Directory>"),
    (b"<GContainer:Directory", b"</GContainer:Directory>"),
)
LONGEST_AREA = 4000
"""Bytes of the words for one region."""
BEHIND = re.compile(
    rb"(?<!\s)\s++(?:hdrgm:\w{1,60}|GCamera:(?:MotionPhoto|MicroVideo)\w{0,60})\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+')"
    rb"|<(?:hdrgm:\w{1,60}|GCamera:(?:MotionPhoto|MicroVideo)\w{0,60})>[^<>]{0,999}</[\w:]{1,80}>"
)
"""What speaks of a gain map or of a video."""
ORIENTATION = re.compile(rb"(?<!\s)\s*+tiff:Orientation\s*+=\s*+'[0-9]'")
SIDES = (
    (b"stDim:w", b"stDim:h"),
    (b"tiff:ImageWidth", b"tiff:ImageLength"),
    (b"exif:PixelXDimension", b"exif:PixelYDimension"),
)
TURNS: dict[int, Callable[[float, float], tuple[float, float]]] = {
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
"""Where a place in the stored picture is in the upright one, by orientation; both from 0 to 1."""


def without_what_lay_behind(packet: bytes) -> bytes:
    """Return a packet that no longer speaks of videos and gain maps behind the picture."""
    for start, end in DIRECTORIES:
        packet = _without_between(packet, start, end)
    return BEHIND.sub(b"", packet)


def _without_between(packet: bytes, start: bytes, end: bytes) -> bytes:
    parts, place = [], 0
    while (begins := packet.find(start, place)) >= 0 and (ends := packet.find(end, begins)) >= 0:
        parts.append(packet[place:begins])
        place = ends + len(end)
    return b"".join((*parts, packet[place:]))


def turned(packet: bytes, orientation: int) -> bytes:
    """Return a packet as it is true of the picture turned upright, from an EXIF orientation."""
    packet = ORIENTATION.sub(b"", packet)
    if orientation not in TURNS:
        return packet
    parts, place = [], 0
    while (begins := packet.find(AREA[0], place)) >= 0:
        ends = _end_of(packet, begins)
        parts += [packet[place:begins], _turned_area(packet[begins:ends], orientation)]
        place = ends
    packet = b"".join((*parts, packet[place:]))
    if orientation >= 5:
        for one, other in SIDES:
            packet = _renamed(packet, one, other)
    return packet


def _end_of(packet: bytes, begins: int) -> int:
    """Return where the words for a region end."""
    most = begins + LONGEST_AREA
    head = packet.find(b">", begins, most)
    if head < 0:
        return begins + len(AREA[0])
    ends = packet.find(AREA[1], head, most)
    return head + 1 if packet[head - 1 : head] == b"/" or ends < 0 else ends


def _turned_area(area: bytes, orientation: int) -> bytes:
    if len(area) <= len(AREA[0]):
        return area
    found = {letter: _value(b"stArea:" + letter).search(area) for letter in (b"x", b"y", b"w", b"h")}
    try:
        numbers = {letter: float(match[2]) for letter, match in found.items() if match}
        x, y = TURNS[orientation](numbers[b"x"], numbers[b"y"])
    except (KeyError, ValueError):
        return area
    new = {b"x": x, b"y": y}
    if orientation >= 5:
        new |= {b"w": numbers.get(b"h", 0.0), b"h": numbers.get(b"w", 0.0)}
    for letter in new.keys() & numbers.keys():
        area = _value(b"stArea:" + letter).sub(rb"\g<1>%.9g\g<3>" % new[letter], area, count=1)
    return area


def _value(name: bytes) -> re.Pattern[bytes]:
    """Match a property as an attribute or an element: what stands before its number, the number, what ends it."""
    return re.compile(rb"(\b" + name + rb"(?:\s*+=\s*+[\"']|>)\s*+)([0-9.eE+-]{1,24})(\s*+[\"'<])")


def _renamed(packet: bytes, one: bytes, other: bytes) -> bytes:
    """Let two names change places: what was said of one side is true of the other."""
    both = re.compile(rb"\b(?:" + one + rb"|" + other + rb")\b")
    return both.sub(lambda match: other if match[0] == one else one, packet)
