"""Pictures of before and after: what stands where, words that can be read, and what the files say of themselves."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cyclerdm_cli.pictures.comparing import FRAME_SIDE, encode_comparison
from cyclerdm_cli.pictures.formats import COMPARE_CHOICES
from cyclerdm_cli.pictures.labels import DIM, GROUND, Label, label_band, letter_height
from cyclerdm_cli.pictures.layouts import (
    NARROWEST,
    WHOLE_SIDE,
    Names,
    divided,
    framed,
    place_of_detail,
    reduced,
    with_detail,
)
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.write_options import WriteOptions

NAMES = Names("a.jpg", "a_derain.jpg")


def pair(height: int, width: int, dtype: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    """Return random pixels, and others that are surely different everywhere."""
    drawn = np.random.default_rng(0).integers(0, 100, (height, width, 3))
    if np.dtype(dtype).kind == "f":
        return (drawn / 255).astype(dtype), (1 - drawn / 255).astype(dtype)
    most = np.iinfo(dtype).max
    return (drawn * (most // 255)).astype(dtype), (most - drawn * (most // 255)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("leaning", [False, True])
def test_one_half_is_before_and_the_other_after(dtype: type, leaning: bool) -> None:
    before, after = pair(200, 500, dtype)
    made = divided(before, after, NAMES, leaning=leaning)
    body = made[-200:]
    assert made.dtype == dtype
    assert made.shape[1:] == (500, 3)
    np.testing.assert_array_equal(body[:, :140], before[:, :140])
    np.testing.assert_array_equal(body[:, -140:], after[:, -140:])
    still = [int((body[row] == before[row]).all(axis=1).sum()) for row in (0, -1)]
    assert (still[0] > still[1] + 100) == leaning


@pytest.mark.parametrize(("height", "width"), [(16, 12), (300, 451), (2000, 3000), (1200, 90), (90, 1200)])
def test_labels_can_be_read_at_any_size(height: int, width: int) -> None:
    before, after = pair(height, width)
    made = divided(before, after, NAMES)
    band = made[: len(made) - height, :, 0]
    seen = (band > 200).any(axis=0)
    assert made.shape[1] == max(width, NARROWEST)
    half = made.shape[1] // 2
    assert seen[: half // 2].any() or seen[:half].sum() > 10
    assert seen[-half:].sum() > 10
    # A screen that shows the whole picture in 600 pixels still has letters of 8.
    assert letter_height(height, width, half) >= min(13, max(height, width) / 600 * 8, half / 9)


def test_long_names_lose_their_middle_and_strange_letters_do_no_harm() -> None:
    long, dtype = "n" * 300 + ".jpg", np.dtype(np.uint8)
    for name in (long, "Überraschung 中文 фото.png", "", "\udcff.png"):
        band = label_band(300, 13, [Label("before", name, 0, 150)], dtype)
        assert band.shape[1] == 300
        assert (band[:, 150:] == round(255 * GROUND)).all(), "the other column stays free"


@pytest.mark.parametrize(("top", "left"), [(0, 0), (700, 1200), (1500, 2700), (400, 30)])
def test_the_place_that_changed_most_is_found(top: int, left: int) -> None:
    before = np.zeros((1600, 2900, 3), np.uint8)
    after = before.copy()
    after[top : top + 100, left : left + 100] = 200
    after[::200, ::200] += 3  # a little everywhere
    place = place_of_detail(before, after)
    assert place.changed
    assert place.of(after).astype(int).sum() > 0.99 * 200 * 3 * 100 * 100
    assert place.top + place.height <= 1600
    assert place.left + place.width <= 2900


def test_where_nothing_changed_the_middle_is_shown() -> None:
    same = np.zeros((900, 1500, 3), np.uint8)
    place = place_of_detail(same, same)
    assert not place.changed
    assert abs(place.top + place.height / 2 - 450) <= 1
    assert abs(place.left + place.width / 2 - 750) <= 1


@pytest.mark.parametrize(
    ("height", "width", "times"), [(1600, 2900, 1), (300, 451, 2), (20, 30, 2), (1, 1, 2)]
)
def test_a_detail_is_shown_pixel_by_pixel(height: int, width: int, times: int) -> None:
    before, after = pair(height, width)
    place = place_of_detail(before, after)
    made = with_detail(before, after, NAMES, place)
    shown = made[len(made) - place.height * times :]
    half = made.shape[1] // 2
    for part, whole in ((shown[:, :half], before), (shown[:, half:], after)):
        wanted = place.of(whole).repeat(times, 0).repeat(times, 1)
        found = any(
            np.array_equal(part[:, x : x + wanted.shape[1]], wanted)
            for x in range(part.shape[1] - wanted.shape[1] + 1)
        )
        assert found
    assert made.shape[0] < 2.5 * WHOLE_SIDE


def test_a_large_picture_is_reduced_and_a_small_one_is_not() -> None:
    large, _ = pair(100, 1000, np.float16)
    assert reduced(large, 500).shape == (50, 500, 3)
    assert reduced(large, 500).dtype == np.float16
    assert reduced(large, 1000) is large


def test_of_two_frames_each_has_its_own_label_bright() -> None:
    body, _ = pair(90, 400)
    for after in (False, True):
        band = framed(body, NAMES, after=after)[:-90, :, 0]
        halves = band[:, :200].max(), band[:, 200:].max()
        assert halves[after] > 240
        assert halves[not after] < 255 * DIM + 3


@pytest.mark.parametrize("kind", COMPARE_CHOICES)
@pytest.mark.parametrize("format", ["jpg", "png", "webp", "tiff"])
def test_the_file_names_both_and_keeps_what_else_its_exif_says(kind: str, format: str) -> None:
    before, after = pair(40, 60)
    exif = Image.Exif()
    exif[271] = "Maker"
    picture = Picture(after, exif=b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0"), format=format)
    image = Image.open(BytesIO(encode_comparison(kind, before, picture, NAMES, WriteOptions())))
    assert image.getexif()[270] == "before: a.jpg, after: a_derain.jpg"
    assert image.getexif()[271] == "Maker"
    assert image.format == ("WEBP" if kind == "animated" else {"jpg": "JPEG"}.get(format, format.upper()))
    bare = WriteOptions(strip_metadata=True)
    assert 270 not in Image.open(BytesIO(encode_comparison(kind, before, picture, NAMES, bare))).getexif()


def test_damaged_exif_is_replaced() -> None:
    before, after = pair(40, 60)
    picture = Picture(after, exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff")
    image = Image.open(BytesIO(encode_comparison("split", before, picture, NAMES, WriteOptions())))
    assert image.getexif()[270] == "before: a.jpg, after: a_derain.jpg"


def test_an_animated_comparison_shows_each_for_a_second() -> None:
    before, after = pair(60, FRAME_SIDE + 40, np.uint16)
    data = encode_comparison("animated", before, Picture(after), NAMES, WriteOptions(quality=100))
    image = Image.open(BytesIO(data))
    assert (image.format, image.n_frames, image.info["loop"]) == ("WEBP", 2, 0)
    assert image.width == FRAME_SIDE
    means = []
    for number in range(2):
        image.seek(number)
        image.load()
        assert image.info["duration"] == 1000
        means.append(np.asarray(image.convert("RGB"))[-50:].mean())
    np.testing.assert_allclose(means, [before.mean() / 257, after.mean() / 257], atol=2)
