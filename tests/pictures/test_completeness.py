"""Files too short for the size that they speak of."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from picture_files import chunk, pattern, png
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.footprint import Extent
from cyclerdm_cli.pictures.reading import read_extent, read_picture


def saying(data: bytes, height: int) -> bytes:
    """Return a PNG with another height in its header, and the checksum of that."""
    width = data[16:20]
    header = width + struct.pack(">I", height) + data[24:29]
    return data[:8] + chunk(b"IHDR", header) + data[33:]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rows_that_are_missing_are_noticed_even_if_it_is_one(channels, dtype):
    data = png(pattern(20, 31, channels, dtype))
    assert read_picture(data).size == (20, 31)
    with pytest.raises(PictureError, match="cut short"):
        read_picture(saying(data, 21))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 3), (8, 8), (20, 31)])
def test_interlaced_pictures_are_whole_when_they_are(size):
    samples = pattern(*size, 3)
    rows = b""
    for top, left, down, across in (
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1),
    ):  # fmt: skip
        part = samples[top::down, left::across]
        rows += b"".join(b"\0" + row.tobytes() for row in part) if part.size else b""
    header = struct.pack(">IIBBBBB", size[1], size[0], 8, 2, 0, 0, 1)

    def made(body: bytes) -> bytes:
        parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + parts

    np.testing.assert_array_equal(read_picture(made(rows)).pixels, samples)
    with pytest.raises(PictureError, match="cut short"):
        read_picture(made(rows[:-1]))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_pixels_that_share_a_byte_are_counted(bits):
    image = Image.fromarray(pattern(9, 13, 3)).quantize(2**bits)
    stream = BytesIO()
    image.save(stream, "PNG", bits=bits)
    assert read_picture(stream.getvalue()).size == (9, 13)
    with pytest.raises(PictureError, match="cut short"):
        read_picture(saying(stream.getvalue(), 10))


def test_pixels_in_many_chunks():
    data = png(pattern(20, 31, 3))
    (length,) = struct.unpack_from(">I", data, 33)
    body = data[41 : 41 + length]
    pieces = b"".join(chunk(b"IDAT", body[at : at + 7]) for at in range(0, length, 7))
    split = data[:33] + pieces + data[41 + length + 4 :]
    np.testing.assert_array_equal(read_picture(split).pixels, read_picture(data).pixels)


def test_a_great_lie_is_noticed_without_making_room_for_it():
    data = saying(png(pattern(20, 31, 3)), 10_000_000)
    with pytest.raises(PictureError, match="cut short"):
        read_picture(data)


def test_a_jpeg_of_a_few_bytes_is_no_large_picture():
    _, whole = cv2.imencode(".jpg", np.full((64, 64, 3), 255, np.uint8))
    data = bytearray(whole.tobytes())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 20_000, 20_000)
    with pytest.raises(PictureError, match="cut short"):
        read_picture(bytes(data))


@pytest.mark.parametrize("progressive", [False, True])
def test_the_emptiest_jpegs_are_read(progressive):
    stream = BytesIO()
    Image.new("L", (8000, 8000), 255).save(stream, "JPEG", quality=1, progressive=progressive, optimize=True)
    assert read_picture(stream.getvalue()).size == (8000, 8000)


def test_a_webp_canvas_beyond_its_format():
    stream = BytesIO()
    frames = [Image.new("RGB", (24, 24), colour) for colour in ("red", "blue")]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    data = bytearray(stream.getvalue())
    data[24:27] = (10_000_000 - 1).to_bytes(3, "little")  # the width in the VP8X chunk
    with pytest.raises(PictureError, match="WebP cannot hold"):
        read_picture(bytes(data))


def test_sizes_are_read_from_headers_alone():
    data = png(pattern(20, 31, 3, np.uint16))
    assert read_extent(data[:60]) == Extent(20, 31, 16, "png")
    with pytest.raises(PictureError, match="more than the limit"):
        read_extent(data, limit_pixels=600)
    with pytest.raises(PictureError, match="not a picture"):
        read_extent(b"words")
