"""The U-Net in integers beside the one in float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cyclerdm_cli.cycle.integer_unet import IntegerUNet, range_names, range_of, watch_ranges
from cyclerdm_cli.cycle.unet import UNet, add_shuffled, side_by_side
from cyclerdm_cli.integers import exact_steps

needs_integers = pytest.mark.skipif(
    exact_steps() is None, reason="this processor, or this torch, convolves no integers exactly"
)


def network() -> UNet:
    torch.manual_seed(0)
    made = UNet(12, 12, (16, 24, 32), (1, 1, 2), (1, 1))
    torch.nn.init.normal_(made.tail.weight, std=0.05)
    return made.eval().requires_grad_(False)


def test_shuffling_by_pixels_is_the_pixel_shuffle() -> None:
    up = torch.nn.Conv2d(6, 20, 1)
    x, shortcut = (
        torch.randn(2, 6, 3, 4),
        torch.randn(2, 5, 6, 8).contiguous(memory_format=torch.channels_last),
    )
    with torch.no_grad():
        expected = shortcut + F.pixel_shuffle(up(x), 2)
        weight, bias = side_by_side(up)
        made = F.conv2d(x.contiguous(memory_format=torch.channels_last), weight, bias)
        assert torch.allclose(add_shuffled(shortcut, made), expected, atol=1e-5)


def test_learning_and_restoring_compute_the_same() -> None:
    whole, x = network(), torch.randn(1, 12, 16, 24)
    with torch.no_grad():
        fast = whole(x.clone())
    slow = whole(x.clone())
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(fast, slow, strict=True))


def test_every_convolution_in_integers_has_a_range() -> None:
    whole = network()
    with watch_ranges(whole) as found, torch.no_grad():
        whole(torch.randn(2, 12, 16, 16))
    assert set(found) == range_names(whole)
    bare = UNet(12, 12, (8, 8), (0, 0), (0,))
    with watch_ranges(bare) as found_there, torch.no_grad():
        bare(torch.randn(1, 12, 16, 16))
    assert set(found_there) == range_names(bare) == {"level.0", "level.1"}
    assert all(low <= 0 <= high for low, high in found.values())
    with torch.no_grad():
        whole(100 * torch.randn(1, 12, 16, 16))
    assert max(high for _, high in found.values()) < 100, "nothing is watched any more"


def test_a_range_leaves_out_one_number_in_ten_thousand_at_either_end() -> None:
    assert range_of(torch.arange(20_001.0)) == (2.0, 19_998.0)
    assert range_of(torch.tensor([3.0])) == (3.0, 3.0)


@needs_integers
def test_integers_come_close_to_float32_and_the_same_for_any_neighbours() -> None:
    whole, x = network(), torch.randn(2, 12, 32, 24)
    added = torch.randn(2, 16, 1, 1)
    with torch.inference_mode():
        with watch_ranges(whole) as ranges:
            expected, features = whole(x, added)
        integers = IntegerUNet(whole, ranges)
        found, found_features = integers(x, added)
        assert (found - expected).std() < 0.05 * expected.std()
        assert (found_features - features).std() < 0.05 * features.std()
        assert not torch.equal(found, expected)
        assert torch.equal(integers(x[1:], added[1:])[0], found[1:])


@needs_integers
def test_a_missing_range_is_an_error() -> None:
    with pytest.raises(KeyError):
        IntegerUNet(network(), {"level.0": (0, 1)})
