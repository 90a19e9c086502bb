"""The segments of a JPEG file beside its pixels (ITU-T T.81, annex B): kept as they are, or said to be left out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

COMMENT, START_OF_SCAN, END_OF_IMAGE = 0xFE, 0xDA, b"\xff\xd9"
APP0, APP1, APP2, APP11, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE
EXIF, XMP, LONG_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
ICC, PHOTOSHOP = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
LONGEST = 65533
"""Bytes of a segment's contents."""
JFIF_UNIT, CENTIMETRES = 13, 2
"""Where the unit of resolution stands in a JPEG that begins as JFIF does, and what says that it is not inches."""
CENTIMETRES_AN_INCH = 2.54
SOMEHOW_ELSE = ((APP0, b"JFIF\0"), (APP1, EXIF), (APP1, XMP), (APP2, ICC), (APP14, b"Adobe"))
"""Segments that the encoder writes anew, from what is known of the picture."""
FALSE = {
    (APP0, b"JFXX\0"): "its embedded thumbnail shows it as it was; left out",
    (APP2, b"MPF\0"): "",
    (APP2, b"urn:iso:std:iso:ts:21496:"): "its gain map is of the picture as it was; left out",
    (APP11, b"JP"): "its signature (C2PA) is void after a change; left out",
}
"""What would be false of the result, with what is said of it; MPF is a list of what lies behind the picture."""
BEHIND = {
    b"ftyp": "the video behind the picture (motion photo) is left out",
    b"\xff\xd8\xff": "the further pictures behind the first (preview, gain map, stereo) are left out",
}


@dataclass
class Segments:
    """What a file says beside its pixels."""

    kept: list[tuple[int, bytes]] = field(default_factory=list)
    """Marker and contents of segments to write again as they are."""
    photoshop: bytes | None = None
    progressive: bool = False
    notes: list[str] = field(default_factory=list)


def segments_of(data: bytes) -> Segments:
    """Return what the segments of a JPEG file say, but for those that its decoder knows."""
    found, blocks, end = Segments(), [], 2
    for marker, start, end in walk_segments(data):
        block = data[start:end]
        said = [words for (app, name), words in FALSE.items() if app == marker and block.startswith(name)]
        if marker in (0xC2, 0xCA):
            found.progressive = True
        elif said:
            found.notes += [words for words in said if words]
        elif marker == APP13 and block.startswith(PHOTOSHOP):
            blocks.append(block[len(PHOTOSHOP) :])
        elif (marker == COMMENT or APP0 <= marker <= 0xEF) and not _is_known(marker, block):
            found.kept.append((marker, block))
    found.photoshop = b"".join(blocks) or None
    picture_end = data.find(END_OF_IMAGE, end)
    trailer = data[picture_end + 2 :] if picture_end >= 0 else b""
    said = [words for start, words in BEHIND.items() if start in trailer[:4096]][:1]
    if not said and trailer.strip(b"\0\xff"):
        said = [f"{len(trailer)} bytes behind the picture, of a camera or another program, are left out"]
    found.notes += said
    return found


def _is_known(marker: int, block: bytes) -> bool:
    return any(app == marker and block.startswith(name) for app, name in SOMEHOW_ELSE)


def walk_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each segment's marker and where its contents lie, up to the first scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if length < 2:
            return
        yield marker, place + 4, place + 2 + length
        if marker == START_OF_SCAN:
            return
        place += 2 + length


def with_segments(data: bytes, kept: list[tuple[int, bytes]], photoshop: bytes | None = None) -> bytes:
    """Return a JPEG file with further segments behind those that it begins with."""
    place = 2
    for marker, _, end in walk_segments(data):
        if not APP0 <= marker <= 0xEF:
            break
        place = end
    room = LONGEST - len(PHOTOSHOP)
    blocks = photoshop or b""
    parts = [(APP13, PHOTOSHOP + blocks[at : at + room]) for at in range(0, len(blocks), room)]
    added = (
        struct.pack(">BBH", 0xFF, marker, len(block) + 2) + block
        for marker, block in (*parts, *kept)
        if len(block) <= LONGEST
    )
    return b"".join((data[:place], *added, data[place:]))


def in_whole_dots(data: bytes, resolution: tuple[float, float] | None) -> bytes:
    """Return a JPEG that says its resolution a centimetre, where only that is said in whole numbers."""
    if resolution is None or data[6:11] != b"JFIF\0":
        return data
    inches = max(abs(dots - round(dots)) for dots in resolution)
    metric = [dots / CENTIMETRES_AN_INCH for dots in resolution]
    if inches < 0.01 or any(abs(dots - round(dots)) > 0.001 for dots in metric):
        return data
    return data[:JFIF_UNIT] + struct.pack(">BHH", CENTIMETRES, *map(round, metric)) + data[JFIF_UNIT + 5 :]
