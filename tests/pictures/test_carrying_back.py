"""What restoring changed goes back onto the file's own colours; what it left alone stays, to the bit."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from independent_files import Blocks, blocks_of, stored_samples, write
from picture_files import (
    ADOBE_RGB_COLUMNS,
    SRGB_COLUMNS,
    gamma_curve,
    grey_profile,
    rgb_profile,
    srgb_curve,
    table_curve,
    tiff,
)
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.pictures.carrying import carried_back
from cyclerdm_cli.pictures.colour import ColourSpace, colour_space, to_srgb
from cyclerdm_cli.pictures.icc import SRGB_TO_XYZ, linear_to_srgb, srgb_to_linear
from cyclerdm_cli.pictures.reading import read_extent, read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode

# Each primary's X, Y, Z adapted to the white of ICC profiles, as in the profiles that Apple, Kodak and the ITU's
# users ship.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
REC2020 = ((0.67345, 0.27904, -0.00194), (0.16566, 0.67535, 0.02998), (0.12505, 0.04561, 0.79686))
PROFILES = {
    "p3": rgb_profile(P3, srgb_curve()),
    "adobe": rgb_profile(ADOBE_RGB_COLUMNS),
    "prophoto": rgb_profile(PROPHOTO, gamma_curve(1.8)),
    "rec2020": rgb_profile(REC2020, gamma_curve(2.4)),
    "wide table": rgb_profile(PROPHOTO, table_curve(1.9)),
    "srgb": rgb_profile(SRGB_COLUMNS, srgb_curve()),
    "grey": grey_profile(1.8),
    "none": None,
}
SRGB_SPACE = ColourSpace("srgb")
WIDE = ("p3", "adobe", "prophoto", "rec2020")


def colours(seed: int, channels: int, dtype: type) -> np.ndarray:
    """Any colours at all, the corners of the gamut among them."""
    generator = np.random.default_rng(seed)
    most = np.iinfo(dtype).max
    samples = generator.integers(0, most, (11, 13, channels), dtype, endpoint=True)
    samples[:4] = np.where(samples[:4] > most // 2, most, 0)
    return samples


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 999),
    st.sampled_from(sorted(PROFILES)),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from(["png", "tif", "webp", "bmp"]),
)
def test_unchanged_pixels_are_the_files_own(seed, name, channels, dtype, kind):
    if kind in ("webp", "bmp"):
        channels, dtype = 3, np.uint8
    if kind == "bmp":
        name = "none"
    samples = colours(seed, channels, dtype)
    data = write(kind, samples, Blocks(icc=PROFILES[name]))
    picture = read_picture(data)
    written = encode(picture.with_pixels(picture.pixels.copy()), WriteOptions())
    np.testing.assert_array_equal(stored_samples(kind, written), samples)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.sampled_from(sorted(PROFILES)), st.sampled_from([np.float16, np.float32]))
def test_floats_outside_a_mask_do_not_change(seed, name, dtype):
    icc = None if name == "grey" else PROFILES[name]
    samples = (colours(seed, 3, np.uint16) / 40_000 - 0.1).astype(dtype)
    picture = read_picture(tiff(samples, metadata=None, iccprofile=icc))
    mask = np.random.default_rng(seed).random(picture.size) < 0.3
    pixels = np.where(mask[..., None], 65535 - picture.pixels, picture.pixels).astype(np.uint16)
    written = encode(picture.with_pixels(pixels, mask), WriteOptions())
    np.testing.assert_array_equal(stored_samples("tif", written)[~mask], samples[~mask])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 999),
    st.sampled_from(sorted(PROFILES)),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from(["png", "tif", "webp", "bmp"]),
)
def test_outside_a_mask_nothing_changes(seed, name, channels, dtype, kind):
    if kind in ("webp", "bmp"):
        channels, dtype = 3, np.uint8
    if kind == "bmp":
        name = "none"
    samples = colours(seed, channels, dtype)
    picture = read_picture(write(kind, samples, Blocks(icc=PROFILES[name])))
    generator = np.random.default_rng(seed)
    mask = generator.random(picture.size) < 0.3
    pixels = np.where(mask[..., None], generator.integers(0, 255, picture.pixels.shape), picture.pixels)
    written = encode(picture.with_pixels(pixels.astype(dtype), mask), WriteOptions())
    np.testing.assert_array_equal(stored_samples(kind, written)[~mask], samples[~mask])


@pytest.mark.parametrize("name", [*WIDE, "wide table"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_neutral_stays_neutral(name, dtype):
    most = np.iinfo(dtype).max
    own = np.linspace(0, most, 256).astype(dtype).reshape(16, 16, 1).repeat(3, axis=2)
    space = colour_space(PROFILES[name])
    seen = to_srgb(own, space)
    brighter = np.minimum(seen.astype(np.int64) + most // 5, most).astype(dtype)
    moved = carried_back(own, brighter, space).astype(int)
    assert (moved >= own).all()
    off = np.abs(moved - moved.mean(axis=2, keepdims=True)).max() / most
    assert off <= 1.4 / 255


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_outside_srgb_are_not_clipped(name, dtype):
    most = np.iinfo(dtype).max
    patches = np.array([[253, 2, 2], [4, 250, 6], [2, 240, 250], [250, 3, 240]]) * (most // 255)
    own = patches.astype(dtype)[None]
    space = colour_space(PROFILES[name])
    nudged = to_srgb(own, space).astype(int) - 6 * (most // 255)
    moved = carried_back(own, np.clip(nudged, 0, most).astype(dtype), space)
    assert np.abs(moved.astype(int) - own).max() <= 16 * (most // 255)


def exactly_outward(seen: np.ndarray, name: str, most: int) -> np.ndarray:
    """(..., 3) sRGB levels in the colours of a profile, 0 to `most`, in double precision."""
    columns, gamma = {
        "p3": (P3, None),
        "adobe": (ADOBE_RGB_COLUMNS, 563 / 256),
        "prophoto": (PROPHOTO, 461 / 256),
    }[name]
    to_profile = np.linalg.inv(np.array(columns).T) @ SRGB_TO_XYZ
    light = np.clip(srgb_to_linear(seen / most) @ to_profile.T, 0, 1)
    return (linear_to_srgb(light) if gamma is None else light ** (1 / gamma)) * most


@pytest.mark.parametrize("name", ["p3", "adobe", "prophoto"])
@pytest.mark.parametrize(("dtype", "most_apart"), [(np.uint8, 1), (np.uint16, 64)])
def test_a_change_is_what_the_formulas_make_of_it(name, dtype, most_apart):
    own, most = colours(5, 3, dtype).repeat(5, axis=0), np.iinfo(dtype).max
    space = colour_space(PROFILES[name])
    seen = to_srgb(own, space)
    step = np.random.default_rng(1).integers(-most // 8, most // 8, seen.shape)
    wanted = np.clip(seen + step, 0, most).astype(dtype)
    change = exactly_outward(wanted, name, most) - exactly_outward(seen, name, most)
    apart = np.abs(carried_back(own, wanted, space) - np.clip(own + change, 0, most))
    assert apart.max() <= most_apart


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from(sorted(PROFILES)), st.sampled_from([np.uint8, np.uint16]))
def test_a_colour_becomes_the_same_wherever_it_stands(seed, name, dtype):
    channels = 1 if name == "grey" else 3
    samples = np.broadcast_to(colours(seed, channels, dtype), (11, 13, 3)).copy()
    space = colour_space(PROFILES[name]) if PROFILES[name] else SRGB_SPACE
    whole = to_srgb(samples, space)
    for turned in (
        lambda one: one[::-1],
        lambda one: one.swapaxes(0, 1),
        lambda one: one[3:, 5:],
        lambda one: one[7:8, :1],
    ):
        piece = np.ascontiguousarray(turned(samples))
        np.testing.assert_array_equal(to_srgb(piece, space), turned(whole))


def test_what_was_invented_owes_nothing_to_what_was_there():
    green = np.zeros((4, 4, 3), np.uint8)
    green[..., 1] = 255
    grey = np.full_like(green, 120)
    space = colour_space(PROFILES["p3"])
    moved = carried_back(green, grey, space, filled=np.ones((4, 4), bool))
    assert np.abs(moved.astype(int) - 120).max() <= 1


def test_a_picture_in_its_own_colours_counts_twice():
    samples = np.zeros((10, 20, 3), np.uint8)
    assert read_extent(write("png", samples, Blocks())).held == 600
    assert read_extent(write("png", samples, Blocks(icc=PROFILES["p3"]))).held == 1200


def run(*words: object) -> None:
    done = CliRunner().invoke(app, [*map(str, words), "--device", "cpu", "--precision", "fp32"])
    assert done.exit_code == 0, done.output


def test_inpainting_a_wide_picture_leaves_the_rest_alone(tiny_weights: Path, tmp_path: Path):
    for name in WIDE:
        for kind, dtype in (("png", np.uint8), ("tif", np.uint16)):
            samples = colours(3, 3, dtype).repeat(4, axis=0).repeat(4, axis=1)
            (tmp_path / f"{name}.{kind}").write_bytes(write(kind, samples, Blocks(icc=PROFILES[name])))
    mask = np.zeros((44, 52), np.uint8)
    mask[10:20, 15:30] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    inputs = [tmp_path / f"{name}.{kind}" for name in WIDE for kind in ("png", "tif")]
    words = ["--task", "inpaint", "--mask", tmp_path / "mask.png", "--weights", tiny_weights]
    run("restore", *inputs, "-o", f"{tmp_path}/out/", *words)
    for path in inputs:
        before, after = (
            stored_samples(path.suffix[1:], where.read_bytes())
            for where in (path, tmp_path / "out" / path.name)
        )
        np.testing.assert_array_equal(before[mask == 0], after[mask == 0])
        assert (before != after).any()


def lossy(kind: str, icc: bytes | None) -> bytes:
    """A file of a format that loses, by Pillow."""
    stream = BytesIO()
    options = {"quality": 60} | ({"icc_profile": icc} if icc else {})
    Image.fromarray(colours(7, 3, np.uint8).repeat(3, axis=0)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("name", ["p3", "adobe", "none"])
def test_strength_0_through_another_format_is_what_the_decoder_gave(kind, name, tiny_weights, tmp_path):
    data = lossy(kind, PROFILES[name])
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(data)
    words = ["--task", "denoise", "--strength", "0", "--weights", tiny_weights]
    for target, read in (("png", "png"), ("tiff", "tif")):
        run("restore", path, "-o", tmp_path / f"out.{target}", *words)
        written = (tmp_path / f"out.{target}").read_bytes()
        np.testing.assert_array_equal(stored_samples(read, written), np.asarray(Image.open(BytesIO(data))))
        assert blocks_of(read, written).icc == PROFILES[name]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_comparison_shows_the_files_own_colours(dtype, tiny_weights: Path, tmp_path: Path):
    samples = colours(4, 3, np.uint16).repeat(3, axis=0)
    samples = (
        samples / np.float32(40_000)
        if dtype == np.float32
        else (samples >> (16 - 8 * np.dtype(dtype).itemsize))
    )
    samples = np.ascontiguousarray(samples.astype(dtype))
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", iccprofile=PROFILES["p3"])
    words = ["--task", "denoise", "--weights", tiny_weights]
    run("restore", tmp_path / "a.tif", "-o", tmp_path / "out.tif", "--compare", *words)
    result = tifffile.imread(tmp_path / "out.tif")
    (place,) = [path for path in tmp_path.iterdir() if path.name not in ("a.tif", "out.tif")]
    both = tifffile.imread(place)
    assert both.dtype == dtype
    np.testing.assert_array_equal(both[:, :13], samples)
    np.testing.assert_array_equal(both[:, -13:], result)
    assert (result != samples).any()


def test_strength_0_gives_the_input_back(tiny_weights: Path, tmp_path: Path):
    stream = BytesIO()
    Image.fromarray(colours(1, 3, np.uint8)).save(stream, "JPEG", quality=60, icc_profile=PROFILES["p3"])
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    tifffile.imwrite(tmp_path / "b.tif", colours(2, 3, np.uint16), iccprofile=PROFILES["adobe"])
    (tmp_path / "c.png").write_bytes(write("png", colours(3, 4, np.uint8), Blocks(icc=PROFILES["rec2020"])))
    inputs = [tmp_path / name for name in ("a.jpg", "b.tif", "c.png")]
    words = ["--task", "denoise", "--strength", "0", "--weights", tiny_weights]
    run("restore", *inputs, "-o", f"{tmp_path}/out/", *words)
    for path in inputs:
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    run("restore", inputs[1], "-o", tmp_path / "b.png", *words)
    np.testing.assert_array_equal(
        stored_samples("png", (tmp_path / "b.png").read_bytes()), colours(2, 3, np.uint16)
    )
