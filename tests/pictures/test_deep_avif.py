"""AVIF of more than 8 bits, where the library that reads them is installed."""

from __future__ import annotations

import numpy as np
import pytest
from picture_files import pattern

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import many_bits
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

imagecodecs = pytest.importorskip(
    "imagecodecs", reason="AVIF of more than 8 bits is read with the extra tiff"
)
if not imagecodecs.AVIF.available:
    pytest.skip("this imagecodecs knows no AVIF", allow_module_level=True)


def deep_avif(channels: int, bits: int, **options) -> tuple[np.ndarray, bytes]:
    """Levels of so many bits, (H, W, C), and an AVIF of them without loss."""
    levels = pattern(40, 64, channels, np.uint16) >> (16 - bits)
    given = levels if channels > 1 else levels[..., 0]
    layout = "400" if channels == 1 else "444"
    return levels, imagecodecs.avif_encode(
        given, level=100, bitspersample=bits, pixelformat=layout, **options
    )


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_level_is_read(channels, bits):
    levels, data = deep_avif(channels, bits)
    picture = read_picture(data)
    assert picture.notes == ()
    assert (picture.depth, read_extent(data).depth) == (16, 16)
    stretched = np.rint(levels / (2**bits - 1) * 65535)
    colours = 1 if channels == 1 else 3
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(stretched[..., :colours], (40, 64, 3)))
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, stretched[..., 3])
    assert "AVIF is written with 8 bits a channel" in notes_on_writing(picture, WriteOptions())
    tiff = read_picture(encode(picture, WriteOptions(format="tiff")))
    np.testing.assert_array_equal(tiff.pixels, picture.pixels)


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_refused(transfer):
    _, data = deep_avif(3, 10, primaries=9, transfer=transfer, matrix=9)
    with pytest.raises(PictureError, match="high dynamic range"):
        read_picture(data)


def test_without_the_library_eight_bits_are_read_and_said(monkeypatch):
    _, data = deep_avif(3, 10)
    monkeypatch.setattr(many_bits, "can_read", lambda kind: False)
    picture = read_picture(data)
    assert picture.depth == 8
    assert picture.notes == ("10 bits a channel in AVIF are read as 8 (all of them with imagecodecs)",)


def test_a_file_cut_short_is_refused():
    _, data = deep_avif(3, 10)
    for part in (0.3, 0.9):
        with pytest.raises(PictureError, match=r"cut short|damaged"):
            read_picture(data[: int(len(data) * part)])
