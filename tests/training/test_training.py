"""Training learns, resumes exactly, and says what is wrong with what it is given."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, tiny_network
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork
from cyclerdm_cli.errors import CycleRDMError, DataError, UsageError
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.data import BatchSource, Photographs, pictures_in, read_photographs
from cyclerdm_cli.training.trainer import train
from cyclerdm_cli.training.validation import Held, psnr, validate
from cyclerdm_cli.weights.file import Header, read_header, write_weights
from cyclerdm_cli.weights.loading import fill

CPU = torch.device("cpu")
SMALL = TrainingConfig(
    tasks=TINY.tasks, iterations=6, scenes=2, scene=64, patches=(32,), tasks_per_batch=2, precision="fp32",
    log_every=2, later_stages_from=0.3,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of four bright, clear pictures of 150x170 and a file that is none."""
    place = tmp_path_factory.mktemp("photographs")
    rows, columns = np.mgrid[:150, :170]
    for number in range(4):
        waves = [
            np.sin(rows / (9 + number + channel)) * np.cos(columns / (11 + channel)) for channel in range(3)
        ]
        picture = 120 + 110 * np.stack(waves, 2)
        Image.fromarray(picture.astype(np.uint8)).save(place / f"{number}.png")
    (place / "notes.txt").write_text("no picture")
    return place


@pytest.fixture(scope="module")
def photographs(folder: Path) -> Photographs:
    return read_photographs(pictures_in(folder), 64, CPU)


def source(photographs: Photographs, config: TrainingConfig) -> BatchSource:
    tasks = tuple(find_task(name) for name in config.tasks)
    return BatchSource(tasks, config, photographs)


def tiny(seed: int = 0) -> CompactNetwork:
    torch.manual_seed(seed)
    return CompactNetwork(TINY)


def test_every_photograph_is_seen_at_several_sizes(photographs: Photographs) -> None:
    assert len(photographs.files) == 4
    assert sorted(set(photographs.sides[:, 0].tolist())) == [75, 105, 150]


def test_a_cut_is_a_part_of_its_photograph(photographs: Photographs) -> None:
    scene = photographs.cut(torch.tensor([3]), 64, torch.Generator().manual_seed(4))[0]
    height, width = photographs.sides[3].tolist()
    start = int(photographs.starts[3])
    whole = photographs.pixels[start : start + height * width].view(height, width, 3).permute(2, 0, 1) / 255
    windows = whole.unfold(1, 64, 1).unfold(2, 64, 1).permute(1, 2, 0, 3, 4)
    found = [(windows == candidate).all(dim=(2, 3, 4)).any() for candidate in (scene, scene.flip(2))]
    assert any(bool(one) for one in found)


def test_the_same_iteration_gives_the_same_batch(photographs: Photographs) -> None:
    first, again, other = (source(photographs, SMALL).draw(iteration, 1.0) for iteration in (3, 3, 4))
    assert torch.equal(first.degraded, again.degraded)
    assert not torch.equal(first.degraded, other.degraded)
    assert first.clean.shape == (4, 3, 32, 32)


def test_every_task_is_trained_as_often_as_its_share(photographs: Photographs) -> None:
    config = dataclasses.replace(SMALL, tasks_per_batch=1, mixture_share=0.0)
    seen = [
        int(source(photographs, config).draw(iteration, 1.0).mixture[0].argmax())
        for iteration in range(sum(task.share for task in TASKS))
    ]
    assert [seen.count(index) for index in range(10)] == [task.share for task in TASKS]


def test_training_lowers_the_error_of_what_it_trains(photographs: Photographs, tmp_path: Path) -> None:
    config = dataclasses.replace(
        SMALL, tasks=("dehaze", "low-light"), iterations=120, scenes=4, learning_rate=3e-3, ema=0.9
    )
    network = CompactNetwork(dataclasses.replace(TINY, tasks=config.tasks))
    tasks = [find_task(name) for name in config.tasks]
    before = validate(network, Held(photographs), tasks, side=64, count=6)
    network.load_state_dict(train(network, source(photographs, config), config, tmp_path))
    after = validate(network, Held(photographs), tasks, side=64, count=6)
    for task in config.tasks:
        assert after[task].degraded == before[task].degraded
        assert after[task].restored > before[task].restored + 1


def test_a_run_that_was_stopped_ends_as_one_that_was_not(photographs: Photographs, tmp_path: Path) -> None:
    whole, first, rest = tmp_path / "whole", tmp_path / "parts", tmp_path / "parts"
    whole.mkdir()
    first.mkdir()
    expected = train(tiny(), source(photographs, SMALL), SMALL, whole)
    turns = iter(range(100))
    train(tiny(), source(photographs, SMALL), SMALL, first, stopped=lambda: next(turns) >= 3)
    found = train(tiny(9), source(photographs, SMALL), SMALL, rest, resume=True)
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_a_loss_that_is_not_finite_stops_the_run(photographs: Photographs, tmp_path: Path) -> None:
    network = tiny()
    with torch.no_grad():
        network.heads[0].weight.fill_(float("nan"))
    with pytest.raises(CycleRDMError, match="not finite"):
        train(network, source(photographs, SMALL), SMALL, tmp_path)


def test_bad_data_is_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        pictures_in(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no pictures"):
        pictures_in(tmp_path)
    with pytest.raises(DataError, match="at least 700x700"):
        read_photographs(pictures_in(folder), 700, CPU)


def test_dark_photographs_teach_no_low_light(tmp_path: Path) -> None:
    Image.fromarray(np.full((70, 70, 3), 12, np.uint8)).save(tmp_path / "dark.png")
    photographs = read_photographs(pictures_in(tmp_path), 64, CPU)
    with pytest.raises(DataError, match="low-light"):
        photographs.suitable(find_task("low-light"))
    assert photographs.suitable(find_task("denoise")).tolist() == [0]


@pytest.mark.parametrize(
    ("field", "value"),
    [("patches", (40,)), ("scene", 16), ("tasks_per_batch", 0), ("ema", 1.0), ("precision", "int4")],
)
def test_a_recipe_names_the_field_and_what_is_allowed(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"{field} is {re.escape(str(value))} \(allowed"):
        dataclasses.replace(SMALL, **{field: value})  # type: ignore[arg-type]


def test_psnr_is_that_of_eight_bit_pictures() -> None:
    zero, one = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 1.3 / 255)
    assert abs(float(psnr(zero, one)) - 48.1308) < 1e-3


def test_the_command_makes_weights_that_restore_takes(folder: Path, tmp_path: Path) -> None:
    words = ["train", "--data", folder, "--task", "dehaze,denoise", "--iterations", 2, "--scene", 64,
             "--patches", 32, "--scenes", 4, "--out", tmp_path / "run", "--device", "cpu",
             "--licence", "CC0-1.0"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    weights = Path(result.stdout.strip())
    header = read_header(weights)
    assert (header.tasks, header.licence) == (("dehaze", "denoise"), "CC0-1.0")
    assert "4 photographs" in header.training_data
    restore = [
        "restore",
        folder / "0.png",
        "--task",
        "dehaze",
        "--weights",
        weights,
        "-o",
        tmp_path / "out.png",
    ]
    result = CliRunner().invoke(app, [str(word) for word in restore])
    assert result.exit_code == 0, result.stderr
    assert Image.open(tmp_path / "out.png").size == (170, 150)


def test_weights_that_know_more_keep_it_where_one_task_is_trained(folder: Path, tmp_path: Path) -> None:
    before = tiny_network()
    header = Header("compact", TINY.to_json(), TINY.tasks, "CC0-1.0", "nothing", "2026-01-01", {})
    write_weights(tmp_path / "first.safetensors", before.state_dict(), header)
    words = ["train", "--data", folder, "--task", "deblur", "--init", tmp_path / "first.safetensors", "--scene", 64,
             "--iterations", 3, "--warm-up", 1, "--patches", 32, "--out", tmp_path / "run",
             "--device", "cpu"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    weights = Path(result.stdout.strip())
    assert read_header(weights).tasks == TINY.tasks
    assert read_header(weights).config["blur_tasks"] == ["deblur"]
    after = CompactNetwork(CompactConfig.from_json(read_header(weights).config))
    fill(after, weights)
    old, new = (network.state_dict() for network in (before, after))
    deblur, moved = TINY.tasks.index("deblur"), set()
    for name, value in old.items():
        rows = value.half().float() != new[name]
        if rows.any():
            moved.add(name)
            assert len(rows) % len(TINY.tasks) == 0, name  # each task's own, and deblur's alone
            assert [bool(part.any()) for part in rows.chunk(len(TINY.tasks))].index(True) == deblur
            assert sum(bool(part.any()) for part in rows.chunk(len(TINY.tasks))) == 1
    assert {"task_table.weight", "heads.0.weight", "tails.0.weight"} <= moved

    words[words.index("deblur")] = "moire"
    words[2] = f"moire={pairs_below(tmp_path, folder)}"
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 4
    assert "does not know moire" in result.stderr


def pairs_below(place: Path, folder: Path) -> Path:
    """Return a folder of pairs, each picture with itself."""
    for side in ("lq", "gt"):
        shutil.copytree(folder, place / "pairs" / side)
    return place / "pairs"


def test_an_unknown_key_in_a_recipe_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("learning_rat = 1e-3\n")
    result = CliRunner().invoke(
        app, ["train", "--data", str(folder), "--config", str(tmp_path / "recipe.toml")]
    )
    assert result.exit_code == 2
    assert "unknown key 'learning_rat'" in result.stderr
    assert "did you mean 'learning_rate'" in result.stderr


def test_a_dry_run_says_what_it_would_do(folder: Path) -> None:
    result = CliRunner().invoke(
        app, ["train", "--data", str(folder), "--scene", "64", "--patches", "32", "--dry-run"]
    )
    assert result.exit_code == 0
    for task in TASKS:
        assert f'"{task.name}"' in result.stdout
    told = json.loads(result.stdout)
    assert told["data"] == "4 photographs"
    assert told["iterations"] > 0
