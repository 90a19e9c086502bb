"""Files that are no picture, or no longer one: one plain line each, and never another kind of exception."""

import contextlib
import os
import socket
from io import BytesIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import chunk, exif_block, pattern, png, tiff, xmp_packet
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.reading import read_picture


def saved(kind: str, **options) -> bytes:
    stream = BytesIO()
    Image.fromarray(pattern(64, 96, 3)).save(stream, kind, exif=exif_block(6), **options)
    return stream.getvalue()


FILES = {
    "jpg": saved("JPEG", xmp=xmp_packet()),
    "progressive": saved("JPEG", progressive=True),
    "webp": saved("WEBP"),
    "webp-lossless": saved("WEBP", lossless=True),
    "avif": saved("AVIF"),
    "png": saved("PNG"),
    "bmp": saved("BMP"),
    "png16": png(pattern(64, 96, 3, np.uint16)),
    "png16-grey-alpha": png(pattern(64, 96, 2, np.uint16)),
    "tiff": tiff(pattern(64, 96, 3)),
    "tiff-deflate": tiff(pattern(64, 96, 3), compression="zlib", rowsperstrip=8),
    "tiff16": tiff(pattern(64, 96, 3, np.uint16)),
    "tiff16-grey-alpha": tiff(pattern(64, 96, 2, np.uint16), compression="zlib"),
    "tiff16-tiles": tiff(pattern(64, 96, 3, np.uint16), tile=(16, 16)),
}


def message_of(data) -> str:
    with pytest.raises(PictureError) as caught:
        read_picture(data, name="photo")
    message = str(caught.value)
    assert message.startswith("photo: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", FILES)
def test_whole_files_are_read(name):
    assert read_picture(FILES[name]).size in ((64, 96), (96, 64))


@pytest.mark.parametrize("part", [0.001, 0.02, 0.1, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("name", FILES)
def test_files_cut_short_are_refused(name, part):
    data = FILES[name]
    message_of(data[: int(len(data) * part)])


@pytest.mark.parametrize("name", ["jpg", "png", "png16", "webp", "tiff"])
def test_the_reason_is_that_the_file_is_cut_short(name):
    data = FILES[name]
    assert "cut short" in message_of(data[: int(len(data) * 0.8)])


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_bytes_give_a_picture_or_a_plain_line(name, data):
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        # Headers are where flipped bytes hurt most, so half of them fall there.
        end = len(damaged) - 1 if data.draw(st.booleans()) else min(200, len(damaged) - 1)
        damaged[data.draw(st.integers(0, end))] = data.draw(st.integers(0, 255))
    picture = None
    with contextlib.suppress(PictureError):  # and nothing else
        picture = read_picture(bytes(damaged), limit_pixels=1_000_000)
    assert picture is None or picture.pixels.shape == (*picture.size, 3)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"BM", b"RIFF\0\0\0\0WEBP"]
    ),
    st.binary(max_size=300),
)
def test_nonsense_gives_a_plain_line(start, rest):
    message_of(start + rest)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, world\n" * 9, "not a picture of a format read here"),
        (b"GIF89a" + bytes(60), "not a picture of a format read here"),
        (b"%PDF-1.7\n" + bytes(60), "JPEG, PNG, WebP"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "damaged or cut short"),
    ],
)
def test_reasons(data, reason):
    assert reason in message_of(data)


def test_heic_names_the_extra_that_reads_it():
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        assert "pip install pillow-heif" in message_of(b"\0\0\0\x18ftypheic" + bytes(80))
    else:
        pytest.skip("pillow-heif is installed, and would read it")


def test_places_that_are_no_files(tmp_path):
    with pytest.raises(PictureError, match="no such file"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture("a\0b.png")
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture("x" * 5000)


@pytest.mark.skipif(os.name != "posix", reason="sockets and devices have names on POSIX systems only")
def test_devices_and_sockets_are_not_waited_for(tmp_path, monkeypatch):
    with pytest.raises(PictureError, match="not a file"):
        read_picture("/dev/zero")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.png")
        with pytest.raises(PictureError, match="not a file"):
            read_picture("s.png")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["png"])
    path.chmod(0)
    with pytest.raises(PictureError, match="no permission"):
        read_picture(path)


@pytest.mark.parametrize("block", [b"II*\0\x08\0\0\0\xff\xff", b"garbage", b"II*\0\xff\xff\xff\x7f", b""])
def test_damaged_exif_does_not_cost_the_picture(block):
    samples = pattern(5, 6, 3)
    picture = read_picture(png(samples, chunk(b"eXIf", block)))
    np.testing.assert_array_equal(picture.pixels, samples)
    assert picture.exif is None


def test_the_path_stands_in_the_message(tmp_path):
    path = tmp_path / "photo of mine.jpg"
    path.write_bytes(b"no photo")
    with pytest.raises(PictureError, match=r"photo of mine\.jpg"):
        read_picture(path)
