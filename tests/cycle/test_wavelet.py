"""The wavelets against PyWavelets, and the properties that the third stage relies on."""

from __future__ import annotations

import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.errors import UsageError

WAVELETS = ("haar", "db2", "db4", "sym4", "coif1")
SIZES = ((1, 1), (1, 6), (2, 2), (3, 5), (7, 4), (16, 16), (33, 20))


def picture_of(size: tuple[int, int], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_haar_follows_the_papers_order_and_signs() -> None:
    a, b, c, d = 0.1, 0.7, 0.4, 0.9
    low, high = Wavelet.named("haar").split(torch.tensor([[[[a, b], [c, d]]]], dtype=torch.float64))
    assert low.item() == pytest.approx((a + b + c + d) / 2)
    expected = [(-a + b - c + d) / 2, (-a - b + c + d) / 2, (a - b - c + d) / 2]
    assert high.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WAVELETS)
def test_agrees_with_pywavelets(name: str, size: tuple[int, int]) -> None:
    picture = picture_of(size)
    low, high = Wavelet.named(name).split(picture)
    expected_low, (horizontal, vertical, diagonal) = pywt.dwt2(picture.numpy(), name, mode="periodization")
    torch.testing.assert_close(low, torch.from_numpy(expected_low))
    expected_high = [torch.from_numpy(band) for band in (-vertical, -horizontal, diagonal)]
    torch.testing.assert_close(high, torch.stack(expected_high))


@given(
    name=st.sampled_from(WAVELETS), height=st.integers(1, 20), width=st.integers(1, 20), last=st.booleans()
)
@settings(deadline=None, max_examples=60)
def test_join_inverts_split_at_any_size(name: str, height: int, width: int, last: bool) -> None:
    picture = picture_of((height, width), torch.float32)
    if last:
        picture = picture.contiguous(memory_format=torch.channels_last)
    wavelet = Wavelet.named(name)
    low, high = wavelet.split(picture)
    assert low.shape == (2, 3, (height + 1) // 2, (width + 1) // 2)
    assert high.shape == (3, *low.shape)
    torch.testing.assert_close(wavelet.join(low, high, (height, width)), picture, atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", [*WAVELETS, "db20", "sym20", "coif5"])
def test_energy_is_kept_on_even_sides(name: str) -> None:
    picture = picture_of((10, 24))
    low, high = Wavelet.named(name).split(picture)
    assert (low.square().sum() + high.square().sum()).item() == pytest.approx(picture.square().sum().item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [(1, 1), (5, 6), (32, 32)])
@pytest.mark.parametrize("name", ["haar", "db4"])
def test_half_precision_stays_half_and_close(name: str, size: tuple[int, int], dtype: torch.dtype) -> None:
    wavelet, picture = Wavelet.named(name), picture_of(size).to(dtype)
    low, high = wavelet.split(picture)
    assert low.dtype == high.dtype == dtype
    joined = wavelet.join(low, high, size)
    assert joined.dtype == dtype
    error = (joined.double() - picture.double()).abs().max().item()
    assert error < (0.05 if dtype == torch.bfloat16 else 0.006)


def test_bands_of_different_precision_are_joined_in_the_finer_one() -> None:
    wavelet, picture = Wavelet.named("haar"), picture_of((4, 4), torch.float32)
    low, high = wavelet.split(picture)
    joined = wavelet.join(low.bfloat16(), high, (4, 4))
    assert joined.dtype == torch.float32
    torch.testing.assert_close(joined, picture, atol=0.01, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_haar_is_exact_on_a_flat_picture(dtype: torch.dtype) -> None:
    low, high = Wavelet.named("haar").split(torch.ones(1, 3, 6, 6, dtype=dtype))
    assert (low == 2).all()
    assert (high == 0).all()


def test_gradients_flow_both_ways() -> None:
    wavelet = Wavelet.named("db2")
    picture = picture_of((3, 4))[:1, :1].requires_grad_()

    def sharpened(value: torch.Tensor) -> torch.Tensor:
        low, high = wavelet.split(value)
        return wavelet.join(low, 2 * high, (3, 4))

    assert torch.autograd.gradcheck(sharpened, picture)


def test_the_picture_is_left_unchanged() -> None:
    picture = picture_of((4, 4))
    before = picture.clone()
    wavelet = Wavelet.named("haar")
    low, high = wavelet.split(picture)
    bands = low.clone(), high.clone()
    wavelet.join(low, high, (4, 4))
    assert torch.equal(picture, before)
    assert torch.equal(low, bands[0])
    assert torch.equal(high, bands[1])


@pytest.mark.parametrize("name", ["nosuch", "bior2.2", "mexh", ""])
def test_a_wavelet_that_cannot_serve_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=repr(name)):
        Wavelet.named(name)
