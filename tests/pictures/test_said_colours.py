"""Colours that a file says otherwise than by a profile are followed, and said again."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from independent_files import blocks_of, stored_samples
from picture_files import chunk, png, rgb_profile, srgb_curve
from PIL import Image, ImageCms
from test_carrying_back import P3
from test_exif import entry

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import icc_making
from cyclerdm_cli.pictures.colour import colour_space, to_srgb
from cyclerdm_cli.pictures.icc import srgb_to_linear
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

RAMP = np.arange(0, 255, 4, dtype=np.uint8).reshape(8, 8, 1).repeat(3, axis=2)
COLOURS = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
LINEAR = chunk(b"gAMA", struct.pack(">I", 100_000))
REC2020 = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600))
CICP_P3 = chunk(b"cICP", bytes((12, 13, 0, 1)))
SRGB = chunk(b"sRGB", b"\0")


def test_made_profiles_are_those_that_programs_ship():
    made = icc_making.rgb_profile("P3", icc_making.P3_XY, icc_making.D65, icc_making.SRGB_CURVE)
    shipped = rgb_profile(P3, srgb_curve())
    colours = np.random.default_rng(1).integers(0, 65535, (16, 16, 3), np.uint16)
    apart = to_srgb(colours, colour_space(made)).astype(int) - to_srgb(colours, colour_space(shipped))
    assert np.abs(apart).max() < 60
    assert "P3" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(made)))
    srgb = icc_making.rgb_profile("s", icc_making.SRGB_XY, icc_making.D65, icc_making.SRGB_CURVE)
    assert colour_space(srgb).kind == "srgb"
    assert colour_space(icc_making.grey_profile("g", (1.0,))).kind == "grey"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_tones_are_seen_as_they_are_meant(channels, dtype):
    most = np.iinfo(dtype).max
    samples = RAMP[..., :channels].astype(dtype) * (most // 255)
    picture = read_picture(png(samples, LINEAR))
    assert np.abs(srgb_to_linear(picture.pixels / most) - samples / most).max() < 0.006
    data = encode(picture, WriteOptions())
    np.testing.assert_array_equal(stored_samples("png", data), samples)
    assert b"gAMA" in data
    assert b"iCCP" not in data


@pytest.mark.parametrize("block", [CICP_P3, CICP_P3 + LINEAR + SRGB, LINEAR + REC2020])
def test_wide_colours_of_a_png_go_into_a_profile_elsewhere(block):
    picture = read_picture(png(COLOURS, block))
    assert np.abs(picture.pixels.astype(int) - COLOURS).max() > 8
    assert read_extent(png(COLOURS, block)).own_depth == 8
    again = encode(picture, WriteOptions())
    np.testing.assert_array_equal(stored_samples("png", again), COLOURS)
    assert block[4:8] in again
    tiff = read_picture(encode(picture, WriteOptions(format="tiff")))
    np.testing.assert_array_equal(tiff.own, COLOURS)
    np.testing.assert_array_equal(tiff.pixels, picture.pixels)


def test_srgb_and_a_profile_come_before_a_gamma():
    assert read_picture(png(COLOURS, SRGB + LINEAR)).own is None
    block = rgb_profile()
    both = read_picture(png(COLOURS, LINEAR + chunk(b"iCCP", b"p\0\0" + zlib.compress(block))))
    assert both.icc_profile == block


@pytest.mark.parametrize("numbers", [(9, 16, 0, 1), (9, 18, 0, 1), (12, 16, 0, 1)])
def test_high_dynamic_range_is_refused_and_named(numbers):
    with pytest.raises(PictureError, match=r"high dynamic range \((PQ|HLG)\)"):
        read_picture(png(COLOURS, chunk(b"cICP", bytes(numbers))))


@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 8), (1, 13), (1, 1), (12, 16)])
def test_boxes_of_avif(primaries, transfer):
    stream = BytesIO()
    Image.fromarray(COLOURS.repeat(4, axis=0).repeat(4, axis=1)).save(
        stream, "AVIF", quality=100, subsampling="4:4:4"
    )
    data = bytearray(stream.getvalue())
    place = data.index(b"colrnclx") + 8
    data[place : place + 4] = struct.pack(">HH", primaries, transfer)
    if transfer == 16:
        with pytest.raises(PictureError, match="PQ"):
            read_picture(bytes(data))
        return
    picture = read_picture(bytes(data))
    assert (picture.own is None) == (primaries == 1)
    again = read_picture(encode(picture, WriteOptions()))
    assert again.icc_profile == picture.icc_profile
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 5


def test_a_bmp_may_hold_a_profile():
    stream = BytesIO()
    Image.fromarray(COLOURS).save(stream, "BMP")
    pixels, block = stream.getvalue()[54:], rgb_profile(P3, srgb_curve())
    old = stream.getvalue()[14:54]
    header = struct.pack("<I", 124) + old[4:] + bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<4I", 4, 124 + len(pixels), len(block), 0)
    size = 14 + len(header) + len(pixels) + len(block)
    data = struct.pack("<2sIII", b"BM", size, 0, 14 + len(header)) + header + pixels + block
    picture = read_picture(data)
    assert picture.icc_profile == block
    np.testing.assert_array_equal(picture.own, COLOURS)
    assert notes_on_writing(picture, WriteOptions()) == ("BMP has no room for its ICC profile; left out",)
    np.testing.assert_array_equal(stored_samples("bmp", encode(picture, WriteOptions())), picture.pixels)
    np.testing.assert_array_equal(stored_samples("png", encode(picture, WriteOptions(format="png"))), COLOURS)


def camera_exif(space: int, interoperability: bytes | None) -> bytes:
    body = b"II*\0" + struct.pack("<IH", 8, 1) + entry("<", 0x8769, 4, 1, struct.pack("<I", 26)) + bytes(4)
    entries = entry("<", 0xA001, 3, 1, struct.pack("<H", space))
    count = 1 + (interoperability is not None)
    if interoperability is not None:
        entries += entry("<", 0xA005, 4, 1, struct.pack("<I", 26 + 2 + 24 + 4))
    body += struct.pack("<H", count) + entries + bytes(4)
    if interoperability is not None:
        body += struct.pack("<H", 1) + entry("<", 1, 2, 4, interoperability + b"\0") + bytes(4)
    return b"Exif\0\0" + body


@pytest.mark.parametrize(
    ("space", "interoperability", "adobe"),
    [
        (2, None, True),
        (0xFFFF, b"R03", True),
        (0xFFFF, b"R98", False),
        (1, b"R98", False),
        (0xFFFF, None, False),
    ],
)
def test_adobe_rgb_of_cameras(space, interoperability, adobe):
    stream = BytesIO()
    exif = camera_exif(space, interoperability)
    Image.fromarray(COLOURS.repeat(4, axis=0).repeat(4, axis=1)).save(
        stream, "JPEG", quality=100, subsampling=0, exif=exif
    )
    picture = read_picture(stream.getvalue())
    assert (picture.own is not None) == adobe
    written = blocks_of("jpg", encode(picture, WriteOptions()))
    assert (written.exif, written.icc) == (exif, None)
    assert (read_picture(encode(picture, WriteOptions(format="bmp"))).pixels == picture.pixels).all()
