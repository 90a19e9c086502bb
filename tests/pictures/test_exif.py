"""EXIF goes from file to file as the bytes that it is."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from independent_files import Blocks, blocks_of, write
from picture_files import pattern, tiff
from PIL import Image

from cyclerdm_cli.pictures import exif
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

ARTIST, USER_COMMENT, MAKER_NOTE, PRIVATE = 315, 37510, 37500, 50000
TEXTS = {"utf-8": "Zoë Müller", "latin-1": "René"}


def entry(order: str, tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")


def camera_block(order: str = "<", orientation: int | None = 6, artist: bytes = b"Zo\xc3\xab\0") -> bytes:
    """EXIF as cameras write it: texts of any encoding, a maker note that holds its own place, a thumbnail."""

    def number(*values: int) -> bytes:
        return struct.pack(order + "I" * len(values), *values)

    first = [ARTIST, exif.CAMERA, PRIVATE] + [exif.ORIENTATION] * (orientation is not None)
    camera = 8 + 2 + 12 * len(first) + 4
    values = camera + 2 + 12 * 4 + 4
    note = values + 40
    thumbnail = note + 60
    parts = {
        exif.ORIENTATION: (3, 1, struct.pack(order + "H", orientation or 1)),
        ARTIST: (2, len(artist), number(values) if len(artist) > 4 else artist),
        exif.CAMERA: (4, 1, number(camera)),
        PRIVATE: (7, 4, b"\1\2\3\4"),
    }
    body = (b"II*\0" if order == "<" else b"MM\0*") + number(8) + struct.pack(order + "H", len(first))
    body += b"".join(entry(order, tag, *parts[tag]) for tag in sorted(first)) + number(thumbnail)
    body += struct.pack(order + "H", 4) + entry(order, MAKER_NOTE, 7, 60, number(note))
    body += entry(order, USER_COMMENT, 7, 12, number(values + 20))
    body += entry(order, 0xA002, 4, 1, number(48)) + entry(order, 0xA003, 4, 1, number(32)) + number(0)
    body += artist.ljust(20, b"\0") + b"ASCII\0\0\0caf\xe9".ljust(20, b"\0")
    body += b"MAKER" + bytes(3) + number(note) + bytes(48)
    body += struct.pack(order + "H", 1) + entry(order, 513, 4, 1, number(thumbnail + 18)) + number(0)
    return b"Exif\0\0" + body + b"thumbnail"


def values_of(block: bytes) -> dict[int, tuple[int, int, bytes]]:
    body = block.removeprefix(b"Exif\0\0")
    found = {}
    for one in exif.entries_at(body, exif.first_directory(body)):
        found[one.tag] = (one.kind, one.count, one.value)
        if one.tag == exif.CAMERA:
            (place,) = struct.unpack(exif.byte_order(body) + "I", one.value)
            found |= {two.tag: (two.kind, two.count, two.value) for two in exif.entries_at(body, place)}
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("encoding", sorted(TEXTS))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_a_block_without_orientation_and_thumbnail_stays_to_the_byte(kind, encoding, order):
    block = camera_block(order, None, TEXTS[encoding].encode(encoding) + b"\0")
    at = 6 + 8 + 2 + 3 * 12
    block = block[:at] + bytes(4) + block[at + 4 :]
    data = write(kind, pattern(32, 48, 3), Blocks(exif=block))
    assert blocks_of(kind, encode(read_picture(data), WriteOptions())).exif == block


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_only_orientation_sizes_and_thumbnail_change(order, orientation):
    block = camera_block(order, orientation)
    data = write("jpg", pattern(32, 48, 3), Blocks(exif=block))
    picture = read_picture(data)
    kept = blocks_of("jpg", encode(picture, WriteOptions())).exif
    before, after = values_of(block), values_of(kept)
    assert len(kept) == len(block)
    assert before.pop(exif.ORIENTATION)
    assert exif.ORIENTATION not in after
    if orientation == 6:
        before[0xA002], before[0xA003] = before[0xA003], before[0xA002]
    assert after == before
    note = kept.index(b"MAKER")
    assert note == block.index(b"MAKER")
    assert any("thumbnail" in line for line in picture.notes)
    ifd = Image.Exif()
    ifd.load(kept)
    assert not ifd.get_ifd(1)


def test_a_tiff_file_takes_a_block_up_without_moving_it():
    block = camera_block(">")
    picture = read_picture(write("jpg", pattern(32, 48, 3), Blocks(exif=block)))
    data = encode(picture, WriteOptions(format="tiff"))
    assert data.index(b"MAKER") == block.index(b"MAKER") - 6
    np.testing.assert_array_equal(tifffile.imread(BytesIO(data)), picture.pixels)
    before, after = values_of(picture.exif), values_of(b"Exif\0\0" + data)
    assert {tag: after[tag] for tag in before if tag != exif.CAMERA} == {
        tag: value for tag, value in before.items() if tag != exif.CAMERA
    }


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("kind", ["tiff", "png", "jpg"])
def test_what_a_tiff_file_says_keeps_its_types_and_bytes(kind, byteorder):
    artist = "Zoë".encode() + b"\0"
    data = tiff(
        pattern(9, 11, 3),
        byteorder=byteorder,
        metadata=None,
        extratags=[(ARTIST, 2, len(artist), artist, True), (PRIVATE, 7, 5, b"\1\2\3\4\5", True)],
    )
    written = encode(read_picture(data), WriteOptions(format=kind))
    block = b"Exif\0\0" + written if kind == "tiff" else blocks_of(kind, written).exif
    assert values_of(block)[ARTIST] == (2, len(artist), artist)
    assert values_of(block)[PRIVATE] == (7, 5, b"\1\2\3\4\5")


def test_what_a_jpeg_has_no_room_for_goes_alone():
    data = tiff(
        pattern(9, 11, 3),
        metadata=None,
        software="tool",
        extratags=[(PRIVATE, 7, 70_000, bytes(70_000), True)],
    )
    picture, options = read_picture(data), WriteOptions(format="jpg")
    assert notes_on_writing(picture, options) == (f"JPEG has no room for its EXIF tag {PRIVATE}; left out",)
    kept = values_of(blocks_of("jpg", encode(picture, options)).exif)
    assert PRIVATE not in kept
    assert kept[305][2] == b"tool\0"


def test_a_directory_that_names_itself_ends():
    body = (
        b"II*\0" + struct.pack("<IH", 8, 1) + entry("<", exif.CAMERA, 4, 1, struct.pack("<I", 8)) + bytes(4)
    )
    assert exif.upright(body, 6)[0] is not None
    assert exif.rebuilt(body, 8, lambda one: True) == (None, False)
    assert encode(Picture(pattern(8, 8, 3), exif=b"Exif\0\0" + body, format="tiff"), WriteOptions())
