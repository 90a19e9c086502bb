"""PNG files whose ancillary chunks are long, odd or damaged: the picture is none the worse."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from independent_files import stored_samples
from picture_files import chunk, pattern, png, rgb_profile, xmp_packet

from cyclerdm_cli.pictures.png_chunks import SIGNATURE
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

WRONG = b"\0\0\0\1"
LONG = b"a long text " * 200_000
PHYS = chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    found, position = {}, 8
    while position < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        found[name] = data[position + 8 : position + 8 + length]
        assert zlib.crc32(name + found[name]) == int.from_bytes(
            data[position + 8 + length : position + 12 + length], "big"
        )
        position += 12 + length
    return found


def damaged(whole: bytes) -> bytes:
    return whole[:-4] + WRONG


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "block",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
        chunk(b"tEXt", b"Comment\0" + LONG),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LONG)),
        chunk(b"iCCP", b"its name\0\0" + zlib.compress(rgb_profile() + bytes(3_000_000))),
        PHYS,
        chunk(b"tIME", b"\x07\xe8\1\1\0\0\0"),
        chunk(b"prVT", b"private, and of these pixels"),
    ],
    ids=["zTXt", "tEXt", "iTXt", "iCCP", "pHYs", "tIME", "unsafe"],
)
def test_chunks_are_kept_as_they_are(block, dtype):
    samples = pattern(20, 30, 3, dtype)
    data = png(samples, block)
    picture = read_picture(data)
    written = encode(picture, WriteOptions())
    name = block[4:8]
    np.testing.assert_array_equal(stored_samples("png", written), samples)
    if name == b"prVT":  # its fourth letter says that it hangs on the pixels
        assert name not in chunks_of(written)
        assert any("prVT" in note for note in picture.notes)
    else:
        assert chunks_of(written)[name] == block[8:-4]
        assert picture.notes == ()
    stripped = chunks_of(encode(picture, WriteOptions(strip_metadata=True)))
    assert name not in stripped


@pytest.mark.parametrize(
    "block",
    [
        damaged(PHYS),
        damaged(chunk(b"tEXt", b"Comment\0words")),
        chunk(b"iCCP", b"x\0\0not deflated"),
        chunk(b"iCCP", b""),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0broken"),
        chunk(b"zTXt", b"Raw profile type exif\0\0broken"),
        damaged(chunk(b"gAMA", b"\0\0\0\1")),
    ],
)
def test_nonsense_is_said_and_left_out(block):
    samples = pattern(20, 30, 3)
    picture = read_picture(png(samples, block))
    np.testing.assert_array_equal(picture.pixels, samples)
    assert len(picture.notes) == 1
    assert "left out" in picture.notes[0]
    assert block[4:8] not in chunks_of(encode(picture, WriteOptions()))


def test_chunks_of_many_sizes_are_nothing_to_fear():
    for length in (0, 1, 3, 9, 32):
        for name in (b"gAMA", b"cHRM", b"cICP", b"pHYs", b"sRGB", b"tIME", b"eXIf", b"iTXt", b"zTXt"):
            data = png(pattern(4, 4, 3), chunk(name, bytes(length)))
            assert read_picture(data).size == (4, 4)
            assert read_extent(data).height == 4


def test_a_png_that_breaks_off_is_still_refused():
    data = png(pattern(64, 64, 3), chunk(b"tEXt", b"Comment\0words"))
    for length in range(len(SIGNATURE), len(data) - 16, 997):
        with pytest.raises(Exception, match=r"cut short|damaged"):
            read_picture(data[:length])


def test_metadata_in_texts_is_understood():
    packet = xmp_packet(6)
    text = b"\nxmp\n    %d\n" % len(packet) + packet.hex().encode() + b"\n"
    data = png(pattern(20, 30, 3), chunk(b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(text)) + PHYS)
    picture = read_picture(data)
    assert b'tiff:Make="Maker"' in picture.xmp
    assert b"Orientation" not in picture.xmp
    assert picture.size == (30, 20)
    assert picture.beside.resolution == pytest.approx((300, 300), rel=1e-3)


def test_what_other_formats_have_no_room_for_is_said():
    picture = read_picture(png(pattern(20, 30, 3), chunk(b"tEXt", b"Author\0R. M.") + PHYS))
    assert notes_on_writing(picture, WriteOptions()) == ()
    assert notes_on_writing(picture, WriteOptions(format="jpg")) == (
        "JPEG has no room for its PNG texts; left out",
    )
    assert notes_on_writing(picture, WriteOptions(format="webp")) == (
        "WebP has no room for its PNG texts and resolution; left out",
    )
