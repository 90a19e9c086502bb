"""Whole runs: pairs, several processes, a kill in the middle, a full disk, what is left for people."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.errors import DataError
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.training import objective, trainer
from cyclerdm_cli.training.batches import BatchSource
from cyclerdm_cli.training.beginning import network_config
from cyclerdm_cli.training.configuration import Phase, TrainingConfig
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.optimizer import PhaseOptimizer
from cyclerdm_cli.training.photographs import hold_out, pairs_in, pictures_in, read_pairs, read_photographs
from cyclerdm_cli.training.recipe import read_recipe
from cyclerdm_cli.training.records import draw_curves
from cyclerdm_cli.training.trainer import learning_rate

CPU = torch.device("cpu")
Command = Callable[..., list[str]]
SMALL = ["--scene", "64", "--patch", "32", "--scenes", "2", "--device", "cpu", "--precision", "fp32",
         "--log-every", "1", "--validations", "0"]  # fmt: skip
RECIPE = """
[network]
widths = [8, 8]
down_blocks = [1, 0]
up_blocks = [0]
light_widths = [8, 8, 8, 8]
calibration_widths = [8, 8]
calibration_down_blocks = [0, 0]
calibration_up_blocks = [0]
[[phases]]
stages = [2]
[[phases]]
stages = [2, 3]
"""
"""A small network in two phases."""


def picture(number: int, height: int = 80, width: int = 90) -> np.ndarray:
    """Return a smooth colourful picture, bright and clear."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (7 + number + c)) * np.cos(columns / (9 + c)) for c in range(3)]
    return (120 + 110 * np.stack(waves, 2)).astype(np.uint8)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(picture(number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Return pairs whose lq is the gt with red and blue exchanged."""
    folder = tmp_path / "pairs"
    for side in ("lq", "gt"):
        (folder / side).mkdir(parents=True)
    for number in range(4):
        gt = picture(number)
        Image.fromarray(gt).save(folder / "gt" / f"{number}.png")
        Image.fromarray(gt[:, :, ::-1]).save(folder / "lq" / f"{number}.png")
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Return what makes the words of a run with the small recipe."""
    (tmp_path / "small.toml").write_text(RECIPE)
    return lambda *arguments: [
        str(argument) for argument in ("train", "--recipe", tmp_path / "small.toml", *arguments, *SMALL)
    ]


def log_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_pairs_stay_together(pairs: Path) -> None:
    read = read_pairs(pairs_in(pairs), 64, CPU)
    lq, gt = read.cut(5, 64, torch.Generator().manual_seed(1))
    assert torch.equal(lq, gt.flip(1))
    assert not torch.equal(lq[0], lq[1])


def test_a_pair_without_partner_or_of_two_sizes_is_named(pairs: Path) -> None:
    (pairs / "gt" / "3.png").unlink()
    with pytest.raises(DataError, match=r"lq/3\.png: no partner in .*gt"):
        pairs_in(pairs)
    Image.fromarray(picture(3, 70)).save(pairs / "gt" / "3.png")
    with pytest.raises(DataError, match=r"lq/3\.png: the pair has two sizes, 90x80 and 90x70"):
        read_pairs(pairs_in(pairs), 64, CPU)


def test_a_new_task_is_learned_from_pairs_alone(pairs: Path, tmp_path: Path, command: Command) -> None:
    words = command("--data", pairs, "--task", "swapped", "--iterations", 2, "--out", tmp_path / "run")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert "4 pairs" in result.stderr
    out, weights = tmp_path / "out.png", result.stdout.strip()
    restore = ["restore", pairs / "lq" / "0.png", "--task", "swapped", "--weights", weights, "-o", out]
    restored = CliRunner().invoke(app, [str(word) for word in restore])
    assert restored.exit_code == 0, restored.stderr
    assert Image.open(out).size == (90, 80)
    restore[3] = "swappt"
    assert CliRunner().invoke(app, [str(word) for word in restore]).exit_code == 2


def test_pairs_are_mixed_with_degradations(pairs: Path, photographs: Path) -> None:
    phase = Phase(scene=64, patch=64, scenes=1)
    config = TrainingConfig("denoise", 1, clean_share=0, smooth_share=0, pair_share=0.5, phases=(phase,))
    clean = read_photographs(pictures_in(photographs), 64, CPU)
    folder = read_pairs(pairs_in(pairs), 64, CPU)
    source = BatchSource(find_task("denoise"), config, clean, (folder,))
    batches = [source.draw(iteration, phase) for iteration in range(20)]
    swapped = [torch.equal(batch.degraded, batch.clean.flip(1)) for batch in batches]
    assert 4 <= sum(swapped) <= 16


def test_tasks_without_data_are_refused(pairs: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "photographs").mkdir()
    for arguments, reason in (
        (("--data", pairs), "train needs --task"),
        (("--data", tmp_path / "nowhere", "--task", "denoise"), "no such folder"),
        (("--data", tmp_path / "photographs", "--task", "denoise"), "no pictures in this folder"),
        (("--data", pairs / "lq", "--task", "swapped"), "unknown task 'swapped'"),
        (("--data", pairs / "lq", "--task", "denoize"), "did you mean 'denoise'?"),
    ):
        result = CliRunner().invoke(app, command("--iterations", 1, *arguments))
        assert result.exit_code != 0
        assert reason in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_every_twentieth_is_kept_apart() -> None:
    learned, held = hold_out(list(range(45)))
    assert held == [19, 39]
    assert sorted(learned + held) == list(range(45))
    assert hold_out([1, 2, 3]) == ([1, 2, 3], [])


def test_killed_and_resumed_it_ends_with_the_same_bytes(
    photographs: Path, tmp_path: Path, command: Command
) -> None:
    def words(out: Path, *more: str) -> list[str]:
        return command("--data", photographs, "--task", "denoise", "--iterations", 40, "--out", out,
                       "--checkpoint-minutes", "0.0001", *more)  # fmt: skip

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert CliRunner().invoke(app, words(whole)).exit_code == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "cyclerdm_cli", *words(broken)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )  # fmt: skip
    while process.poll() is None and not (
        (broken / "log.jsonl").is_file() and len((broken / "log.jsonl").read_text().splitlines()) >= 8
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (broken / "weights.safetensors").exists()
    result = CliRunner().invoke(app, words(broken, "--resume"))
    assert result.exit_code == 0, result.stderr
    assert (broken / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_two_processes_learn_as_one_does_from_the_batches_of_both(
    photographs: Path, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "small.toml").write_text(RECIPE.replace("[[phases]]\nstages = [2]\n", ""))
    words = command("--data", photographs, "--task", "denoise", "--iterations", 5, "--out", tmp_path / "two")
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m",
         "cyclerdm_cli", *words],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=240,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr

    task = find_task("denoise")
    flags = {"iterations": 5, "scene": 64, "patch": 32, "scenes": 2, "precision": "fp32"}
    config = read_recipe(task, "cpu", str(tmp_path / "small.toml"), flags)
    (phase,) = config.phases
    source = BatchSource(task, config, read_photographs(pictures_in(photographs), 64, CPU))
    torch.manual_seed(config.seed)
    network = CompactNetwork(network_config(task, config.network))
    optimizer = PhaseOptimizer(
        network, ("detail", "calibration", "handed_on"), config.momentum, config.weight_decay
    )
    losses = []
    for iteration in range(5):
        network.zero_grad()
        both = [
            Objective(config)(network, source.draw(2 * iteration + rank, phase), phase.stages)
            for rank in (0, 1)
        ]
        loss = (both[0] + both[1]) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_norm)
        optimizer.step(learning_rate(phase, iteration, iteration / 5))
        losses.append(loss.item())
    together = [record["loss"] for record in log_of(tmp_path / "two")]
    assert together == pytest.approx(losses, rel=1e-3)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a process is found by /proc")
def test_a_group_that_loses_a_process_goes_on_from_the_checkpoint_by_itself(
    photographs: Path, tmp_path: Path, command: Command
) -> None:
    def machines(out: Path) -> list[subprocess.Popen[str]]:
        """Start what two machines would: each a process that trains."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = [
            sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
            "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1",
            # A heartbeat while it waits for the others at the end can hang it: pytorch/pytorch#69520.
            "--rdzv-conf", "keep_alive_interval=600", "--max-restarts", "1", "--monitor-interval", "0.1",
            "-m", "cyclerdm_cli",
            *command("--data", photographs, "--task", "denoise", "--iterations", 16, "--out", out,
                     "--checkpoint-minutes", "0.0001", "--overwrite"),
        ]  # fmt: skip
        fresh = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        return [
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=fresh)
            for _ in range(2)
        ]

    def second_of(out: Path) -> int | None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if str(out).encode() in (process / "cmdline").read_bytes().split(b"\0") and b"RANK=1" in (
                    process / "environ"
                ).read_bytes().split(b"\0"):
                    return int(process.name)
            except OSError:
                continue
        return None

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for machine in machines(whole):
        _, err = machine.communicate(timeout=120)
        assert machine.returncode == 0, err
    broken.mkdir()
    (broken / "checkpoint.pt").write_bytes(b"of an earlier run")
    both = machines(broken)
    while both[0].poll() is None and not (
        (broken / "log.jsonl").is_file() and len((broken / "log.jsonl").read_text().splitlines()) >= 4
    ):
        time.sleep(0.02)
    second = second_of(broken)
    assert second is not None
    os.kill(second, signal.SIGKILL)
    said = ""
    for machine in both:
        said += machine.communicate(timeout=120)[1]
        assert machine.returncode == 0, said
    assert "started again: going on from the last checkpoint" in said
    iterations = [int(str(record["iteration"])) for record in log_of(broken)]
    assert iterations.count(1) == 1
    assert iterations[-1] == 16
    assert (broken / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_a_full_disk_keeps_the_checkpoint_before(
    photographs: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = command("--data", photographs, "--task", "denoise", "--iterations", 4, "--out", tmp_path / "run")
    assert CliRunner().invoke(app, words).exit_code == 0
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer.torch, "save", full)
    words[words.index("--iterations") + 1] = "6"
    result = CliRunner().invoke(app, [*words, "--resume"])
    assert result.exit_code == 1
    assert "checkpoint.pt: not written" in result.stderr
    assert "No space left" in result.stderr
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))


def test_a_folder_that_holds_a_run_is_only_overwritten_when_asked(
    photographs: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "run"
    words = command("--data", photographs, "--task", "denoise", "--iterations", 2, "--out", out)
    assert CliRunner().invoke(app, words).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "holds a run already" in refused.stderr
    assert "--resume" in refused.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0
    assert len(log_of(out)) == len(before["log.jsonl"].splitlines())


def test_a_checkpoint_of_another_network_or_task_is_not_resumed(
    photographs: Path, tmp_path: Path, command: Command
) -> None:
    words = command("--data", photographs, "--iterations", 1, "--out", tmp_path / "run")
    assert CliRunner().invoke(app, [*words, "--task", "denoise"]).exit_code == 0
    other = CliRunner().invoke(app, [*words, "--task", "derain", "--resume"])
    assert other.exit_code == 1
    assert "this run learned denoise, not derain" in other.stderr
    (tmp_path / "small.toml").write_text(RECIPE.replace("widths = [8, 8]", "widths = [8, 12]", 1))
    larger = CliRunner().invoke(app, [*words, "--task", "denoise", "--resume"])
    assert larger.exit_code == 1
    assert "of another network or recipe" in larger.stderr
    missing = CliRunner().invoke(app, [*command("--data", photographs, "--iterations", 1), "--task", "denoise",
                                       "--out", str(tmp_path / "new"), "--resume"])  # fmt: skip
    assert missing.exit_code == 1
    assert "no checkpoint to resume from" in missing.stderr


def test_a_run_leaves_log_curves_and_samples(photographs: Path, tmp_path: Path, command: Command) -> None:
    out, valid = tmp_path / "run", tmp_path / "valid"
    valid.mkdir()
    Image.fromarray(picture(5, 133, 150)).save(valid / "5.png")
    words = command("--data", photographs, "--task", "denoise", "--iterations", 4, "--out", out,
                    "--valid", valid)  # fmt: skip
    words[words.index("--validations") + 1] = "2"
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    measured = [record for record in log_of(out) if "validation" in record]
    assert [record["iteration"] for record in measured] == [2, 4]
    assert set(measured[0]["validation"]) == {"denoise"}  # type: ignore[arg-type]
    with Image.open(out / "samples.png") as sheet, Image.open(out / "curves.png") as curves:
        assert sheet.width == 3 * 132  # a multiple of the network's
        assert curves.size == (1200, 480)
    page = (out / "curves.html").read_text(encoding="utf-8")
    assert "pictures kept apart gain" in page
    assert "data:image/png" in page
    assert json.loads((out / "recipe.json").read_text())["iterations"] == 4


def test_curves_rise_where_the_numbers_do() -> None:
    records = [{"iteration": i, "validation": {"denoise": float(i)}} for i in range(5)]
    drawn = np.asarray(draw_curves(records))[:, 600 + 62 : 600 + 448].astype(int)
    blue = (drawn[..., 2] > 150) & (drawn[..., 0] < 60)
    heights = [np.flatnonzero(blue[:, column]).mean() for column in (10, 200, 370)]
    assert heights[0] > heights[1] > heights[2]


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ("learning_rat = 1e-3", "unknown key 'learning_rat'"),
        ("momentun = 0.9", "did you mean 'momentum'?"),
        ("[[phases]]\nscen = 64", "did you mean 'scene'?"),
        ("[[phases]]\npatch = 33", "patch is 33"),
        ("[[phases]]\nstages = [5]", "stages is (5,)"),
        ("[kinds.detail]\nemma = 0.9", "did you mean 'ema'?"),
        ("[network]\nwidth = [8, 8]", "unknown configuration width"),
        ("precision = bf16", "Invalid value"),
        ("seed = 'three'", "seed is 'three'"),
        ("validations = 1.5", "validations is 1.5"),
        ("ema = 1.5", "ema is 1.5"),
    ],
)
def test_a_recipe_that_is_wrong_is_explained(
    photographs: Path, tmp_path: Path, recipe: str, reason: str
) -> None:
    (tmp_path / "recipe.toml").write_text(recipe)
    words = ["train", "--data", photographs, "--task", "denoise", "--iterations", 1, "--device", "cpu",
             "--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "run"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code in (2, 4)
    assert reason in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_every_field_of_a_recipe_is_an_option_that_goes_before_the_file(
    photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "recipe.toml").write_text(
        f"ema = 0.5\nseed = 3\n{RECIPE}".replace("stages = [2]", "stages = [2]\nscene = 256")
    )
    words = [
        "train", "--data", photographs, "--task", "denoise", "--config", tmp_path / "recipe.toml", "--dry-run",
        "--iterations", 1, "--seed", 4, "--scene", 64, "--patch", 32, "--no-compile", "--device", "cpu",
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    resolved = json.loads(result.stdout)
    assert (resolved["ema"], resolved["seed"], resolved["compile"]) == (0.5, 4, False)
    assert [(one["stages"], one["scene"], one["patch"]) for one in resolved["phases"]] == [
        ([2], 64, 32), ([2, 3], 64, 32),
    ]  # fmt: skip

    listed = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).stdout.replace("/", " ")
    fields = {*resolved, *resolved["phases"][0]}
    shown = {name for name in fields if f"--{name.replace('_', '-')} " in listed}
    assert fields - shown == {"network", "phases", "stages", "share", "patches_per_second"}


@pytest.mark.parametrize(("option", "value"), [("--patch", "96;128"), ("--seed", "three"), ("--ema", "x")])
def test_an_option_that_is_no_number_is_explained(photographs: Path, option: str, value: str) -> None:
    words = ["train", "--data", str(photographs), "--task", "denoise", option, value]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert option in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_loss_leaves_no_weights(
    photographs: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))
    monkeypatch.setattr(
        objective, "absolute_error", lambda given, *others: given.mean() * (float("nan") if next(calls) > 4 else 1)
    )  # fmt: skip
    words = command("--data", photographs, "--task", "denoise", "--iterations", 30, "--out", tmp_path / "run")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "not finite" in result.stderr
    assert not (tmp_path / "run" / "weights.safetensors").exists()
