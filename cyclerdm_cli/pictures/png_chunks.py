"""The chunks of a PNG file beside its pixels (PNG, third edition): no fault in them is a fault of the picture.

Decoders stop at a wrong checksum in a date, or at a long text. So they are given the chunks that the pixels need,
and the others are looked at here: kept as they are, or said to be left out.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from cyclerdm_cli.pictures.mapped import forget

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = 33
PIXELS = frozenset((b"tRNS", b"acTL", b"fcTL", b"fdAT"))
"""Ancillary chunks that decoders need."""
COLOURS = frozenset((b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"))
"""What the pixels' values mean."""
SAFE = COLOURS | {
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"pHYs",
    b"tIME",
    b"sPLT",
    b"mDCV",
    b"cLLI",
    b"oFFs",
    b"sCAL",
    b"pCAL",
}
"""Chunks that stay true when pixels change their values."""
OF_OTHER_PIXELS = frozenset((b"sBIT", b"bKGD", b"hIST", b"dSIG"))
"""Chunks that go without a word: hints for pixels of that very kind."""
SIGNED = b"caBX"
XMP_NAME = b"XML:com.adobe.xmp"
RAW_PROFILE = re.compile(rb"Raw profile type (exif|APP1|xmp|iptc|8bim)\Z")
MOST_UNPACKED = 64 << 20
"""Bytes of a profile, or of metadata that has to be looked at; texts are carried packed."""


@dataclass
class Chunks:
    """What a file says beside its pixels."""

    kept: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Name and contents of chunks to write again as they are."""
    icc_profile: bytes | None = None
    exif: bytes | None = None
    """Without `Exif\\0\\0`."""
    xmp: bytes | None = None
    iptc: bytes | None = None
    """As Photoshop's blocks, or as IPTC alone."""
    notes: list[str] = field(default_factory=list)

    def first(self, name: bytes) -> bytes | None:
        """Return the contents of the first kept chunk of a name."""
        return next((data for one, data in self.kept if one == name), None)


def is_png(data: bytes) -> bool:
    """Tell a PNG file by its first bytes."""
    return data.startswith(SIGNATURE)


def parted(data: bytes) -> tuple[bytes, Chunks]:
    """Return a PNG file of those chunks that decoders need, and what the others say.

    A file that is cut short stays so: the decoder finds out.
    """
    chunks, position, view = Chunks(), len(SIGNATURE), memoryview(data)
    needed: list[bytes | memoryview] = [SIGNATURE]
    for name, start, end in _walk(data):
        whole = view[start - 8 : end + 4]
        if name in PIXELS or not name[0] & 0x20:
            needed.append(whole)
        else:
            _take(chunks, name, data[start:end], data[end : end + 4])
        position = end + 4
        if name == b"IEND":
            break
    else:
        needed.append(view[position:])
    whole_of_it = b"".join(needed)
    forget(data)
    return whole_of_it, chunks


def with_chunks(data: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG file with further chunks behind its header."""
    return b"".join((data[:HEADER_END], *(chunk(*one) for one in chunks), data[HEADER_END:]))


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk as it stands in a file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def xmp_chunk(packet: bytes) -> tuple[bytes, bytes]:
    """Return the chunk that holds XMP."""
    return b"iTXt", XMP_NAME + b"\0\0\0\0\0" + packet


def raw_profile_chunk(kind: str, block: bytes) -> tuple[bytes, bytes]:
    """Return the text chunk in which ImageMagick and exiftool keep what PNG has no chunk for."""
    lines = "\n".join(block.hex()[at : at + 72] for at in range(0, 2 * len(block), 72))
    text = f"\n{kind}\n{len(block):8}\n{lines}\n".encode()
    return b"zTXt", f"Raw profile type {kind}".encode() + b"\0\0" + zlib.compress(text)


def _walk(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each whole chunk's name, and where its contents begin and end."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            return
        yield name, position + 8, end
        position = end + 4


def _take(chunks: Chunks, name: bytes, data: bytes, checksum: bytes) -> None:
    """Note down what an ancillary chunk says."""
    word = name.decode("ascii", "replace")
    if struct.pack(">I", zlib.crc32(data, zlib.crc32(name))) != checksum:
        chunks.notes.append(f"its {word} chunk is damaged and was left out")
    elif name == b"iCCP":
        chunks.icc_profile = _profile(data)
        if chunks.icc_profile is None:
            chunks.notes.append(
                "its colour profile is damaged and was left out; the colours are taken for sRGB"
            )
        else:
            chunks.kept.append((name, data))
    elif name == b"eXIf":
        chunks.exif = chunks.exif or data
    elif name in (b"tEXt", b"zTXt", b"iTXt"):
        _take_text(chunks, name, data)
    elif name == SIGNED:
        chunks.notes.append("its signature (C2PA) is void after a change; left out")
    elif name in SAFE or (name not in OF_OTHER_PIXELS and name[3] & 0x20):
        chunks.kept.append((name, data))
    elif name not in OF_OTHER_PIXELS:
        chunks.notes.append(f"its {word} chunk may not be true of other pixels; left out")


def _take_text(chunks: Chunks, name: bytes, data: bytes) -> None:
    """Note down a text; texts that hold metadata are unpacked."""
    keyword = data.split(b"\0", 1)[0]
    profile = RAW_PROFILE.match(keyword)
    if keyword != XMP_NAME and not profile:
        chunks.kept.append((name, data))
        return
    try:
        text = _text(name, data[len(keyword) + 1 :])
        block = text if profile is None else bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except (ValueError, IndexError, zlib.error):
        chunks.notes.append(f"its {keyword.decode()} is damaged and was left out")
        return
    kind = b"xmp" if profile is None else profile[1]
    if kind == b"xmp" or block.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        chunks.xmp = chunks.xmp or block.removeprefix(b"http://ns.adobe.com/xap/1.0/\0")
    elif kind in (b"exif", b"APP1"):
        chunks.exif = chunks.exif or block.removeprefix(b"Exif\0\0")
    else:
        chunks.iptc = block


def _profile(data: bytes) -> bytes | None:
    name, _, rest = data.partition(b"\0")
    try:
        return _unpacked(rest[1:]) if rest and len(name) < 80 else None
    except (ValueError, zlib.error):
        return None


def _text(name: bytes, rest: bytes) -> bytes:
    """Return a text behind its keyword."""
    if name == b"tEXt":
        return rest
    if name == b"zTXt":
        return _unpacked(rest[1:])
    text = rest[2:].split(b"\0", 2)[2]  # behind the language and the translated keyword
    return _unpacked(text) if rest[0] else text


def _unpacked(data: bytes) -> bytes:
    """Inflate no more than `MOST_UNPACKED` bytes. Raises ValueError where there are more, or it is cut short."""
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(data, MOST_UNPACKED)
    if not unpacker.eof:
        raise ValueError("too long, or cut short")
    return found
