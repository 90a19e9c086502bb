"""Profiles: to sRGB and back, against Little CMS where it can and against the formulas where it cannot."""

import zlib
from io import BytesIO

import numpy as np
import pytest
from picture_files import (
    SRGB_COLUMNS,
    chunk,
    gamma_curve,
    grey_profile,
    pattern,
    png,
    profile,
    rgb_profile,
    srgb_curve,
    table_curve,
)
from PIL import Image, ImageCms

from cyclerdm_cli.pictures import colour
from cyclerdm_cli.pictures.colour import colour_space, from_srgb, to_srgb
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode

SWAPPED = (SRGB_COLUMNS[1], SRGB_COLUMNS[0], SRGB_COLUMNS[2])
"""Not a real display: red and green change places."""


def every_colour(dtype=np.uint8) -> np.ndarray:
    levels = np.linspace(0, np.iinfo(dtype).max, 18).astype(dtype)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(324, 18, 3)


def with_profile(samples: np.ndarray, block: bytes) -> bytes:
    stream = BytesIO()
    Image.fromarray(samples).save(stream, "PNG", icc_profile=block)
    return stream.getvalue()


def test_little_cms_own_srgb_is_srgb():
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert colour_space(own).kind == "srgb"
    assert colour_space(rgb_profile(SRGB_COLUMNS, srgb_curve())).kind == "srgb"
    assert colour_space(rgb_profile(SRGB_COLUMNS)).kind == "rgb"
    assert colour_space(rgb_profile()).kind == "rgb"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_srgb_pictures_are_not_touched(dtype):
    pixels = every_colour(dtype)
    space = colour_space(rgb_profile(SRGB_COLUMNS, srgb_curve()))
    assert to_srgb(pixels, space) is pixels
    assert from_srgb(pixels, space) is pixels


@pytest.mark.parametrize(
    "curve", [gamma_curve(1.8), table_curve(2.2), srgb_curve()], ids=["gamma", "table", "para"]
)
@pytest.mark.parametrize("direction", [to_srgb, from_srgb])
def test_sixteen_bits_agree_with_little_cms_at_eight(curve, direction):
    space = colour_space(rgb_profile(curve=curve))
    eight = direction(every_colour(), space).astype(float)
    sixteen = direction(every_colour().astype(np.uint16) * 257, space) / 257
    assert np.abs(eight - sixteen).max() < 2  # Little CMS turns tables around within a level or so
    assert np.abs(eight - sixteen).mean() < 0.3  # a quarter is what rounding alone makes
    assert np.abs(eight - every_colour()).max() > 5  # the profile does something


def test_sixteen_bits_follow_the_formula():
    # Adobe RGB (1998), section 4.3.4: to linear light by 563/256; the matrix of pure greys is the identity.
    greys = np.arange(0, 65536, 13, dtype=np.uint16)
    pixels = greys.reshape(1, -1, 1).repeat(3, axis=2)
    linear = (greys / 65535) ** (563 / 256)
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 65535
    converted = to_srgb(pixels, colour_space(rgb_profile()))
    assert np.abs(converted - expected[None, :, None]).max() < 8  # the colorants have five decimals


def test_there_and_back_with_sixteen_bits_moves_no_colour_visibly():
    space = colour_space(rgb_profile())
    inside = np.clip(every_colour(np.uint16), 6000, 60000)  # sRGB colours that Adobe RGB holds
    back = to_srgb(from_srgb(inside, space), space)
    assert np.abs(back.astype(int) - inside).max() <= 24  # a tenth of a level of 8 bits


def test_there_and_back_with_eight_bits():
    space = colour_space(rgb_profile())
    inside = np.clip(every_colour(), 45, 235)  # nearer to black 8 bits are too few for two curves
    back = to_srgb(from_srgb(inside, space), space)
    assert np.abs(back.astype(int) - inside).max() <= 3


def test_tables_with_sixteen_bits_come_within_a_level_of_eight():
    block = rgb_profile(curve=gamma_curve(1.8))
    exact = colour_space(block)
    by_table = colour.ColourSpace("rgb", exact.profile, shaped=None)
    pixels = pattern(40, 50, 3, np.uint16) // 3 + 26000  # nothing near the edge of sRGB
    for direction in (to_srgb, from_srgb):
        difference = direction(pixels, by_table).astype(int) - direction(pixels, exact)
        assert np.abs(difference).max() < 257


def test_strips_join_without_a_seam(monkeypatch):
    pixels, space = pattern(41, 30, 3, np.uint16), colour_space(rgb_profile())
    whole = to_srgb(pixels, space)
    monkeypatch.setattr(colour, "STRIP_PIXELS", 70)
    np.testing.assert_array_equal(to_srgb(pixels, space), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_profiles(dtype):
    most = np.iinfo(dtype).max
    greys = np.linspace(0, most, 256).astype(dtype).reshape(16, 16, 1)
    block = grey_profile(1.0)  # linear light
    space = colour_space(block)
    assert space.kind == "grey"
    srgb = to_srgb(greys, space)
    linear = greys / most
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * most
    assert np.abs(srgb - expected).max() <= 0.51
    if dtype == np.uint16:
        assert np.abs(from_srgb(srgb, space).astype(int) - greys).max() <= 2
    assert colour_space(grey_profile(2.2)).kind == "grey"


def test_a_grey_picture_with_a_grey_profile_goes_through_files():
    samples = np.linspace(30, 225, 64).astype(np.uint8).reshape(8, 8)
    block = grey_profile(1.8)
    source = read_picture(with_profile(samples, block))
    assert source.mode == "grey"
    assert np.abs(source.pixels[..., 0].astype(int) - samples).max() > 5
    written = encode(source, WriteOptions())
    stored = Image.open(BytesIO(written))
    assert stored.mode == "L"
    assert stored.info["icc_profile"] == block
    assert np.abs(np.asarray(stored).astype(int) - samples).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_picture_with_an_rgb_profile(dtype):
    samples = np.linspace(30, 225, 64).astype(np.uint8).reshape(8, 8, 1)
    samples = samples if dtype == np.uint8 else samples.astype(np.uint16) * 257
    block = rgb_profile(SRGB_COLUMNS, gamma_curve(1.8))
    data = png(samples, chunk(b"iCCP", b"p\0\0" + zlib.compress(block)))
    source = read_picture(data)
    again = read_picture(encode(source, WriteOptions()))
    assert again.mode == "grey"
    assert again.icc_profile == block
    assert np.abs(again.pixels.astype(int) - source.pixels).max() <= (2 if dtype == np.uint8 else 24)


def test_an_unusual_profile_is_followed():
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    picture = read_picture(with_profile(red, rgb_profile(SWAPPED, srgb_curve())))
    assert picture.pixels[0, 0].tolist() == pytest.approx([0, 255, 0], abs=2)
    stored = Image.open(BytesIO(encode(picture, WriteOptions())))
    assert stored.getpixel((0, 0)) == pytest.approx((255, 0, 0), abs=2)


@pytest.mark.parametrize(
    "block",
    [
        b"nonsense",
        bytes(200),
        rgb_profile()[:150],
        profile(b"RGB ", {}),
        profile(b"GRAY", {b"kTRC": b"what"}),
    ],
    ids=["words", "zeros", "cut", "no tags", "odd curve"],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_useless_profiles_are_said_and_carried(block, dtype):
    channels = 1 if block[16:20] == b"GRAY" else 3
    samples = pattern(5, 6, channels, dtype)
    picture = read_picture(png(samples, chunk(b"iCCP", b"p\0\0" + zlib.compress(block))))
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(samples, (5, 6, 3)))
    assert "its colour profile cannot be used; the colours are taken for sRGB" in picture.notes
    assert picture.icc_profile == block
    again = read_picture(encode(picture, WriteOptions()))
    np.testing.assert_array_equal(again.pixels, picture.pixels)


def test_a_profile_for_other_pictures_is_left_out():
    picture = read_picture(with_profile(pattern(5, 6, 3), grey_profile(1.8)))
    np.testing.assert_array_equal(picture.pixels, pattern(5, 6, 3))
    assert picture.icc_profile is None
    assert "its colour profile is for another kind of picture and was left out" in picture.notes
