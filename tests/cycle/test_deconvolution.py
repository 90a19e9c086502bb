"""Kernels of blur: told, undone, looked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from cyclerdm_cli.cycle.deconvolution import (
    NUMBER_OF_SYMMETRIES,
    NUMBER_OF_VARIANTS,
    SETTINGS,
    Blur,
    KernelReader,
    clues,
    clues_mirrored,
    deconvolve_variants,
    find_blur,
    frame_kernel,
    mirror,
    read_blur,
    sharp_kernel,
    transfer_function,
    wiener_filter,
)
from cyclerdm_cli.cycle.deconvolution.kernel_search import (
    NUMBER_OF_FITS,
    correlate_slopes,
    fit_kernels,
    shock_filter,
)
from cyclerdm_cli.cycle.deconvolution.symmetries import mirror_back
from cyclerdm_cli.tasks.camera import convolve
from cyclerdm_cli.tasks.deblur import shake_trails
from cyclerdm_cli.tasks.light import to_linear, to_srgb

CALM, SURE = torch.zeros((1, 2)), torch.ones((1, 1))
SIDE = SETTINGS.kernel_side


def gaussian_kernels(sigma: torch.Tensor, side: int) -> torch.Tensor:
    """Return isotropic Gaussian kernels of (B,) sigma in pixels, (B, side, side), each of sum 1."""
    offsets = torch.arange(side) - side // 2
    profile = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernels = profile[:, :, None] * profile[:, None]
    return kernels / kernels.sum((1, 2), keepdim=True)


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    return torch.from_numpy(data.astronaut()[:256, 100:356].copy()).permute(2, 0, 1)[None].float() / 255


def shaken() -> Tensor:
    """A trail of a shaking hand with a bend: (1, 11, 11), its centre of mass in the middle."""
    generator = torch.Generator().manual_seed(5)
    trail = shake_trails(torch.tensor([9.0]), torch.full((1, 1, 1), 0.2), 11, generator)
    return trail / trail.sum()


def deblurred(picture: Tensor, blur: Blur) -> Tensor:
    """Return the mean of the variants of a picture deconvolved."""
    return deconvolve_variants(picture, blur).view(len(picture), -1, *picture.shape[1:]).mean(1)


def off_by(first: Tensor, second: Tensor) -> float:
    return float((first - second)[..., 20:-20, 20:-20].square().mean().sqrt())


def test_where_a_kernel_lies_does_not_count() -> None:
    kernel = frame_kernel(shaken())
    moved = torch.roll(kernel, (5, -3), (1, 2))
    torch.testing.assert_close(
        transfer_function(kernel, 96, 80)[0], transfer_function(moved, 96, 80)[0], atol=1e-4, rtol=0
    )
    spectrum, frequency = transfer_function(torch.roll(sharp_kernel(1, torch.device("cpu")), 4, 1), 66, 70)
    torch.testing.assert_close(spectrum, torch.ones_like(spectrum), atol=1e-5, rtol=0)
    assert float(frequency.amax()) == pytest.approx(0.5)


def test_a_kernel_that_is_known_is_undone(photograph: Tensor) -> None:
    kernel = shaken()
    blurred = convolve(photograph, kernel.flip(1, 2))
    result = wiener_filter(blurred, Blur(frame_kernel(kernel), CALM, SURE))
    assert off_by(result, photograph) < 0.4 * off_by(blurred, photograph)
    turned = wiener_filter(blurred, Blur(frame_kernel(kernel.flip(1, 2)), CALM, SURE))
    assert off_by(turned, photograph) > 0.9 * off_by(blurred, photograph)


def test_wieners_filter_is_that_of_the_textbook(photograph: Tensor) -> None:
    kernel, caution = frame_kernel(gaussian_kernels(torch.tensor([1.5]), 9)), torch.tensor([[0.4, -0.3]])
    found = wiener_filter(photograph, Blur(kernel, caution, SURE))[0, 0].numpy()
    padded = np.pad(photograph[0, 0].numpy(), 64, mode="reflect")
    height, width = padded.shape
    placed = np.zeros((height, width))
    placed[:SIDE, :SIDE] = kernel[0]
    transfer = np.fft.fft2(np.roll(placed, (-(SIDE // 2), -(SIDE // 2)), (0, 1)))
    squared = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.fftfreq(width)[None] ** 2
    even = math.exp(2 * -0.3 - 9)
    noise = math.exp(2 * 0.4 - 3) * squared + even
    ramp = np.concatenate([(np.arange(64) + 0.5) / 64, np.ones(256), (63.5 - np.arange(64)) / 64])
    share = ramp[:, None] * ramp
    padded = share * padded + (1 - share) * np.fft.ifft2(np.fft.fft2(padded) * transfer).real
    answer = np.fft.ifft2(
        np.fft.fft2(padded) * (1 + even) * transfer.conj() / (abs(transfer) ** 2 + noise)
    ).real
    np.testing.assert_allclose(found, answer[64:-64, 64:-64], atol=1e-4)


def test_edges_come_out_with_less_ringing(photograph: Tensor) -> None:
    kernel, noise = shaken(), torch.randn((1, 1, 256, 256), generator=torch.Generator().manual_seed(3))
    steps = (photograph.mean(1, keepdim=True) * 5).round() / 5
    blurred = convolve(steps, kernel.flip(1, 2)) + 0.003 * noise
    blur = Blur(frame_kernel(kernel), CALM, SURE)
    errors = [off_by(wiener_filter(blurred, blur, splits), steps) for splits in (0, 1, 3)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.8 * errors[0]


def test_splitting_is_that_of_the_textbook() -> None:
    """The picture nearest to what is given, and in its slopes to the strong ones of the filter's result."""
    generator, kernel = (
        torch.Generator().manual_seed(3),
        frame_kernel(gaussian_kernels(torch.tensor([1.5]), 9)),
    )
    blur = Blur(kernel, torch.tensor([[0.4, -0.3]]), SURE)
    picture = convolve(torch.rand((1, 1, 256, 256), generator=generator), kernel[:, 28:37, 28:37])
    once, twice = (wiener_filter(picture, blur, splits)[0, 0].double().numpy() for splits in (0, 1))
    even, growing = math.exp(2 * -0.3 - 9), math.exp(2 * 0.4 - 3)
    inside = (slice(64, -64), slice(64, -64))

    def blurring(values: np.ndarray) -> np.ndarray:
        return convolve(torch.from_numpy(values)[None, None].float(), kernel)[0, 0].double().numpy()

    def slopes(values: np.ndarray) -> list[np.ndarray]:
        return [np.roll(values, -1, axis) - values for axis in (1, 0)]

    strong = slopes(once)
    size = strong[0] ** 2 + strong[1] ** 2
    kept = np.clip(1 - SETTINGS.edge_threshold**2 / np.maximum(size, 1e-10), 0, None)
    off = [kept * wanted - there for wanted, there in zip(strong, slopes(twice), strict=True)]
    # Where the sum of squares is least its gradient is nothing.
    towards = blurring((1 + even) * picture[0, 0].double().numpy() - blurring(twice)) - even * twice
    pulled = (
        SETTINGS.edge_weight
        * growing
        * sum(np.roll(one, 1, axis) - one for one, axis in zip(off, (1, 0), strict=True))
    )
    assert np.abs((towards + pulled)[inside]).max() < 0.02 * np.abs(towards[inside]).max()


@pytest.mark.parametrize("after_the_curve", [True, False])
def test_blur_before_and_after_the_tone_curve_is_undone(photograph: Tensor, after_the_curve: bool) -> None:
    kernel = shaken()
    light = photograph if after_the_curve else to_linear(photograph)
    blurred = convolve(light, kernel.flip(1, 2)).clamp(0, 1)
    blurred = blurred if after_the_curve else to_srgb(blurred)
    result = deblurred(blurred, Blur(frame_kernel(kernel), CALM, SURE)).clamp(0, 1)
    assert off_by(result, photograph) < 0.7 * off_by(blurred, photograph)


def test_what_is_sharp_stays_and_flat_colours_always_do(photograph: Tensor) -> None:
    confident = Blur(sharp_kernel(1, torch.device("cpu")), torch.full((1, 2), -3.0), SURE)
    assert float((deblurred(photograph, confident) - photograph).abs().max()) < 0.01
    flat = torch.full((1, 3, 70, 90), 0.3)
    assert float((deblurred(flat, Blur(frame_kernel(shaken()), CALM, SURE)) - flat).abs().max()) < 1e-3


def alike(found: Tensor, kernel: Tensor) -> list[float]:
    """Tell how far each pair of fits is the kernel, (SIDE, SIDE), wherever it lies: at most 1."""
    spectrum = torch.fft.rfft2(kernel, s=(2 * SIDE, 2 * SIDE))

    def one_of(fit: Tensor) -> float:
        other = torch.fft.rfft2(fit.clamp_min(0), s=(2 * SIDE, 2 * SIDE))
        lags = torch.fft.irfft2(other * spectrum.conj(), s=(2 * SIDE, 2 * SIDE))
        return float(lags.amax() / (fit.clamp_min(0).norm() * kernel.norm()))

    return [max(map(one_of, pair)) for pair in found[0].split(2)]


def test_steps_give_the_kernel_away(photograph: Tensor) -> None:
    steps = (photograph.mean(1, keepdim=True) * 5).round() / 5
    found = fit_kernels(convolve(steps, shaken().flip(1, 2)))
    assert found.shape == (1, NUMBER_OF_FITS, SIDE, SIDE)
    as_they_are, of_steps, *_ = alike(found, frame_kernel(shaken())[0])
    assert of_steps > 0.75
    assert of_steps > as_they_are


def test_long_kernels_are_found_in_pictures_shrunk(photograph: Tensor) -> None:
    line = torch.zeros(1, SIDE, SIDE)
    line[0, SIDE // 2 - 2 : SIDE // 2 + 3, 12:-12] = 1 / (5 * (SIDE - 24))
    steps = (photograph.mean(1, keepdim=True) * 5).round() / 5
    _, at_full_size, halved, quartered = alike(fit_kernels(convolve(steps, line)), line[0])
    assert at_full_size < halved
    assert quartered > 0.75


def test_a_shock_filter_turns_a_ramp_into_a_step() -> None:
    ramp = (torch.arange(40.0).clamp(15, 25) - 15).expand(1, 1, 30, 40) / 10
    step = shock_filter(ramp)
    assert float((step[..., 1:] - step[..., :-1]).amax()) > 3 * 0.1
    assert float(step.amin()) >= -1e-6
    assert float(step.amax()) <= 1 + 1e-6
    assert (
        float((shock_filter(ramp.mT) - step.mT).abs().mean()) < 0.02
    )  # on the middle of the ramp a sign is a rounding


def test_correlations_are_those_of_the_differences(photograph: Tensor) -> None:
    lumas = photograph.mean(1, keepdim=True)
    maps, strength = correlate_slopes(lumas)
    across = (lumas[0, 0] - torch.roll(lumas[0, 0], 1, 1))[1:-1, 1:-1].numpy().astype(np.float64)
    across -= across.mean()
    middle = SIDE // 2
    for down, right in ((0, 1), (3, 0), (2, 5)):
        height, width = across.shape
        expected = (across[down:, right:] * across[: height - down, : width - right]).sum() / (
            across**2
        ).sum()
        assert float(maps[0, 0, middle + down, middle + right]) == pytest.approx(expected, abs=0.02)
    assert strength.shape == (1, 1)
    brighter, louder = correlate_slopes(0.5 * lumas)
    torch.testing.assert_close(brighter[:, :5], maps[:, :5], atol=1e-3, rtol=0)
    assert float(strength - louder) == pytest.approx(math.log(2), abs=0.01)


@pytest.mark.parametrize("sides", [(256, 256), (70, 256), (16, 40), (15, 300 - 44), (1, 1)])
def test_every_picture_has_a_kernel(photograph: Tensor, sides: tuple[int, int]) -> None:
    height, width = sides
    blur = find_blur(KernelReader(), photograph[:, None, :, :height, :width])
    assert blur.kernel.shape == (1, SIDE, SIDE)
    assert bool((blur.kernel >= 0).all())
    assert float(blur.kernel.detach().sum()) == pytest.approx(1, abs=1e-4)
    assert float(blur.kernel.detach()[0, SIDE // 2, SIDE // 2]) > 0.8  # nothing was learned: hardly a blur
    flat = find_blur(KernelReader(), torch.zeros(1, 2, 3, height, width))
    assert all(bool(field.isfinite().all()) for field in flat)


def test_the_same_window_twice_tells_what_one_does(photograph: Tensor) -> None:
    torch.manual_seed(0)
    reader = KernelReader()
    torch.nn.init.normal_(reader.last.weight, std=0.05)
    once = find_blur(reader, photograph[:, None])
    twice = find_blur(reader, photograph[:, None].expand(1, 2, 3, 256, 256))
    for first, second in zip(once, twice, strict=True):
        torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("symmetry", range(NUMBER_OF_SYMMETRIES))
def test_clues_are_mirrored_as_pictures_are(photograph: Tensor, symmetry: int) -> None:
    maps = clues_mirrored(clues(photograph[:, None])[0], symmetry)
    again = clues(mirror(photograph, symmetry)[:, None].contiguous())[0]
    for channel in range(9):  # those of what follows hang on single pixels
        pair = torch.stack([maps[0, channel].flatten(), again[0, channel].flatten()])
        assert float(torch.corrcoef(pair)[0, 1]) > 0.97, channel


@pytest.mark.parametrize("symmetry", range(1, NUMBER_OF_SYMMETRIES))
def test_of_a_mirrored_picture_the_kernel_is_mirrored(photograph: Tensor, symmetry: int) -> None:
    torch.manual_seed(0)
    reader = KernelReader()
    torch.nn.init.normal_(reader.last.weight, std=0.3)
    maps, strength = clues(convolve(photograph, shaken())[:, None])
    with torch.no_grad():
        one, other = (
            read_blur(reader, maps, strength),
            read_blur(reader, clues_mirrored(maps, symmetry), strength),
        )
    torch.testing.assert_close(mirror(one.kernel, symmetry), other.kernel, atol=1e-5, rtol=0)
    torch.testing.assert_close(one.caution, other.caution)
    assert float((mirror(one.kernel, symmetry) - one.kernel).abs().max()) > 1e-4


def test_kernels_that_disagree_are_not_trusted(photograph: Tensor) -> None:
    class Fixed(KernelReader):
        found: Tensor

        def forward(self, maps: Tensor, strength: Tensor) -> Blur:
            return Blur(self.found, CALM, SURE).expand(len(maps))

    reader, seen = Fixed(), clues(photograph[:, None])
    reader.found = frame_kernel(gaussian_kernels(torch.tensor([2.0]), 13))
    torch.testing.assert_close(read_blur(reader, *seen).trust, SURE, atol=1e-3, rtol=0)
    line = torch.zeros(1, SIDE, SIDE)
    line[0, SIDE // 2, 20:-20] = 1 / (SIDE - 40)
    reader.found = line  # read from the picture as it is and from its rows and columns exchanged: a cross
    assert float(read_blur(reader, *seen).trust) < 0.5


def test_what_is_not_trusted_changes_nothing(photograph: Tensor) -> None:
    doubted = Blur(frame_kernel(shaken()), CALM, 0 * SURE)
    torch.testing.assert_close(deblurred(photograph, doubted), photograph)
    half = deblurred(photograph, doubted._replace(trust=SURE / 2))
    whole = deblurred(photograph, doubted._replace(trust=SURE))
    torch.testing.assert_close(half, (photograph + whole) / 2)


def test_variants_differ_in_how_cautious_they_are(photograph: Tensor) -> None:
    blurred = convolve(photograph, shaken().flip(1, 2)).clamp(0, 1)
    variants = deconvolve_variants(blurred, Blur(frame_kernel(shaken()), CALM, SURE))
    assert variants.shape == (1, 3 * NUMBER_OF_VARIANTS, 256, 256)
    rough = [
        float((one[..., 1:] - one[..., :-1]).abs().mean()) for one in variants.chunk(NUMBER_OF_VARIANTS, 1)
    ]
    cautions = SETTINGS.variant_cautions
    assert rough[cautions.index(min(cautions))] > 1.05 * rough[cautions.index(max(cautions))]


def test_blurs_are_joined_shared_and_moved() -> None:
    generator = torch.Generator().manual_seed(1)
    blurs = [
        Blur(
            *(
                torch.rand(shape, generator=generator)
                for shape in ((count, SIDE, SIDE), (count, 2), (count, 1))
            )
        )
        for count in (1, 2)
    ]
    joined = Blur.cat(blurs)
    assert [len(field) for field in joined] == [3, 3, 3]
    assert all(torch.equal(field[1:], given) for field, given in zip(joined, blurs[1], strict=True))
    shared = blurs[0].expand(4)
    assert shared.kernel.shape == (4, SIDE, SIDE)
    assert all(torch.equal(field[3:], given) for field, given in zip(shared, blurs[0], strict=True))
    assert {field.device.type for field in shared.to(torch.device("meta"))} == {"meta"}


@pytest.mark.parametrize("symmetry", range(NUMBER_OF_SYMMETRIES))
def test_every_symmetry_is_undone(symmetry: int) -> None:
    planes = torch.arange(18.0).view(2, 3, 3)
    assert torch.equal(mirror_back(mirror(planes, symmetry), symmetry), planes)
    others = [mirror(planes, other) for other in range(NUMBER_OF_SYMMETRIES) if other != symmetry]
    assert not any(torch.equal(mirror(planes, symmetry), other) for other in others)
