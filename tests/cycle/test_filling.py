"""Filling holes: what it keeps, what it continues, and that it beats the usual ways to fill them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from cyclerdm_cli.cycle import filling
from cyclerdm_cli.cycle.filling import fill

SIDE = 160


def thin_holes(side: int = SIDE) -> np.ndarray:
    """Scratches two and three pixels wide, (side, side), true where the picture is missing."""
    drawn = np.zeros((side, side), np.uint8)
    generator = np.random.default_rng(3)
    for width in (2, 3) * 6:
        (x0, y0), (x1, y1) = generator.integers(0, side, (2, 2)).tolist()
        cv2.line(drawn, (x0, y0), (x1, y1), 1, width)
    return drawn > 0


def blob_holes(side: int = SIDE) -> np.ndarray:
    """Discs of 8 to 16 pixels in radius, (side, side), true where the picture is missing."""
    drawn = np.zeros((side, side), np.uint8)
    generator = np.random.default_rng(5)
    for radius in (8, 10, 12, 14, 16):
        x, y = generator.integers(0, side, 2).tolist()
        cv2.circle(drawn, (x, y), radius, 1, -1)
    return drawn > 0


def photographs() -> list[np.ndarray]:
    """Crops of pictures that come with scikit-image, (SIDE, SIDE, 3) of 8 bits."""
    return [
        data.astronaut()[20 : 20 + SIDE, 140 : 140 + SIDE],
        data.chelsea()[60 : 60 + SIDE, 100 : 100 + SIDE],
        data.coffee()[60 : 60 + SIDE, 150 : 150 + SIDE],
    ]


def filled(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The 8-bit picture (H, W, 3) filled, from a copy of which the holes are black."""
    black = np.where(hole[..., None], 0, picture)
    there = torch.from_numpy(black).permute(2, 0, 1)[None] / 255
    found = fill(there, torch.from_numpy(hole)[None, None].float())
    return (found[0].permute(1, 2, 0) * 255).round().byte().numpy()


def psnr(found: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((found.astype(float) - truth) ** 2)))


def random_case(*shape: int, share: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    batch, _, height, width = shape
    mask = torch.rand(batch, 1, height, width, generator=generator) < share
    return torch.rand(shape, generator=generator), mask.float()


@pytest.mark.parametrize("holes", [thin_holes, blob_holes])
def test_beats_the_usual_ways(holes):
    hole = holes()
    usual: dict[str, list[float]] = {"ours": [], "Navier-Stokes": [], "Telea": [], "biharmonic": []}
    for picture in photographs():
        black = np.where(hole[..., None], 0, picture).astype(np.uint8)
        smooth = inpaint_biharmonic(black, hole, channel_axis=-1)
        usual["ours"].append(psnr(filled(picture, hole), picture))
        usual["biharmonic"].append(psnr((smooth * 255).clip(0, 255).round(), picture))
        for name, method in (("Navier-Stokes", cv2.INPAINT_NS), ("Telea", cv2.INPAINT_TELEA)):
            usual[name].append(psnr(cv2.inpaint(black, hole.astype(np.uint8), 3, method), picture))
    means = {name: float(np.mean(values)) for name, values in usual.items()}
    ours = means.pop("ours")
    assert all(ours > mean for mean in means.values()), (ours, means)


@pytest.mark.parametrize("shape", [(2, 3, 37, 50), (1, 1, 1, 9), (1, 3, 9, 1), (1, 4, 2, 2), (1, 3, 3, 64)])
def test_known_pixels_are_kept_to_the_bit(shape):
    picture, mask = random_case(*shape)
    found = fill(picture, mask)
    assert found.shape == picture.shape
    assert torch.equal(found[(mask == 0).expand_as(found)], picture[(mask == 0).expand_as(found)])
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_what_lies_under_a_hole_is_not_read():
    picture, mask = random_case(1, 3, 40, 41)
    assert torch.equal(fill(picture, mask), fill(torch.where(mask > 0, float("nan"), picture), mask))


def test_a_picture_does_not_depend_on_the_others_of_its_batch():
    picture, mask = random_case(3, 3, 48, 33)
    mask[1] = 1
    together = fill(picture, mask)
    for index in range(3):
        alone = fill(picture[index : index + 1], mask[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=0)


def test_a_gradient_goes_on_through_a_thin_hole():
    across = torch.linspace(0.1, 0.6, 64).expand(64, 64)
    picture = (across + across.T * 0.6)[None, None].clamp(0, 1).repeat(1, 3, 1, 1)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:23, 5:60] = 1
    mask[..., 5:60, 40:44] = 1
    torch.testing.assert_close(fill(picture, mask), picture, atol=1 / 255, rtol=0)


def test_an_edge_goes_on_through_a_thin_hole():
    column, row = torch.arange(64.0), torch.arange(64.0)[:, None]
    picture = ((column + row) > 64).float().mul(0.6).add(0.2)[None, None]
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 30:34, :] = 1
    flat = picture[..., 29, :] * 0.5 + picture[..., 34, :] * 0.5
    error = (fill(picture, mask) - picture)[..., 30:34, :].square().mean()
    assert error < 0.5 * (flat[..., None, :] - picture[..., 30:34, :]).square().mean()


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_one_pixel(value):
    picture = torch.full((1, 3, 1, 1), value)
    assert torch.equal(fill(picture, torch.zeros(1, 1, 1, 1)), picture)
    assert torch.equal(fill(picture, torch.ones(1, 1, 1, 1)), torch.full_like(picture, 0.5))


def test_all_missing_is_grey():
    picture, _ = random_case(2, 3, 33, 20)
    assert torch.equal(fill(picture, torch.ones(2, 1, 33, 20)), torch.full_like(picture, 0.5))


def test_nothing_missing_is_the_picture():
    picture, _ = random_case(2, 3, 33, 20)
    kept = picture.clone()
    found = fill(picture, torch.zeros(2, 1, 33, 20))
    assert torch.equal(found, kept)
    assert torch.equal(picture, kept)


def test_one_known_pixel_fills_all():
    mask = torch.ones(1, 1, 30, 47)
    mask[..., 11, 40] = 0
    found = fill(torch.full((1, 3, 30, 47), 0.7), mask)
    torch.testing.assert_close(found, torch.full_like(found, 0.7), atol=1e-4, rtol=0)


def test_squares_of_a_large_picture_show_no_seams(monkeypatch):
    hole = blob_holes() | thin_holes()
    picture = photographs()[1]
    whole = filled(picture, hole).astype(float)
    monkeypatch.setattr(filling, "TILE", 64)
    assert np.abs(filled(picture, hole) - whole).max() <= 12
    assert psnr(filled(picture, hole), whole) > 50


def test_it_is_the_same_each_time():
    picture, mask = random_case(1, 3, 70, 65)
    assert torch.equal(fill(picture, mask), fill(picture, mask))
