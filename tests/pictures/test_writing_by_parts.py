"""Results that are written by parts are those that would be written at once, and nothing is left of half of one."""

from __future__ import annotations

import errno
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import encoders, samples
from cyclerdm_cli.pictures.atomic import write_atomically
from cyclerdm_cli.pictures.picture import Beside, Mode, Picture
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.samples import bands_of, in_groups, samples_of
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, encode_into
from tests.pictures.picture_files import exif_block, grey_profile, pattern, rgb_profile, xmp_packet

MODES: tuple[Mode, ...] = ("grey", "grey+alpha", "rgb", "rgba")


def made(mode: Mode, dtype: type, size: tuple[int, int] = (301, 97)) -> Picture:
    grey = mode.startswith("grey")
    pixels = pattern(*size, 3, dtype)
    if grey:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    alpha = pattern(*size, 1, dtype, seed=1).reshape(size) if mode in ("grey+alpha", "rgba") else None
    return Picture(
        pixels, mode=mode, alpha=alpha, exif=exif_block(), xmp=xmp_packet(), beside=Beside((300.0, 200.0)),
        icc_profile=grey_profile(1.8) if grey else rgb_profile(), own=pixels[::-1].copy(),
    )  # fmt: skip


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all pictures written by parts, some rows at a time."""
    monkeypatch.setattr(encoders, "LARGE", 0)
    monkeypatch.setattr(samples, "BAND_PIXELS", 1 << 10)
    monkeypatch.setattr(samples, "STRIP_PIXELS", 1 << 10)


@pytest.mark.parametrize("name", ["png", "tiff", "jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("mode", MODES)
def test_pixels_and_metadata_are_the_same(mode: Mode, dtype: type, name: str, request) -> None:
    picture, options = made(mode, dtype), WriteOptions(name)
    at_once = encode(picture, options)
    request.getfixturevalue("in_parts")
    by_parts = encode(picture, options)
    one, other = read_picture(at_once), read_picture(by_parts)
    np.testing.assert_array_equal(one.pixels, other.pixels)
    for kept in ("own", "alpha"):
        np.testing.assert_array_equal(getattr(one, kept), getattr(other, kept))
    for kept in ("mode", "exif", "xmp", "icc_profile", "beside", "quantisation", "subsampling"):
        assert getattr(one, kept) == getattr(other, kept), kept
    if name == "tiff" or (name == "png" and dtype == np.uint16):
        assert at_once == by_parts


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("height", [1, 8, 127, 128, 129, 256, 700])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_of_strips_is_decoded_as_one_of_one_piece(
    height: int, subsampling: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Image.open(BytesIO(encode(made("rgb", np.uint8), WriteOptions("jpg")))).quantization  # type: ignore[attr-defined]
    picture = replace(
        made("rgb", np.uint8, (height, 75)), format="jpg", quantisation=tables, subsampling=subsampling
    )
    by_parts = encode(picture, WriteOptions())
    monkeypatch.setattr(encoders, "LARGE", 10**9)
    at_once = encode(picture, WriteOptions())
    images = [Image.open(BytesIO(data)) for data in (at_once, by_parts)]
    assert images[0].info.get("dpi") == images[1].info.get("dpi") == (300, 200)
    np.testing.assert_array_equal(*map(np.asarray, images))


def test_bands_are_the_samples_in_rows_of_any_number() -> None:
    for mode in MODES:
        picture, options = made(mode, np.uint16), WriteOptions("tiff")
        groups = list(in_groups(bands_of(picture, options), 64))
        assert [len(group) for group in groups] == [64, 64, 64, 64, 45]
        np.testing.assert_array_equal(np.concatenate(groups), samples_of(picture, options))


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("name", ["png", "tiff", "jpg"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_nothing_is_left_of_a_result_that_ends_in_the_middle(
    name: str, fault: BaseException, tmp_path: Path
) -> None:
    class Ending(BytesIO):
        """A stream that takes 2000 bytes and no more."""

        def __init__(self, stream: BinaryIO) -> None:
            super().__init__()
            self.stream, self.room = stream, 2000

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.room -= len(data)
            if self.room < 0:
                raise fault
            return self.stream.write(data)

        def writelines(self, lines) -> None:
            for line in lines:
                self.write(line)

    before, target = b"an older result", tmp_path / f"result.{name}"
    target.write_bytes(before)
    picture = made("rgb", np.uint8)
    expected = PictureError if isinstance(fault, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as said:
        write_atomically(target, lambda stream: encode_into(Ending(stream), picture, WriteOptions(name)))
    assert isinstance(fault, KeyboardInterrupt) or str(said.value).endswith("No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() == before
