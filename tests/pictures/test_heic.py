"""HEIC, where the extra is installed."""

from io import BytesIO

import numpy as np
import pytest
from picture_files import exif_block, pattern, rgb_profile, xmp_packet
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC is read and written with the extra heic")


def heic(samples: np.ndarray, **options) -> bytes:
    pillow_heif.register_heif_opener()
    stream = BytesIO()
    Image.fromarray(samples).save(stream, "HEIF", quality=95, **options)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_telephones_picture_keeps_what_it_has(orientation):
    stored = pattern(40, 64, 3)
    data = heic(stored, exif=exif_block(orientation), xmp=xmp_packet(orientation), icc_profile=rgb_profile())
    picture = read_picture(data)
    assert picture.size == ((64, 40) if orientation > 4 else (40, 64))
    again = read_picture(encode(picture, WriteOptions()))
    assert again.format == picture.format == "heic"
    assert again.size == picture.size
    assert again.icc_profile == rgb_profile()
    assert b'tiff:Make="Maker"' in again.xmp
    kept = Image.Exif()
    kept.load(again.exif)
    assert kept[0x010F] == "Maker"
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 2


def test_alpha():
    samples = pattern(40, 64, 4)
    assert np.abs(read_picture(heic(samples)).alpha.astype(int) - samples[..., 3]).max() < 10


def deep_heic(samples: np.ndarray, **options) -> bytes:
    """(H, W, C) uint16 as HEIC of 10 bits, as good as without loss."""
    stream = BytesIO()
    mode = {1: "I;16", 3: "RGB;16", 4: "RGBA;16"}[samples.shape[2]]
    size = samples.shape[1], samples.shape[0]
    pillow_heif.encode(mode, size, samples.tobytes(), stream, quality=-1, chroma=444, **options)
    return stream.getvalue()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_ten_bits_are_read_and_written(channels):
    samples = pattern(40, 64, channels, np.uint16)
    data = deep_heic(samples)
    picture = read_picture(data)
    assert (picture.depth, picture.grey) == (16, channels == 1)
    assert read_extent(data).depth == 16
    colours = 1 if channels == 1 else 3
    assert np.abs(picture.pixels.astype(int) - samples[..., :colours]).max() < 400  # of 257 a level of 8 bits
    assert len(np.unique(picture.pixels)) > 256
    if channels == 4:
        assert np.abs(picture.alpha.astype(int) - samples[..., 3]).max() < 400
    again = read_picture(encode(picture, WriteOptions(quality=100)))
    assert again.depth == 16
    assert len(np.unique(again.pixels)) > 256
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 514  # 4:2:0
    assert "HEIC is written with 10 bits a channel" in notes_on_writing(picture, WriteOptions())
    assert read_picture(encode(picture, WriteOptions(depth=8))).depth == 8


def test_ten_bits_keep_what_stands_beside_and_stand_upright():
    data = deep_heic(
        pattern(40, 64, 3, np.uint16), exif=exif_block(6), xmp=xmp_packet(6), icc_profile=rgb_profile()
    )
    picture = read_picture(data)
    assert picture.size == (64, 40)
    again = read_picture(encode(picture, WriteOptions()))
    assert (again.size, again.depth, again.icc_profile) == ((64, 40), 16, rgb_profile())
    assert b'tiff:Make="Maker"' in again.xmp
    kept = Image.Exif()
    kept.load(again.exif)
    assert kept[0x010F] == "Maker"


def test_ten_bits_cut_short_are_refused():
    data = deep_heic(pattern(40, 64, 3, np.uint16))
    for part in (0.3, 0.9):
        with pytest.raises(PictureError, match="cut short"):
            read_picture(data[: int(len(data) * part)])


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_files_cut_short(part):
    data = heic(pattern(40, 64, 3))
    with pytest.raises(PictureError, match="cut short"):
        read_picture(data[: int(len(data) * part)])
