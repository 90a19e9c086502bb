"""Masks, and the picture that shows before and after."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from picture_files import exif_block, pattern
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.layouts import side_by_side
from cyclerdm_cli.pictures.listing import Input
from cyclerdm_cli.pictures.masks import check_mask, find_mask, mask_of, read_mask
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "I;16", "LA"])
def test_white_is_filled_in_whatever_the_mode(tmp_path, mode):
    levels = np.zeros((6, 9), np.uint8)
    levels[2:4, 3:7] = 255
    image = Image.fromarray(levels)
    image = Image.fromarray(levels.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", (6, 9)), levels == 255)


def test_the_threshold_is_half(tmp_path):
    Image.fromarray(np.array([[127, 128]], np.uint8)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", (1, 2)).tolist() == [[False, True]]


def test_the_other_size_is_named(tmp_path):
    Image.new("L", (9, 6)).save(tmp_path / "mask.png")
    with pytest.raises(PictureError, match=r"mask\.png: the mask is 9 x 6 pixels, the picture 8 x 7"):
        read_mask(tmp_path / "mask.png", (7, 8))


def test_a_mask_is_turned_upright_like_its_picture(tmp_path):
    Image.new("L", (9, 6)).save(tmp_path / "mask.jpg", exif=exif_block(6))
    assert read_mask(tmp_path / "mask.jpg", (9, 6)).shape == (9, 6)


def test_masks_are_found_by_name(tmp_path):
    for name in ("a.png", "b.jpg", "x/a.png", "c.tif.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    root = Path("in")
    assert find_mask(tmp_path / "a.png", Input(Path("q.jpg"), Path("."))) == tmp_path / "a.png"
    assert find_mask(tmp_path, Input(Path("in/a.jpg"), root)) == tmp_path / "a.png"
    assert find_mask(tmp_path, Input(Path("in/b.webp"), root)) == tmp_path / "b.jpg"
    assert find_mask(tmp_path, Input(Path("in/x/a.jpg"), root)) == tmp_path / "x" / "a.png"
    assert find_mask(tmp_path, Input(Path("in/y/b.jpg"), root)) == tmp_path / "b.jpg"
    with pytest.raises(PictureError, match=r"in/c\.tif: no mask of that name"):
        find_mask(tmp_path, Input(Path("in/c.tif"), root))
    with pytest.raises(PictureError, match="standard input"):
        find_mask(tmp_path, Input(None, Path(".")))


def test_masks_are_found_whatever_the_case_and_unicode_form(tmp_path):
    composed, decomposed = "\u00e9t\u00e9", "e\u0301te\u0301"
    for name in ("IMG_1.PNG", f"{decomposed}.png", "low.Jpg", "x/Deep.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    root = Path("in")
    assert find_mask(tmp_path, Input(Path("in/img_1.jpg"), root)) == tmp_path / "IMG_1.PNG"
    assert find_mask(tmp_path, Input(Path(f"in/{composed}.jpg"), root)) == tmp_path / f"{decomposed}.png"
    assert find_mask(tmp_path, Input(Path("in/LOW.PNG"), root)) == tmp_path / "low.Jpg"
    assert find_mask(tmp_path, Input(Path("in/x/DEEP.tif"), root)) == tmp_path / "x" / "Deep.png"
    (tmp_path / "img_1.png").touch()
    if len(list(tmp_path.glob("[Ii]*"))) == 2:  # where the two can stand beside each other
        with pytest.raises(PictureError, match="could both be its mask"):
            find_mask(tmp_path, Input(Path("in/Img_1.jpg"), root))


@pytest.mark.parametrize("colour", [0, 255])
def test_a_mask_may_say_something_in_its_alpha_alone(tmp_path, colour):
    samples = np.full((6, 9, 4), colour, np.uint8)
    samples[..., 3] = 0
    samples[2:4, 3:7, 3] = 255
    Image.fromarray(samples).save(tmp_path / "mask.png")
    for said_by in ("auto", "alpha"):
        mask = read_mask(tmp_path / "mask.png", (6, 9), said_by=said_by)
        np.testing.assert_array_equal(mask, samples[..., 3] == 255)
    assert read_mask(tmp_path / "mask.png", (6, 9), said_by="luma").all() == (colour == 255)


def test_a_mask_of_everything_or_nothing_is_refused():
    some = np.eye(3, dtype=bool)
    assert check_mask(some, "m") is some
    with pytest.raises(PictureError, match="m: would fill in everything"):
        check_mask(np.ones((3, 3), bool), "m")
    with pytest.raises(PictureError, match="m: would fill in nothing"):
        check_mask(np.zeros((3, 3), bool), "m")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_says_itself_what_is_missing(dtype):
    most = np.iinfo(dtype).max
    pixels = pattern(8, 9, 3, dtype) // 2
    pixels[1, 2] = most
    pixels[3, 4] = (most, most, most - 1)  # nearly white is a colour
    white = np.zeros((8, 9), bool)
    white[1, 2] = True
    alpha = np.full((8, 9), most, dtype)
    np.testing.assert_array_equal(mask_of(Picture(pixels)), white)
    np.testing.assert_array_equal(mask_of(Picture(pixels, alpha=alpha)), white)
    alpha[5, 6], alpha[6, 6] = 0, 1
    missing = np.zeros((8, 9), bool)
    missing[5, 6] = True
    np.testing.assert_array_equal(mask_of(Picture(pixels, alpha=alpha)), missing)
    assert mask_of(Picture(pixels // 2)) is None


@pytest.mark.parametrize("width", [1, 30, 500])
def test_before_stands_left_and_after_right(width):
    before, after = pattern(4, width, 3), 255 - pattern(4, width, 3)
    both = side_by_side(before, after)
    np.testing.assert_array_equal(both[:, :width], before)
    np.testing.assert_array_equal(both[:, -width:], after)
    assert 2 <= both.shape[1] - 2 * width <= 5
    assert (both[:, width:-width] == 128).all()
    with pytest.raises(ValueError, match="does not stand beside"):
        side_by_side(before, np.zeros((4, width, 3), np.uint16))


def test_a_comparison_is_written_like_its_picture():
    stream = BytesIO()
    Image.fromarray(pattern(8, 9, 4)).save(stream, "PNG")
    source = read_picture(stream.getvalue())
    both = source.with_pixels(side_by_side(source.pixels, source.pixels))
    assert read_picture(encode(both, WriteOptions())).size == (8, 20)
