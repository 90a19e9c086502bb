"""What files and cameras do, against independent implementations."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import convolve as scipy_convolve
from skimage import data

from cyclerdm_cli.tasks import camera


def psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(-10 * torch.log10((first - second).square().mean()))


@pytest.fixture(scope="module")
def astronaut() -> torch.Tensor:
    return torch.from_numpy(data.astronaut()[:200, :187]).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("quality", [10, 20, 40, 60, 90])
def test_jpeg_is_that_of_libjpeg(astronaut: torch.Tensor, quality: int) -> None:
    stream = io.BytesIO()
    pixels = (astronaut[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    reference = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)[None] / 255
    ours = camera.jpeg(astronaut, torch.tensor([float(quality)]))
    assert psnr(ours, reference) > psnr(ours, astronaut) + 7, "nearer to libjpeg's result than to the source"
    assert abs(psnr(ours, astronaut) - psnr(reference, astronaut)) < 0.3


def test_each_picture_of_a_batch_has_its_own_quality(astronaut: torch.Tensor) -> None:
    both = camera.jpeg(astronaut.repeat(2, 1, 1, 1), torch.tensor([20.0, 95.0]))
    assert psnr(both[1:], astronaut) > psnr(both[:1], astronaut) + 4


@pytest.mark.parametrize("size", [3, 9, 21])
def test_convolution_is_that_of_scipy(astronaut: torch.Tensor, size: int) -> None:
    kernels = torch.rand((1, size, size), generator=torch.Generator().manual_seed(size))
    kernels /= kernels.sum()
    ours = camera.convolve(astronaut, kernels)[0, 1].numpy()
    # torch correlates: scipy convolves with the kernel turned over.
    reference = scipy_convolve(astronaut[0, 1].numpy(), kernels[0].numpy()[::-1, ::-1], mode="mirror")
    np.testing.assert_allclose(ours, reference, atol=2e-6)


def test_gaussian_blur_spreads_a_point_by_its_sigma() -> None:
    point = torch.zeros(2, 1, 61, 61)
    point[:, :, 30, 30] = 1
    blurred = camera.gaussian_blur(point, torch.tensor([1.0, 3.0]))
    rows = torch.arange(61.0) - 30
    spread = (blurred.sum(3).squeeze(1) * rows**2).sum(1).sqrt()
    torch.testing.assert_close(spread, torch.tensor([1.0, 3.0]), atol=0.05, rtol=0)


def test_sensor_noise_grows_with_the_light() -> None:
    light = torch.full((1, 1, 200, 200), 0.25)
    noisy = camera.sensor_noise(
        light, torch.tensor([0.01]), torch.tensor([0.02]), torch.Generator().manual_seed(0)
    )
    assert abs(float((noisy - light).var()) - (0.01 * 0.25 + 0.02**2)) < 1e-4


def test_stored_pictures_have_eight_bits(astronaut: torch.Tensor) -> None:
    kept = camera.stored(astronaut * 1.3, 50, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(kept * 255, (kept * 255).round(), atol=1e-4, rtol=0)
    assert float(kept.max()) == 1
