"""What compression leaves, and on which grids."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from cyclerdm_cli.tasks.dejpeg import CUT_SHARE, degrade, encode_jpeg

SIDE = 128
PATCH = data.astronaut()[:SIDE, 60 : 60 + SIDE]


def draw(severity: float, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return PATCH `count` times, clean and damaged."""
    clean = torch.from_numpy(PATCH).permute(2, 0, 1)[None].repeat(count, 1, 1, 1) / 255
    damaged = degrade(clean, torch.full((count,), severity), torch.Generator().manual_seed(seed)).lq
    return clean, damaged


def psnr(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return -10 * torch.log10((first - second).square().mean((1, 2, 3)))


@pytest.mark.parametrize(("severity", "quality"), [(0.0, 70), (0.46, 40), (0.77, 20), (1.0, 5)])
def test_severity_is_the_quality_of_the_encoder(severity: float, quality: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(PATCH).save(stream, "JPEG", quality=quality, subsampling=2)
    theirs = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)[None] / 255
    clean, damaged = draw(severity, 64)
    assert abs(float(psnr(clean, damaged).median() - psnr(clean[:1], theirs))) < 0.8


def test_most_pictures_are_cut_at_the_first_block_and_some_anywhere() -> None:
    _, damaged = draw(1.0, 200)
    steps = damaged.diff(dim=3).abs().mean((1, 2))[:, : SIDE - 8]  # between columns
    phase = steps.unflatten(1, (-1, 8)).mean(1).argmax(1)
    shares = torch.bincount(phase, minlength=8) / len(phase)
    assert 1 - CUT_SHARE - 0.1 < float(shares[7]) < 0.97, shares
    assert int((shares > 0).sum()) >= 5, shares


def test_colours_lose_half_of_their_pixels_or_none() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (200, 60, 60), (60, 60, 200)

    def contrast(pixels: np.ndarray) -> float:
        return float(np.abs(np.diff(pixels[..., 0].astype(float), axis=1)).mean())

    full, half = (encode_jpeg(stripes, 70, full_colour=way) for way in (True, False))
    assert contrast(full) > 100
    assert contrast(half) < 0.5 * contrast(full)


def test_damage_varies_where_the_quality_does_not() -> None:
    """By encoders, colours, grids and what was compressed before."""
    _, damaged = draw(0.8, 100)
    assert len({picture.numpy().tobytes() for picture in damaged}) > 40


def test_nothing_is_changed_by_the_pictures_beside_it() -> None:
    clean, both = draw(0.6, 2)
    generator = torch.Generator().manual_seed(0)
    other = torch.cat([clean[:1], torch.zeros_like(clean[:1])])
    alone = degrade(other, torch.full((2,), 0.6), generator).lq
    assert torch.equal(alone[0], both[0])
    assert torch.equal(clean[0], torch.from_numpy(PATCH).permute(2, 0, 1) / 255)
