"""Large pictures are read as small ones are, with less memory: pixels, metadata and faults are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import large_pictures, mapped
from cyclerdm_cli.pictures.picture import Beside, Picture
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode
from tests.pictures.picture_files import exif_block, pattern, rgb_profile, xmp_packet

tifffile = pytest.importorskip("tifffile")
KEPT = ("mode", "exif", "xmp", "icc_profile", "beside", "format", "quantisation", "subsampling", "notes")


@pytest.fixture
def as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all pictures read as large ones are."""
    monkeypatch.setattr(large_pictures, "LARGE", 1)
    monkeypatch.setattr(mapped, "LARGE_FILE", 1)


def files(folder: Path) -> list[Path]:
    """Return one file of each kind that is taken, or left to the usual way."""
    said = {
        "exif": exif_block(), "xmp": xmp_packet(), "icc_profile": rgb_profile(), "beside": Beside((300.0, 200.0))
    }  # fmt: skip
    for name in ("png", "tiff", "jpg"):
        for dtype in (np.uint8, np.uint16):
            for channels in (3, 4):
                samples = pattern(75, 90, channels, dtype)
                alpha, mode = (samples[..., 3], "rgba") if channels == 4 else (None, "rgb")
                picture = Picture(samples[..., :3].copy(), alpha=alpha, mode=mode, **said)
                place = folder / f"{mode}-{np.dtype(dtype).name}.{name}"
                place.write_bytes(encode(picture, WriteOptions(name)))
    for dtype in (np.uint8, np.uint16):
        for order in "<>":
            for rows, predictor in ((7, 1), (75, 1), (7, 2)):
                how = {"compression": "zlib", "predictor": 2} if predictor == 2 else {}
                place = (
                    folder / f"{np.dtype(dtype).name}-{'II' if order == '<' else 'MM'}-{rows}-{predictor}.tif"
                )
                samples = pattern(75, 90, 3, dtype)
                tifffile.imwrite(place, samples, photometric="rgb", rowsperstrip=rows, byteorder=order, **how)
    tifffile.imwrite(folder / "tiles.tif", pattern(75, 90, 3), photometric="rgb", tile=(32, 32))
    tifffile.imwrite(folder / "planes.tif", pattern(75, 90, 3).transpose(2, 0, 1), photometric="rgb")
    tifffile.imwrite(folder / "floats.tif", pattern(75, 90, 3).astype(np.float32) / 255, photometric="rgb")
    Image.fromarray(pattern(75, 90, 3)).save(folder / "turned.tif", tiffinfo={274: 6})
    Image.fromarray(pattern(75, 90, 3)).save(folder / "coarse-first.jpg", progressive=True, quality=60)
    Image.fromarray(pattern(75, 90, 1)[..., 0]).save(folder / "grey.jpg")
    return sorted(folder.iterdir())


def test_they_are_read_as_any_other(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    places = files(tmp_path)
    expected = [read_picture(place) for place in places]
    request.getfixturevalue("as_large")
    for place, one in zip(places, expected, strict=True):
        other = read_picture(place)
        for array in ("pixels", "own", "alpha"):
            np.testing.assert_array_equal(getattr(one, array), getattr(other, array), err_msg=place.name)
        assert [getattr(one, name) for name in KEPT] == [getattr(other, name) for name in KEPT], place.name
        assert other.pixels.flags.writeable


def test_what_is_cut_short_is_refused_in_the_same_words(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    places = [place for place in files(tmp_path) if place.name.startswith("rgb-uint8")]
    for place in places:
        place.write_bytes(place.read_bytes()[: place.stat().st_size * 2 // 3])

    def words(place: Path) -> str:
        with pytest.raises(PictureError) as said:
            read_picture(place)
        return str(said.value)

    expected = [words(place) for place in places]
    request.getfixturevalue("as_large")
    assert [words(place) for place in places] == expected


@pytest.mark.usefixtures("as_large")
def test_strips_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "short.tif"
    tifffile.imwrite(place, pattern(75, 90, 3), photometric="rgb", rowsperstrip=7)
    place.write_bytes(place.read_bytes()[:-500])
    with pytest.raises(PictureError, match=r"short\.tif: the picture is cut short"):
        read_picture(place)
