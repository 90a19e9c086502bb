"""What `cyclerdm bench auto` counts, with an eye whose answers are known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.benchmark.recognition import Sight, confusion, degraded, mixture_scores, sights, singles
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.training.photographs import pictures_in, read_photographs
from cyclerdm_cli.words import eye as eye_module
from cyclerdm_cli.words.judging import DOUBTED, PRESENT, Tones, judge
from cyclerdm_cli.words.wordings import NAMES

DARK = 1
"""A seed by which low light is dark; by others some of it is only dull, or too bright."""


class Eye:
    """Takes dark pictures for dark, and all others for clean."""

    names = NAMES

    def see(self, pixels: np.ndarray) -> np.ndarray:
        dark = pixels.mean() < 60
        return np.array([0.9 if name == ("low-light" if dark else "clean") else 0.01 for name in NAMES])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows, columns = np.mgrid[:90, :100]
    for number in range(2):
        waves = [np.sin(rows / (7 + number + c)) * np.cos(columns / (9 + c)) for c in range(3)]
        Image.fromarray((150 + 90 * np.stack(waves, 2)).astype(np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_an_answer_is_the_likeliest_damage_clean_or_unsure() -> None:
    def sight(truth: tuple[str, ...], **values: float) -> Sight:
        return Sight(
            truth,
            judge([values.get(name, 0.0) for name in NAMES], missing=False, tones=Tones(0, 120, 255, 20)),
        )

    seen = [
        sight(("derain",), derain=0.97, dehaze=0.95),
        sight(("derain",)),
        sight(("derain",), derain=(DOUBTED + PRESENT) / 2),
        sight(("derain", "dehaze"), derain=0.97, dehaze=0.95),
        sight(("derain", "dehaze"), derain=0.9),
    ]
    assert [one.answer for one in seen] == ["derain", "clean", "unsure", "derain", "derain"]
    assert [one.right for one in seen] == [True, False, False, True, False]
    assert confusion(seen[:3]) == {"derain": {"derain": 1, "clean": 1, "unsure": 1}}


def test_the_same_seed_gives_the_same_damage() -> None:
    clean = np.full((64, 70, 3), 150, np.uint8)
    tasks = [find_task("denoise")]
    one, again, other = (degraded(clean, tasks, 0.3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_every_photograph_is_judged_with_every_damage(folder: Path) -> None:
    photographs = read_photographs(pictures_in(folder), 1, torch.device("cpu"), (1.0,))
    table = confusion(sights(Eye(), photographs, singles(Eye()), 0.9, DARK))  # type: ignore[arg-type]
    assert set(table) == set(NAMES)
    assert table["low-light"] == {"low-light": 2}
    assert table["clean"] == {"clean": 2}


def test_gains_compare_every_way(folder: Path) -> None:
    photographs = read_photographs(pictures_in(folder), 1, torch.device("cpu"), (1.0,))

    def brightened(pixels: np.ndarray, task: str) -> np.ndarray:
        gain = 3 if "low-light" in task else 1
        return np.clip(pixels.astype(int) * gain, 0, 255).astype(np.uint8)

    scores = {
        score.names: score
        for score in mixture_scores(Eye(), photographs, brightened, 0.9, DARK)  # type: ignore[arg-type]
    }
    noisy = scores["denoise", "low-light"]
    assert noisy.pictures == 2
    assert noisy.best == noisy.auto > 0.2
    assert noisy.way == "low-light"
    assert scores["derain", "dehaze"].auto == 0  # taken for clean, so nothing is gained


def test_the_command_prints_tables(folder: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eye_module, "load_eye", lambda path: Eye())
    words = ["bench", "auto", "--data", folder, "--limit", "1", "--mixtures", "--weights", tiny_weights]
    words += ["--seed", DARK]
    result = CliRunner().invoke(app, [*map(str, words), "--real", f"clean={folder}"])
    assert result.exit_code == 0, result.output
    assert re.search(r"\| one damage \| (.+ \| )?low-light \| (.+ \| )?clean \| right \|", result.stdout)
    assert "2 of 2 right: 100.0%" in result.stdout
    assert "| denoise + low-light | 1 |" in result.stdout
    assert CliRunner().invoke(app, [*map(str, words), "--real", "clean=/none"]).exit_code == 2
