"""TIFF files that take the extra `tiff`: scene-linear floats, BigTIFF, planes apart, newer compressions."""

from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest
import tifffile
from picture_files import pattern, rgb_profile, tiff
from test_carrying_back import PROFILES

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.carrying import carried_back
from cyclerdm_cli.pictures.colour import colour_space, to_srgb
from cyclerdm_cli.pictures.icc import linear_to_srgb
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

VARIANTS = {
    "big-endian BigTIFF": {"byteorder": ">", "bigtiff": True},
    "BigTIFF": {"bigtiff": True},
    "LZW, planes apart": {"compression": "lzw", "planarconfig": "separate"},
    "PackBits, planes apart": {"compression": "packbits", "planarconfig": "separate"},
    "tiles, planes apart": {"tile": (16, 16), "planarconfig": "separate"},
    "zstd": {"compression": "zstd"},
    "LZMA": {"compression": "lzma"},
    "deflate, BigTIFF": {"compression": "zlib", "predictor": True, "bigtiff": True},
}


def written(samples: np.ndarray, **options) -> bytes:
    """A TIFF of (H, W, C) samples."""
    if options.get("planarconfig"):
        samples = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
    try:
        return tiff(samples, metadata=None, **options)
    except (ValueError, KeyError, ImportError) as error:
        pytest.skip(f"tifffile writes this with imagecodecs: {error}")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_sixteen_bits_of_every_layout(name, channels):
    options = VARIANTS[name]
    if options.get("planarconfig") and channels < 3:
        pytest.skip("one plane")
    samples = pattern(20, 30, channels, np.uint16)
    picture = read_picture(written(samples, **options))
    colours = 1 if channels < 3 else 3
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(samples[..., :colours], (20, 30, 3)))
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha, samples[..., -1])
    again = tifffile.imread(BytesIO(encode(picture, WriteOptions())))
    np.testing.assert_array_equal(again.reshape(samples.shape), samples)


def scene(channels: int, dtype: type) -> np.ndarray:
    """Linear light up to four times white, and below black."""
    return (pattern(20, 30, channels, np.uint16) / 65535 * 4.2 - 0.1).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("icc", [None, PROFILES["rec2020"]])
def test_scene_linear_floats_come_out_as_they_went_in(dtype, channels, icc):
    samples = scene(channels, dtype)
    if channels == 1:
        icc = None
    data = tiff(samples, metadata=None, iccprofile=icc)
    picture = read_picture(data)
    if icc is None:
        seen = linear_to_srgb(np.broadcast_to(samples.astype(float), picture.pixels.shape))
        assert np.abs(picture.pixels / 65535 - seen).max() < 0.01
    page = tifffile.TiffFile(BytesIO(encode(picture, WriteOptions()))).pages[0]
    assert page.dtype == dtype
    np.testing.assert_array_equal(page.asarray().reshape(samples.shape), samples)
    assert (34675 in page.tags) == (icc is not None)
    assert read_extent(data).own_depth == 32


def test_a_change_is_added_to_floats_and_values_above_white_stay():
    samples = scene(3, np.float32)
    picture = read_picture(tiff(samples, metadata=None))
    half = (picture.pixels // 2).astype(np.uint16)
    result = tifffile.imread(BytesIO(encode(picture.with_pixels(half), WriteOptions())))
    white = (samples > 1).all(axis=2)
    assert (result[white] < samples[white]).all()
    assert np.abs((samples - result)[white] - (1 - 0.2140)).max() < 0.002  # half of white, as light
    filled = np.ones(picture.size, bool)
    invented = tifffile.imread(BytesIO(encode(picture.with_pixels(half, filled), WriteOptions())))
    assert invented[white].max() == pytest.approx(0.2140, abs=0.002)


def test_odd_numbers_are_left_alone():
    own = np.array([[[np.nan, np.inf, -np.inf], [0.5, 0.5, 0.5]]], np.float32)
    space = colour_space(rgb_profile())
    seen = np.array([[[0, 65535, 0], [32768] * 3]], np.uint16)
    result = carried_back(own, to_srgb(seen, space), space)
    np.testing.assert_array_equal(result, own)


def test_floats_in_other_formats_are_said():
    picture = read_picture(tiff(scene(3, np.float32), metadata=None))
    (note,) = notes_on_writing(picture, WriteOptions(format="png"))
    assert "beyond white" in note
    again = read_picture(encode(picture, WriteOptions(format="png")))
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert again.icc_profile is None
    assert read_picture(encode(picture, WriteOptions(depth=16))).own is None


def test_without_the_extra_one_line_names_them(monkeypatch):
    data = tiff(scene(3, np.float32), metadata=None)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(PictureError, match="TIFF of 32 bits, floating point, plain needs an extra") as error:
        read_picture(data)
    assert "pip install tifffile" in error.value.hint


def test_a_file_cut_short_is_refused():
    for options in ({"bigtiff": True}, {"bigtiff": True, "compression": "zlib"}):
        data = tiff(pattern(64, 64, 3, np.uint16), metadata=None, **options)
        with pytest.raises(PictureError, match=r"cut short|damaged"):
            read_picture(data[: len(data) * 2 // 3])


def test_a_reduced_copy_in_front_is_passed_over():
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(pattern(10, 15, 3), photometric="rgb", subfiletype=1, metadata=None)
        writer.write(pattern(20, 30, 3), photometric="rgb", metadata=None)
    picture = read_picture(stream.getvalue())
    np.testing.assert_array_equal(picture.pixels, pattern(20, 30, 3))
    assert read_extent(stream.getvalue()).height == 20
    assert picture.notes == ("frame 1 (from 0) of 2 used",)
