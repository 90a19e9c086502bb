"""RAW files of cameras are told by what is in them, and developed where the extra is installed."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from independent_files import exif_tags
from picture_files import pattern, tiff, xmp_packet
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.listing import Input
from cyclerdm_cli.pictures.naming import plan_outputs
from cyclerdm_cli.pictures.raw import kind_of
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode

SIZE = (64, 96)


def raw_file(version: bool = True, make: str = "NIKON CORPORATION", xmp: bytes = b"") -> bytes:
    """A grey-green scene behind a filter of red, green, green, blue; in front of it an 80x60 preview."""
    sensor = np.full(SIZE, 6000, np.uint16)
    sensor[::2, ::2] = 3000
    sensor[1::2, 1::2] = 3000
    dng = [(50706, 1, 4, b"\1\4\0\0", True), (50708, 2, 9, "Fake Cam", True)] if version else []
    matrix = (50721, 10, 9, [value for one in (1, 0, 0, 0, 1, 0, 0, 0, 1) for value in (one, 1)], True)
    filters = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, b"\0\1\1\2", True)]
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        extra = [(271, 2, 0, make, True), *dng, *([matrix] if version else [])]
        extra += [(700, 1, len(xmp), xmp, True)] if xmp else []
        writer.write(
            pattern(60, 80, 3), photometric="rgb", subfiletype=1, extratags=extra, subifds=1, metadata=None
        )
        writer.write(sensor, photometric=32803, subfiletype=0, extratags=filters, metadata=None)
    return stream.getvalue()


def test_raw_files_are_told_by_their_contents():
    assert kind_of(raw_file()) == "DNG"
    assert kind_of(raw_file(version=False)) == "NEF"
    assert kind_of(raw_file(version=False, make="Unknown")) == "RAW"
    assert kind_of(b"FUJIFILMCCD-RAW 0201") == "RAF"
    assert kind_of(b"\0\0\0\x18ftypcrx \0\0\0\1") == "CR3"
    assert kind_of(b"II*\0\x10\0\0\0CR\2\0") == "CR2"
    for data in (tiff(pattern(9, 11, 3)), b"II*\0", b"MM\0*" + b"\xff" * 20, b"", b"\xff\xd8\xff"):
        assert kind_of(data) is None


@pytest.mark.parametrize("name", ["a.nef", "a.tif"])
def test_without_the_extra_one_line_names_it(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    (tmp_path / name).write_bytes(raw_file())
    for read in (read_picture, read_extent):
        with pytest.raises(PictureError, match=r"a camera's RAW file \(DNG\), which needs rawpy") as error:
            read(tmp_path / name)
        assert "pip install rawpy" in error.value.hint


def test_what_comes_of_a_raw_file_is_a_tiff():
    (job,) = plan_outputs([Input(Path("in/A.NEF"), Path("in"))], None, "denoise")
    assert (job.output, job.format) == (Path("in/A_denoise.tif"), "tiff")


def test_a_raw_file_is_developed_and_not_its_preview():
    pytest.importorskip("rawpy", reason="RAW files are read with the extra raw")
    data = raw_file()
    picture = read_picture(data)
    assert (picture.size, picture.depth, picture.format) == (SIZE, 16, "tiff")
    assert exif_tags(encode(picture, WriteOptions()))[271].startswith("NIKON")
    extent = read_extent(data)
    assert (extent.height, extent.width, extent.depth) == (*SIZE, 16)
    with pytest.raises(PictureError, match="more than the limit"):
        read_picture(data, limit_pixels=1000)
    for space in ("p3", "adobe-rgb", "prophoto"):
        wide = read_picture(data, develop=space)
        assert wide.icc_profile is not None
        middle = (slice(8, -8), slice(8, -8))
        apart = wide.pixels[middle].astype(int) - picture.pixels[middle]
        assert np.abs(apart).mean() < 1500


def test_a_raw_file_keeps_its_xmp_but_for_settings_of_development():
    pytest.importorskip("rawpy", reason="RAW files are read with the extra raw")
    packet = xmp_packet(6)
    picture = read_picture(raw_file(xmp=packet))
    assert b'tiff:Make="Maker"' in picture.xmp
    assert b"Orientation" not in picture.xmp
    assert b'tiff:Make="Maker"' in bytes(
        tifffile.TiffFile(BytesIO(encode(picture, WriteOptions()))).pages[0].tags[700].value
    )
    settings = read_picture(raw_file(xmp=packet.replace(b"tiff:Make", b'crs:Exposure2012="+1" tiff:Make')))
    assert settings.xmp is None
    assert any("settings for developing" in note for note in settings.notes)


def test_what_libraw_cannot_read_is_said_in_words():
    pytest.importorskip("rawpy", reason="RAW files are read with the extra raw")
    with pytest.raises(PictureError, match=r"LibRaw cannot read this CR2 file: [A-Z]"):
        read_picture(b"II*\0\x10\0\0\0CR\2\0" + bytes(4000))


def test_a_raw_file_with_nothing_changed_is_still_developed(tmp_path, tiny_weights):
    pytest.importorskip("rawpy", reason="RAW files are read with the extra raw")
    (tmp_path / "a.dng").write_bytes(raw_file())
    words = ["restore", tmp_path / "a.dng", "--task", "denoise", "--strength", "0", "--weights", tiny_weights]
    done = CliRunner().invoke(app, [*map(str, words), "--device", "cpu", "--colour-space", "p3"])
    assert done.exit_code == 0, done.output
    assert tifffile.imread(tmp_path / "a_denoise.tif").shape == (*SIZE, 3)
