"""`cyclerdm train --model prompts`, for real and small."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.recognising import recogniser as training
from cyclerdm_cli.recognising.recogniser import Memory, Recogniser, RecogniserConfig
from cyclerdm_cli.recognising.sightings import (
    MIXTURES,
    SightingSource,
    damage,
    draw_names,
    handfuls_of,
    helpers_may_be_stopped,
    labels_of,
)
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.training.photographs import pictures_in, read_photographs
from cyclerdm_cli.words.clip import load_clip
from cyclerdm_cli.words.windows import SIDE
from cyclerdm_cli.words.wordings import NAMES

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photographs")
    rows, columns = np.mgrid[:200, :210]
    for number in range(3):
        waves = [np.sin(rows / (7 + number + c)) * np.cos(columns / (9 + c)) for c in range(3)]
        Image.fromarray((120 + 110 * np.stack(waves, 2)).astype(np.uint8)).save(place / f"{number}.png")
    return place


def test_the_same_number_gives_the_same_handful(folder: Path) -> None:
    photographs = read_photographs(pictures_in(folder), 192, CPU)
    source = SightingSource(photographs, scenes=1, kinds=3)
    one, again, other = source[3], source[3], source[4]
    assert torch.equal(one.descriptions, again.descriptions)
    assert torch.equal(one.labels, again.labels)
    assert not torch.equal(one.descriptions, other.descriptions)
    assert one.descriptions.shape == (3, 3, SIDE, SIDE)
    assert (one.labels.sum(1) >= 1).all()


def test_what_is_drawn_covers_all_and_never_mixes_what_cannot_be() -> None:
    random = Random(0)
    drawn = [draw_names(random) for _ in range(3000)]
    assert {name for names in drawn for name in names} == set(NAMES)
    assert set(MIXTURES) <= set(drawn)
    masked = {task.name for task in TASKS if task.masked}
    assert not [names for names in drawn if len(names) == 2 and set(names) & {*masked, "clean"}]


def test_damage_that_happens_last_is_done_last() -> None:
    clean = torch.full((8, 3, 64, 64), 0.6)
    tasks = [find_task("denoise"), find_task("low-light")]
    severity = torch.tensor([[0.5], [0.9]]).expand(2, 8)
    found = [damage(clean, order, worst, torch.Generator().manual_seed(1)) for order, worst in
             ((tasks, severity), (tasks[::-1], severity.flip(0)))]  # fmt: skip
    assert torch.equal(*found)
    # Noise of the bright picture's strength upon the dark one; of some pictures it is faint.
    assert found[0].std((1, 2, 3)).amax() > 0.05


def test_a_model_learns_to_tell_two_kinds_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    memory = Memory(512)
    kinds = [labels_of(("dehaze",)), labels_of(("clean",))]
    for _ in range(4):
        kind = torch.randint(2, (128,), generator=generator)
        descriptions = torch.randn((128, 3, SIDE, SIDE), generator=generator)
        descriptions[:, 0, ::6, ::6] += 2.0 * kind[:, None, None]
        labels = torch.stack([kinds[int(one)] for one in kind])
        memory.keep(training.Sightings(descriptions, labels, torch.empty(128, 0)))
    made = Recogniser(RecogniserConfig(iterations=25, precision="fp32"), CPU)
    losses = [made.step(memory)["picture"] for _ in range(25)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_run_writes_a_file_that_loads_and_resumes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "FIRST_MEMORY", 24)
    monkeypatch.setattr(training, "LATER_MEMORY", 48)
    monkeypatch.setattr(training, "BATCH", 8)
    words = ["train", "--model", "prompts", "--data", folder, "--out", tmp_path / "run", "--device", "cpu",
             "--precision", "fp32", "--licence", "CC0-1.0"]  # fmt: skip
    result = CliRunner().invoke(app, [*map(str, words), "--iterations", "2"])
    assert result.exit_code == 0, result.stderr
    file = tmp_path / "run" / "clip.safetensors"
    assert result.stdout.strip() == str(file)
    assert load_clip(file).anchors.shape == (len(NAMES), training.EMBEDDING)

    again = CliRunner().invoke(app, [*map(str, words), "--iterations", "3"])
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    resumed = CliRunner().invoke(app, [*map(str, words), "--iterations", "3", "--resume"])
    assert resumed.exit_code == 0, resumed.stderr
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert kept["progress"]["iteration"] == 3
    for name, value in load_clip(file).numbers.items():
        torch.testing.assert_close(value, kept["average"][name], atol=1e-3, rtol=1e-3)
    assert not torch.equal(kept["average"]["visual.proj"], kept["model"]["visual.proj"])

    words[words.index(tmp_path / "run")] = tmp_path / "second"
    begun = CliRunner().invoke(
        app, [*map(str, words), "--iterations", "1", "--learning-rate", "1e-9", "--init", str(file)]
    )
    assert begun.exit_code == 0, begun.stderr
    for name, value in load_clip(tmp_path / "second" / "clip.safetensors").numbers.items():
        torch.testing.assert_close(value, load_clip(file).numbers[name], atol=1e-3, rtol=1e-3)
    missing = CliRunner().invoke(
        app, [*map(str, words), "--iterations", "1", "--resume", "--init", str(tmp_path / "no")]
    )
    assert missing.exit_code == 4


class Stopped(Dataset[int]):
    """Gives one number, then its process is stopped from outside."""

    def __getitem__(self, number: int) -> int:
        if number:
            os.kill(os.getpid(), signal.SIGTERM)
        return number


def test_a_helper_that_is_stopped_with_the_run_is_no_fault() -> None:
    source: Any = Stopped()
    with helpers_may_be_stopped(lambda: True):
        list(handfuls_of(source, 0, 1))
    with (
        pytest.raises(RuntimeError, match="worker"),
        helpers_may_be_stopped(lambda: False),
    ):
        list(handfuls_of(source, 0, 1))


def test_neither_night_nor_mist_is_an_example_of_a_clean_picture(tmp_path: Path) -> None:
    for name, grey, spread in (("day", 120, 100), ("night", 25, 20), ("mist", 200, 20)):
        noise = np.random.default_rng(0).normal(grey, spread, (220, 220, 1)).clip(0, 255)
        Image.fromarray(noise.astype(np.uint8).repeat(3, 2)).save(tmp_path / f"{name}.png")
    photographs = read_photographs(pictures_in(tmp_path), 192, CPU)
    clean = SightingSource(photographs)._suitable["clean"]
    assert dict(zip(("day", "mist", "night"), clean.tolist(), strict=True)) == {
        "day": True, "mist": False, "night": False,
    }  # fmt: skip


def test_a_dry_run_says_what_it_would_do_and_other_fields_are_refused(folder: Path, tmp_path: Path) -> None:
    words = [
        "train",
        "--model",
        "prompts",
        "--data",
        str(folder),
        "--out",
        str(tmp_path / "run"),
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(app, [*words, "--dry-run"])
    assert json.loads(result.stdout)["data"] == "3 pictures"
    assert not (tmp_path / "run").exists()
    for more, named in ((["--scene", "64"], "--scene"), (["--model", "other"], "unknown model")):
        result = CliRunner().invoke(app, [*words, *more])
        assert result.exit_code == 2
        assert named in result.stderr
