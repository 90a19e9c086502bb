"""What comes of trials tells what is wrong, whatever the size of the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_network

from cyclerdm_cli.words.eye import load_eye, load_trial
from cyclerdm_cli.words.trials import (
    BLUR,
    DETAILS,
    MOST_SURE,
    NUMBERS_OF_TRIALS,
    TONES,
    WEIGHT_OF_TOWER,
    WEIGHT_OF_TRIALS,
    Trial,
    Verdict,
    _windows,
)
from cyclerdm_cli.words.wordings import NAMES

TAKEN = 12
"""Numbers about what a task takes away; the third is its strength."""


@pytest.fixture(scope="module")
def trial() -> Trial:
    return load_trial()


def taken_of(tried: torch.Tensor, task: str) -> torch.Tensor:
    start = 4 * len(TONES) + TAKEN * DETAILS.index(task)
    return tried[start : start + TAKEN]


def toned_of(tried: torch.Tensor, task: str) -> torch.Tensor:
    return tried[4 * TONES.index(task) :][:4]


def test_more_is_taken_away_of_what_is_there(trial: Trial, photograph: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 25, photograph.shape)
    noisy = np.clip(photograph + noise, 0, 255).astype(np.uint8)
    clean, dirty = (taken_of(trial(pixels), "denoise") for pixels in (photograph, noisy))
    # Logarithms of levels: what is taken away is about as strong as the noise, and many times what it was.
    assert dirty[2] > clean[2] + 1
    assert 10 < float(dirty[2].exp()) < 30


def test_a_dark_picture_would_be_brightened_more(trial: Trial, photograph: np.ndarray) -> None:
    dark = (photograph * 0.15).astype(np.uint8)
    changes = [toned_of(trial(pixels), "low-light") for pixels in (photograph, dark)]
    assert changes[1][:3].mean() > changes[0][:3].mean() + 0.5
    assert changes[1][3] > 0


@pytest.mark.parametrize("size", [(1, 1), (17, 300), (256, 257), (640, 480)])
def test_pictures_of_any_size_are_tried(trial: Trial, size: tuple[int, int]) -> None:
    tried = trial(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))
    assert tried.shape == (NUMBERS_OF_TRIALS,)
    assert bool(tried.isfinite().all())
    assert torch.equal(tried, trial(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)))


def test_windows_come_from_all_quarters_of_what_is_large() -> None:
    pixels = (np.arange(400) // 2).astype(np.uint8)[None, :, None].repeat(200, 0).repeat(3, 2)
    windows = _windows(pixels)
    assert windows.shape == (2, 3, 192, 160)
    assert (255 * windows[:, 0, 0, 0]).round().tolist() == [30, 90]
    assert _windows(pixels[:, :250]).shape == (1, 3, 192, 224)


def test_any_networks_of_the_tasks_can_be_tried() -> None:
    """With a kernel that is none: the numbers of the blur say so."""
    tones = {task: replace(TINY, task=task, light=True) for task in TONES}
    details = {task: replace(TINY, task=task) for task in DETAILS}
    networks = {
        task: tiny_network(config=config)
        for task, config in {**tones, **details, BLUR: replace(TINY, task=BLUR, deblurs=True)}.items()
    }
    trial = Trial(networks)
    pixels = np.random.default_rng(1).integers(0, 256, (70, 300, 3), np.uint8)
    tried = trial(pixels)
    assert tried.shape == (NUMBERS_OF_TRIALS,)
    assert bool(tried.isfinite().all())
    networks["low-light"] = tiny_network(1, networks["low-light"].config)
    other = trial(pixels)
    differing = (other != tried).nonzero().flatten().tolist()
    start = 4 * TONES.index("low-light")
    assert differing
    assert set(differing) <= set(range(start, start + 4))


def test_a_verdict_adds_both_and_never_quite_believes_the_tower() -> None:
    verdict = Verdict()
    torch.nn.init.zeros_(verdict.last.weight)
    torch.nn.init.constant_(verdict.last.bias, 1.0)
    seen = torch.tensor([[-100.0, 0.0, 100.0] + [0.0] * (len(NAMES) - 3)])
    odds = verdict(torch.zeros(1, NUMBERS_OF_TRIALS), seen)
    expected = WEIGHT_OF_TRIALS + WEIGHT_OF_TOWER * torch.tensor([-MOST_SURE, 0.0, MOST_SURE])
    torch.testing.assert_close(odds[0, :3], expected, atol=1e-3, rtol=0)


def test_the_weights_in_the_package_know_all_that_is_tried(trial: Trial) -> None:
    assert {*TONES, *DETAILS, BLUR} <= set(trial.networks)


def test_the_verdict_in_the_package_counts() -> None:
    eye = load_eye()
    assert eye.trial is not None
    assert eye.clip.verdict is not None
    # Stripes of noise on grey: whatever the tower says of it, it is not called dark or under water.
    noisy = np.clip(np.random.default_rng(0).normal(128, 30, (200, 200, 3)), 0, 255).astype(np.uint8)
    likely = dict(zip(NAMES, eye.see(noisy), strict=True))
    assert likely["denoise"] > max(likely["low-light"], likely["underwater"], likely["clean"])
