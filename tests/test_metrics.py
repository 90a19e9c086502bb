"""The numbers against scikit-image and against the definitions, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from cyclerdm_cli.metrics import luma, measured_on, noise, psnr, sharpness, ssim


def pairs(count: int = 50) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pictures of many sizes, from nearly alike to unlike."""
    random = np.random.default_rng(7)
    found = []
    for number in range(count):
        height, width = random.integers(11, 90, 2)
        first = random.integers(0, 256, (height, width, 3)).astype(np.float64)
        if number % 2:  # smooth, as photographs are
            rows, columns = np.mgrid[:height, :width]
            first = 128 + 100 * np.sin(rows / 9 + number)[..., None] * np.cos(columns / 7)[..., None] * (
                1, 0.7, 0.4,
            )  # fmt: skip
        second = first + random.normal(0, 1 + number, first.shape)
        found.append(tuple(np.clip(np.rint(one), 0, 255).astype(np.uint8) for one in (first, second)))
    return found


def test_psnr_and_ssim_are_those_of_scikit_image() -> None:
    for first, second in pairs():
        reference = peak_signal_noise_ratio(first, second, data_range=255)
        assert psnr(first, second) == pytest.approx(reference, abs=1e-4)
        reference = structural_similarity(
            first, second, data_range=255, channel_axis=2,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )  # fmt: skip
        assert ssim(first, second) == pytest.approx(reference, abs=1e-4)


def test_y_is_bt601_written_out() -> None:
    for first, second in pairs():
        planes = []
        for picture in (first, second):
            red, green, blue = (picture[..., channel] / 255 for channel in range(3))
            planes.append(16 + 65.481 * red + 128.553 * green + 24.966 * blue)
        error = ((planes[0] - planes[1]) ** 2).mean()
        found = psnr(measured_on(first, "y"), measured_on(second, "y"))
        assert found == pytest.approx(20 * math.log10(255 / math.sqrt(error)), abs=1e-4)
        reference = structural_similarity(
            *planes, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim(measured_on(first, "y"), measured_on(second, "y")) == pytest.approx(reference, abs=1e-4)


def test_y_reaches_from_16_to_235() -> None:
    black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    assert luma(black).item() == pytest.approx(16)
    assert luma(white).item() == pytest.approx(235)


def test_y8_is_rounded_as_matlab_rounds() -> None:
    first, second = pairs(2)[1]
    rounded = [np.floor(luma(one) + 0.5) for one in (first, second)]
    reference = 20 * np.log10(255 / np.sqrt(((rounded[0] - rounded[1]) ** 2).mean()))
    assert psnr(measured_on(first, "y8"), measured_on(second, "y8")) == pytest.approx(reference, abs=1e-9)


def test_ssim_is_the_mean_over_whole_windows() -> None:
    # One window alone: the formula of the paper, by hand.
    first, second = (one[:11, :11, 0].astype(np.float64) for one in pairs(3)[2])
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    mean_x, mean_y = (window * first).sum(), (window * second).sum()
    var_x = (window * (first - mean_x) ** 2).sum()
    var_y = (window * (second - mean_y) ** 2).sum()
    both = (window * (first - mean_x) * (second - mean_y)).sum()
    c1, c2 = 2.55**2, 7.65**2
    by_hand = ((2 * mean_x * mean_y + c1) * (2 * both + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    assert ssim(first, second) == pytest.approx(by_hand, abs=1e-12)


def test_identical_pictures_are_infinitely_alike() -> None:
    first, _ = pairs(1)[0]
    assert psnr(first, first) == math.inf
    assert ssim(first, first) == pytest.approx(1)


def test_a_crop_leaves_the_edges_out() -> None:
    first, second = pairs(2)[1]
    damaged = second.copy()
    damaged[:3], damaged[-3:], damaged[:, :3], damaged[:, -3:] = 0, 0, 0, 0
    inner = psnr(first[3:-3, 3:-3], second[3:-3, 3:-3])
    assert psnr(measured_on(first, "rgb", 3), measured_on(damaged, "rgb", 3)) == inner


def test_what_cannot_be_compared_is_refused() -> None:
    small = np.zeros((10, 40, 3), np.uint8)
    with pytest.raises(ValueError, match="11 pixels a side"):
        ssim(small, small)
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(small, small[:5])


@pytest.mark.parametrize("sigma", [2, 10, 25])
def test_noise_on_a_smooth_picture_is_what_was_added(sigma: int) -> None:
    rows, columns = np.mgrid[:300, :200]
    smooth = (100 + rows / 10 + columns / 5)[..., None] * (1, 0.9, 0.8)
    noisy = smooth + np.random.default_rng(3).normal(0, sigma, smooth.shape)
    found = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    assert noise(found) == pytest.approx(
        math.hypot(sigma, 1 / math.sqrt(12)), rel=0.03
    )  # rounding is noise, too


def test_noise_is_immerkaers_formula_written_out() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (13, 17, 3)).astype(np.uint8)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    total = sum(
        abs(int((picture[row : row + 3, column : column + 3, channel] * mask).sum()))
        for row in range(11) for column in range(15) for channel in range(3)
    )  # fmt: skip
    assert noise(picture) == pytest.approx(math.sqrt(math.pi / 2) * total / (6 * 11 * 15 * 3))
    with pytest.raises(ValueError, match="3 pixels a side, not 2 x 9"):
        noise(np.zeros((9, 2, 3), np.uint8))


def test_sharpness_is_the_variance_of_the_laplacian_and_falls_with_blur() -> None:
    grey = np.random.default_rng(6).integers(0, 256, (20, 30)).astype(np.uint8)
    padded = np.pad(grey.astype(float), 1, mode="reflect")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    picture = np.repeat(grey[..., None], 3, 2)
    assert sharpness(picture) == pytest.approx(float((around - 4.0 * grey).var()))
    blurred = np.rint((around + 1.0 * grey) / 5).astype(np.uint8)
    assert sharpness(np.repeat(blurred[..., None], 3, 2)) < sharpness(picture) / 5
    assert sharpness(np.full((5, 5, 3), 90, np.uint8)) == 0
