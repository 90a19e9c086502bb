"""Files too short for the size that they speak of."""

import struct
import time
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
from picture_files import chunk, exif_block, pattern, png, tiff
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.completeness import MOST_SCANS, count_scans
from cyclerdm_cli.pictures.footprint import Extent
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.tiff_layout import count_pages


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


def directory(tags: dict[int, list[int]], pixels: bytes = b"", following: int = 0, start: int = 8) -> bytes:
    """Return a TIFF directory at `start`, its values behind it; then pixels, which a strip offset of -1 means."""
    after = start + 2 + 12 * len(tags) + 4
    outside = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    entries, tail = b"", b""
    for tag, values in sorted(tags.items()):
        found = struct.pack(f"<{len(values)}I", *(after + outside if one < 0 else one for one in values))
        entries += struct.pack("<HHI", tag, 4, len(values))
        entries += found if len(values) == 1 else struct.pack("<I", after + len(tail))
        tail += found if len(values) > 1 else b""
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + tail + pixels


def grey_tiff(tags: dict[int, list[int]], pixels: bytes) -> bytes:
    """Return a TIFF of 32 x 32 grey pixels, with other tags where they are given."""
    plain = {256: [32], 257: [32], 258: [8], 259: [1], 262: [1], 273: [-1], 277: [1], 278: [32], 279: [1024]}
    return b"II*\0" + struct.pack("<I", 8) + directory(plain | tags, pixels)


@pytest.fixture(autouse=True)
def nothing_is_logged_for_people(capfd):
    yield
    assert "More samples" not in capfd.readouterr().err


def refusal(data: bytes, frame: int = 0) -> str:
    """Return why a picture is refused, which must take neither time nor memory."""
    began = time.process_time()
    with pytest.raises(PictureError) as fault:
        read_picture(data, frame=frame)
    assert time.process_time() - began < 2
    return str(fault.value)


TILES = {322: [16], 323: [16], 324: [-1] * 4, 325: [256] * 4, 273: [-1]}


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({278: [4]}, "cut short"),
        ({278: [4], 273: [-1] * 7, 279: [128] * 7}, "cut short"),
        ({278: [16], 273: [-1, 0], 279: [512, 0]}, "cut short"),
        ({278: [16], 273: [-1, 0xFFFFFFF0], 279: [512, 512]}, "cut short"),
        ({257: [12_451_844], 278: [24]}, "cut short"),
        ({257: [12_451_844], 278: [12_451_844], 259: [8]}, "cut short"),
        ({256: [20_000], 257: [20_000], 278: [20_000], 259: [7]}, "cut short"),
        ({256: [20_000], 257: [20_000], 278: [20_000], 259: [50000]}, "cut short"),
        (TILES | {324: [-1] * 3}, "cut short"),
        (TILES | {324: [-1, -1, -1, 0], 325: [256, 256, 256, 0]}, "cut short"),
        ({257: [16_000], 278: [1], 273: [-1] * 16_000, 279: [1024] * 16_000}, "over and over"),
    ],
)
def test_strips_and_tiles_that_are_not_there_are_no_black_rows(tags, said):
    assert said in refusal(grey_tiff(tags, bytes(1024)))


def test_tiffs_whose_tables_are_right_are_read():
    assert read_picture(grey_tiff({}, bytes(range(256)) * 4)).size == (32, 32)
    assert read_picture(grey_tiff(TILES, bytes(1024))).size == (32, 32)
    for options in (
        {},
        {"compression": "zlib"},
        {"rowsperstrip": 5},
        {"tile": (16, 16), "compression": "zlib"},
    ):
        assert read_picture(tiff(pattern(33, 47, 3), **options)).size == (33, 47)


def test_a_tiff_that_claims_two_hundred_samples_a_pixel_gets_no_room_for_them():
    samples = zlib.compress(bytes(2 * 200 * 2000))
    tags = {
        256: [2000], 257: [2000], 258: [16, 16], 259: [8], 262: [1], 277: [200], 278: [1], 338: [2],
        273: [-1] * 2000, 279: [len(samples)] * 2000,
    }  # fmt: skip
    assert "200 samples a pixel" in refusal(grey_tiff(tags, samples))


def test_a_tiff_is_as_large_as_the_limit_admits_whatever_pillow_thinks(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert read_picture(tiff(pattern(64, 96, 3), compression="zlib")).size == (64, 96)
    assert read_picture(tiff(pattern(64, 96, 1, np.uint16))).size == (64, 96)
    assert Image.MAX_IMAGE_PIXELS == 500


def test_the_first_of_very_many_pages_is_found_at_once():
    pixel, pages = (
        {256: [1], 257: [1], 258: [8], 259: [1], 262: [1], 273: [8], 277: [1], 278: [1], 279: [1]},
        50_000,
    )
    length = len(directory(pixel))
    data = b"II*\0" + struct.pack("<I", 8) + b"".join(
        directory(pixel, following=8 + length * (page + 1) if page + 1 < pages else 0) for page in range(pages)
    )  # fmt: skip
    began = time.process_time()
    assert read_picture(data).notes == (f"first frame of {pages} used",)
    assert time.process_time() - began < 5
    assert "lies too deep" in refusal(data, frame=pages - 1)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_pages_are_counted_as_they_are(bigtiff):
    assert count_pages(tiff(pattern(4, 5, 3), bigtiff=bigtiff)) == 1
    stream = BytesIO()
    tifffile.imwrite(stream, np.zeros((7, 4, 5), np.uint8), photometric="minisblack", bigtiff=bigtiff)
    data = stream.getvalue()
    assert count_pages(data) == 7
    assert count_pages(data[:40]) <= 1
    assert count_pages(grey_tiff({}, b"")[:8] + directory({256: [1]}, following=8)) == 1  # a circle


def run_length_coded(width: int, height: int, codes: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(codes), 0, 0, 256, 0)
    palette = bytes(value for level in range(256) for value in (level, level, level, 0))
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(codes), 0, 0, start) + header + palette + codes


def test_runs_of_a_few_bytes_are_no_large_picture():
    assert read_picture(run_length_coded(255, 4, bytes((255, 9, 0, 0)) * 4 + b"\0\1")).size == (4, 255)
    assert "cut short" in refusal(run_length_coded(4, 1 << 24, b"\0\0" * 8 + b"\0\1"))
    assert "cut short" in refusal(run_length_coded(20_000, 20_000, b"\0\2\0\xff" * 100))


def test_rows_of_runs_are_filled_in_no_time_and_as_pillow_does():
    random = np.random.default_rng(0)
    for half_bytes, kind in ((False, 8), (True, 4)):
        rows = b""
        for _ in range(16):
            raw = bytes(random.integers(0, 256, 20 if half_bytes else 40).astype(np.uint8))
            rows += bytes((30, 0x9A, 0, 40)) + raw + bytes((5, 0x3C)) + b"\0\0"
        data = bytearray(run_length_coded(80, 16, rows + b"\0\1"))
        if half_bytes:
            data[28], data[30] = 4, 2
        found = read_picture(bytes(data)).pixels
        np.testing.assert_array_equal(found, np.asarray(Image.open(BytesIO(bytes(data))).convert("RGB")))
        assert len(np.unique(found)) > kind
    jump = run_length_coded(4, 4, b"\2\7\0\0" + b"\0\2\1\2" + b"\3\x09\0\1")
    assert read_picture(jump).pixels[..., 0].tolist() == [[0, 9, 9, 9], [0] * 4, [0] * 4, [7, 7, 0, 0]]
    began = time.process_time()
    empty = run_length_coded(20_000, 3_000, b"\0\0" * 3_000 + bytes(500_000))
    assert read_picture(empty).size == (3_000, 20_000)
    assert time.process_time() - began < 5


def progressive(repeated: int = 0, size: tuple[int, int] = (64, 96)) -> bytes:
    """Return a progressive JPEG whose last scan comes again so many times."""
    stream = BytesIO()
    image = Image.fromarray(pattern(*size, 3))
    image.save(stream, "JPEG", progressive=True, exif=exif_block(6))
    data = stream.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * repeated + data[-2:]


def test_scans_are_counted_and_bounded():
    whole = progressive()
    scans = count_scans(whole)
    assert scans == whole.count(b"\xff\xda")
    assert count_scans(whole + whole) == scans
    assert read_picture(whole).size == (96, 64)
    assert f"more than {MOST_SCANS} scans" in refusal(progressive(5000))
    alone = whole[:2] + b"\xff\x01" + whole[2:]  # a marker without a length hides nothing
    assert count_scans(alone) == scans


def test_many_scans_of_a_large_picture_need_bytes_too():
    data = bytearray(progressive(60))
    start = data.index(b"\xff\xc2")
    pixels = 511 * len(data)
    data[start + 5 : start + 9] = struct.pack(">HH", 2_000, pixels // 2_000)
    assert "scans are too many" in refusal(bytes(data))


def test_thousands_of_warnings_are_a_few_lines():
    entries = b"".join(struct.pack("<HHII", 0x1000 + tag, 7, 1 << 30, 8) for tag in range(5000))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries + bytes(4)
    assert len(read_picture(png(pattern(5, 6, 3), chunk(b"eXIf", block))).notes) < 6
