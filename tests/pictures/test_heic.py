"""HEIC, where the extra is installed."""

from io import BytesIO

import numpy as np
import pytest
from picture_files import exif_block, pattern, rgb_profile, xmp_packet
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.writing import WriteOptions, encode

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


def test_more_bits_than_are_read_are_spoken_of():
    samples = pattern(40, 64, 3, np.uint16)
    stream = BytesIO()
    pillow_heif.from_bytes(mode="RGB;16", size=(64, 40), data=samples.tobytes()).save(stream)
    assert any("HEIC" in note for note in read_picture(stream.getvalue()).notes)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_files_cut_short(part):
    data = heic(pattern(40, 64, 3))
    with pytest.raises(PictureError, match="cut short"):
        read_picture(data[: int(len(data) * part)])
