"""`cyclerdm train --model verdict`, for real and small."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.recognising import verdict as training
from cyclerdm_cli.recognising.sightings import SightingSource
from cyclerdm_cli.recognising.verdict import Evidence, VerdictConfig, gather_evidence, learn_verdict
from cyclerdm_cli.training.photographs import pictures_in, read_photographs
from cyclerdm_cli.weights.file import read_header
from cyclerdm_cli.words.clip import load_clip, packaged
from cyclerdm_cli.words.trials import NUMBERS_OF_TRIALS, VERDICT_WIDTH
from cyclerdm_cli.words.wordings import NAMES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "photographs"
    place.mkdir()
    rows, columns = np.mgrid[:200, :210]
    for number in range(2):
        waves = [np.sin(rows / (7 + number + c)) * np.cos(columns / (9 + c)) for c in range(3)]
        Image.fromarray((120 + 110 * np.stack(waves, 2)).astype(np.uint8)).save(place / f"{number}.png")
    return place


def evidence(count: int = 400) -> Evidence:
    """Return scenes of which trials tell the truth."""
    generator = torch.Generator().manual_seed(0)
    which = torch.randint(len(NAMES), (count,), generator=generator)
    tried = 3 + torch.randn((count, NUMBERS_OF_TRIALS), generator=generator)
    tried[torch.arange(count), which] += 4
    return Evidence(tried, torch.eye(len(NAMES))[which])


def test_trials_are_understood_and_overrule_a_tower_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STEPS", 300)
    given = evidence()
    verdict, which = learn_verdict(given, 0), given.labels.argmax(1)
    assert verdict.first.out_features == VERDICT_WIDTH
    assert float((verdict.opinion(verdict.normal(given.tried)).argmax(1) == which).float().mean()) > 0.95
    wrong = torch.full((len(which), len(NAMES)), -1.0)
    wrong[:, 0] = 1.5
    assert float((verdict(given.tried, wrong).argmax(1) == which).float().mean()) > 0.9
    # Where trials are of no use the tower is believed, as far as it goes.
    nothing = verdict.mean.expand(len(which), -1)  # type: ignore[operator]
    assert bool((verdict(nothing, 4 * wrong).argmax(1) == 0).all())


def test_the_same_seed_gives_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STEPS", 3)
    one, again, other = (learn_verdict(evidence(), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["last.weight"], other["last.weight"])


def test_a_run_writes_a_clip_with_a_verdict_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STEPS", 5)
    monkeypatch.setattr(training, "FEWEST_SCENES", 4)
    monkeypatch.setattr(training, "SightingSource", partial(SightingSource, scenes=1))
    words = ["train", "--model", "verdict", "--data", folder, "--out", tmp_path / "run",
             "--licence", "CC0-1.0"]  # fmt: skip
    result = CliRunner().invoke(app, [*map(str, words), "--iterations", "1"])
    assert result.exit_code == 0, result.stderr
    file = tmp_path / "run" / "clip.safetensors"
    assert result.stdout.strip() == str(file)
    made, before = load_clip(file), load_clip(packaged())
    assert made.verdict is not None
    assert all(torch.equal(made.numbers[name], value) for name, value in before.numbers.items())
    assert read_header(file).training["verdict"]["scenes"] == 4

    again = CliRunner().invoke(app, [*map(str, words), "--iterations", "2"])
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    resumed = CliRunner().invoke(app, [*map(str, words), "--iterations", "2", "--resume"])
    assert resumed.exit_code == 0, resumed.stderr
    assert read_header(file).training["verdict"]["scenes"] == 8


def test_who_stops_at_once_has_gathered_nothing(folder: Path, tmp_path: Path) -> None:
    photographs = read_photographs(pictures_in(folder), 192, torch.device("cpu"))
    found = gather_evidence(
        VerdictConfig(minutes=9), photographs, tmp_path / "run", lambda _: None, lambda: True
    )
    assert found.tried.shape == (0, NUMBERS_OF_TRIALS)
    assert found.labels.shape == (0, len(NAMES))
    assert not list((tmp_path / "run").iterdir())


def test_what_cannot_be_meant_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SightingSource", partial(SightingSource, scenes=1))
    words = ["train", "--model", "verdict", "--data", str(folder), "--out", str(tmp_path / "run")]
    few = CliRunner().invoke(app, [*words, "--iterations", "1"])
    assert few.exit_code != 0
    assert "too few" in few.stderr
    for wrong in (
        ["--learning-rate", "1e-3"],
        ["--device", "cuda"],
        ["--config", "no.toml"],
        ["--minutes", "0"],
    ):
        refused = CliRunner().invoke(app, [*words, *wrong])
        assert refused.exit_code == 2, wrong
    (tmp_path / "nights").mkdir()
    Image.fromarray(np.zeros((250, 250, 3), np.uint8)).save(tmp_path / "nights" / "night.png")
    night = CliRunner().invoke(
        app, [*words[:4], str(tmp_path / "nights"), *words[5:-1], str(tmp_path / "other")]
    )
    assert night.exit_code != 0
