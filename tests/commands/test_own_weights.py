"""Weights of its own for each task, as a shell sees them: found, opened only where needed, told in the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import serving
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.restoring import networks
from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.words import eye as eye_module
from cyclerdm_cli.words.wordings import NAMES


def call(*words: str | Path) -> tuple[int, str, str]:
    """Run the command in this process: exit status, standard output, standard error."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def records(out: str) -> list[dict[str, Any]]:
    return [record for record in map(json.loads, out.splitlines()) if "summary" not in record]


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files of weights that were loaded, one for each time."""
    found = []
    load = networks.load_network

    def noted(path: Path, *others: Any) -> Any:
        found.append(path.stem)
        return load(path, *others)

    monkeypatch.setattr(networks, "load_network", noted)
    return found


class Eye:
    """Sees rain in dark pictures, haze in all others."""

    def see(self, pixels: np.ndarray) -> np.ndarray:
        return np.array([0.9 * (name == ("derain" if pixels.mean() < 60 else "dehaze")) for name in NAMES])


RESTORE = ("restore", "--device", "cpu", "--precision", "fp32")


def test_tasks_one_after_the_other_have_two_files_and_no_other_is_opened(
    families: Path, photograph_file: Path, tmp_path: Path, opened: list[str]
) -> None:
    (families / "small.safetensors").unlink()
    (families / "other-dehaze.safetensors").write_bytes(b"damaged")
    inputs = [tmp_path / f"{name}.png" for name in "abc"]
    for path in inputs:
        path.write_bytes(photograph_file.read_bytes())
    both = tmp_path / "both"
    status, out, err = call(*RESTORE, *inputs, "--task", "derain+dehaze", "-o", f"{both}/", "--json")
    assert (status, err) == (0, "3 done, 0 skipped, 0 failed\n")
    assert {record["weights"] for record in records(out)} == {"small-derain+small-dehaze"}
    assert opened == ["small-derain", "small-dehaze"]
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for task, source, result in (("derain", inputs[0], first), ("dehaze", first, second)):
        file = families / f"small-{task}.safetensors"
        assert call(*RESTORE, source, "--task", task, "--weights", file, "-o", result)[0] == 0
    np.testing.assert_array_equal(pixels_of(both / "a.png"), pixels_of(second))
    assert call(*RESTORE, photograph_file, "--task", "dehaze", "--weights", "other")[0] == 4


def test_a_name_is_a_family_and_another_family_gives_another_result(
    families: Path, photograph_file: Path, tmp_path: Path
) -> None:
    for name, weights in (("a", "small"), ("b", "other"), ("c", "small-derain")):
        words = (*RESTORE, photograph_file, "--task", "derain", "--weights", weights)
        status, out, _ = call(*words, "-o", tmp_path / f"{name}.png", "--json")
        assert (status, records(out)[0]["weights"]) == (0, weights.removesuffix("-derain") + "-derain")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    assert (pixels_of(tmp_path / "a.png") != pixels_of(tmp_path / "b.png")).any()
    status, _, err = call(*RESTORE, photograph_file, "--task", "desnow", "--weights", "other")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "no weights for desnow in other (it has: derain, dehaze)" in err


def test_auto_loads_what_the_pictures_need_when_they_need_it(
    families: Path,
    photograph: np.ndarray,
    tmp_path: Path,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eye_module, "load_eye", lambda: Eye())
    (families / "small.safetensors").unlink()
    for name, divisor in (("1", 1), ("2", 4), ("3", 1), ("4", 4)):
        Image.fromarray(photograph // divisor).save(tmp_path / f"{name}.png")
    inputs = [tmp_path / f"{name}.png" for name in "1234"]
    status, out, _ = call(*RESTORE, *inputs, "-o", f"{tmp_path}/out/", "--json")
    assert status == 0
    found = [record["weights"] for record in records(out)]
    assert found == ["small-dehaze", "small-derain"] * 2
    assert opened == ["small-dehaze", "small-derain"]
    opened.clear()
    assert call(*RESTORE, inputs[0], "-o", tmp_path / "one.png")[0] == 0
    assert opened == ["small-dehaze"]
    (families / "small-derain.safetensors").unlink()
    status, out, err = call(*RESTORE, *inputs, "-o", f"{tmp_path}/again/", "--json")
    assert status == 3
    assert [record["status"] for record in records(out)] == ["ok", "failed"] * 2
    assert "small-derain.safetensors: missing" in err


def test_auto_fetches_what_a_picture_needs_and_nothing_else(
    families: Path, photograph_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eye_module, "load_eye", lambda: Eye())
    own, there = tmp_path / "families.toml", families / "small-dehaze.safetensors"
    with serving(there.read_bytes()) as server:
        address = f'addresses = ["{server.good()}"]\nfile = "small-'
        own.write_text(own.read_text().replace('file = "small-', address))
        for path in families.glob("small*"):
            path.unlink()
        words = (*RESTORE, photograph_file, "-o", tmp_path / "x.png")
        status, _, err = call(*words, "--dry-run")
        assert (status, server.asked) == (0, [])
        assert "dehaze: weights small-dehaze (" in err
        status, _, err = call(*words)
        assert status == 0, err
        assert "fetching the weights small-dehaze" in err
        assert server.count("good") == 1
    assert [path.name for path in families.glob("small*")] == ["small-dehaze.safetensors"]


@pytest.mark.usefixtures("small_program")
def test_where_memory_is_limited_networks_take_turns(
    families: Path, photograph_file: Path, tmp_path: Path, opened: list[str]
) -> None:
    words = (*RESTORE, photograph_file, "--task", "derain+dehaze")
    assert call(*words, "-o", tmp_path / "free.png")[0] == 0
    status, _, err = call(*words, "-o", tmp_path / "limited.png", "--memory", "1GB")
    assert status == 0, err
    assert (tmp_path / "limited.png").read_bytes() == (tmp_path / "free.png").read_bytes()
    assert opened[2:] == ["small-derain", "small-dehaze"] * 2
    status, _, err = call(*words, "-o", tmp_path / "not.png", "--memory", "100MB")
    assert (status, "too little for any picture" in err) == (2, True)


def test_each_task_has_its_own_strength(families: Path, photograph_file: Path, tmp_path: Path) -> None:
    def result(name: str, task: str, *strength: str) -> np.ndarray:
        path = tmp_path / f"{name}.png"
        words = (*RESTORE, photograph_file, "--task", task, "-o", path, *strength)
        status, _, err = call(*words)
        assert status == 0, err
        return pixels_of(path)

    before = pixels_of(photograph_file)
    rain, half = result("a", "derain"), result("b", "derain", "--strength", "0.5")
    assert np.abs(half - (before + rain) / 2).max() <= 1
    np.testing.assert_array_equal(result("c", "derain+dehaze", "--strength", "dehaze=0"), rain)
    haze = result("d", "dehaze")
    np.testing.assert_array_equal(result("e", "derain+dehaze", "--strength", "derain=0, dehaze=1"), haze)
    # The same file of weights, too, works at two strengths.
    noise = result("f", "denoise")
    np.testing.assert_array_equal(result("g", "denoise+desnow", "--strength", "desnow=0"), noise)


@pytest.mark.parametrize(
    ("strength", "said"),
    [
        ("1.5", "0 to 1"),
        ("nan", "0 to 1"),
        ("much", "0 to 1"),
        ("derain=2", "0 to 1"),
        ("derain=", "0 to 1"),
        ("derian=0.5", "did you mean 'derain'"),
        ("desnow=0.5", "desnow is not asked for (--task derain+dehaze)"),
        ("derain=0.5,derain=1", "derain is named twice"),
    ],
)
def test_a_strength_that_means_nothing_is_one_line(photograph_file: Path, strength: str, said: str) -> None:
    words = (*RESTORE, photograph_file, "--task", "derain+dehaze", "--strength", strength)
    status, _, err = call(*words)
    assert (status, len(err.splitlines())) == (2, 1)
    assert said in err


def test_a_dry_run_names_each_tasks_weights_with_their_size(
    families: Path, photograph_file: Path, opened: list[str]
) -> None:
    (families / "small-dehaze.safetensors").unlink()
    words = (*RESTORE, photograph_file, "--task", "derain+dehaze+desnow", "--dry-run", "--json")
    status, out, err = call(*words)
    assert status == 0
    lines = dict(line.split(": ", 1) for line in err.splitlines() if ": " in line)
    for task, name in (("derain", "small-derain"), ("dehaze", "small-dehaze"), ("desnow", "small")):
        assert lines[task].startswith(f"weights {name} (")
        assert " MiB" in lines[task]
        assert ("to be fetched" in lines[task]) is (task == "dehaze")
    assert records(out)[0]["weights"] == "small-derain+small-dehaze+small"
    assert opened == []
    status, _, err = call("restore", photograph_file, "--dry-run", "--device", "cpu")
    assert (status, "derain: weights small-derain" in err, opened) == (0, True, [])


def test_a_precision_that_one_of_the_files_is_not_good_in_is_refused(
    families: Path, photograph_file: Path, tmp_path: Path
) -> None:
    own = tmp_path / "families.toml"
    entries = own.read_text().split("[weights.")
    own.write_text(
        "[weights.".join(
            one.replace('"bf16",', "") if one.startswith("small-dehaze") else one for one in entries
        )
    )
    words = ("restore", photograph_file, "--device", "cpu", "--precision", "bf16", "--task")
    assert call(*words, "derain", "-o", tmp_path / "a.png")[0] == 0
    status, _, err = call(*words, "derain+dehaze", "-o", tmp_path / "b.png")
    assert (status, "not with these weights" in err) == (2, True)


def test_weights_are_listed_by_task_with_those_that_are_the_default(families: Path) -> None:
    status, out, _ = call("weights", "list")
    assert status == 0
    rows = {tuple(line.split()[:4]) for line in out.splitlines()}
    assert {("derain", "small-derain", "yes", "yes"), ("denoise", "small", "yes", "yes")} <= rows
    assert ("derain", "small", "yes", "yes") not in rows
    assert ("derain", "other-derain", "yes", "yes") not in rows
    listed = {record["name"]: record for record in records(call("weights", "list", "--json")[1])}
    assert listed["small-derain"]["default_for"] == ["derain"]
    assert listed["small"]["default_for"] == [
        task.name for task in TASKS if task.name not in ("derain", "dehaze")
    ]
    assert (listed["other-derain"]["default"], listed["other-derain"]["lineage"]) == (False, [])
    assert call("weights", "path", "other")[1].split() == [
        str(families / f"other-{task}.safetensors") for task in ("derain", "dehaze")
    ]
    status, out, _ = call("weights", "verify", "small", "-v")
    assert (status, out.count("right")) == (0, 3)
    assert call("weights", "rm", "other")[0] == 0
    assert not list(families.glob("other*.safetensors"))
    assert len(list(families.glob("small*.safetensors"))) == 3


def test_bench_measures_each_task_with_its_own_weights(
    families: Path, photograph_file: Path, tmp_path: Path
) -> None:
    (families / "small.safetensors").unlink()
    words: list[str | Path] = [
        "bench",
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--json",
        tmp_path / "r.json",
    ]
    for task in ("derain", "dehaze"):
        for kind in ("lq", "gt"):
            (tmp_path / task / kind).mkdir(parents=True)
            (tmp_path / task / kind / "x.png").write_bytes(photograph_file.read_bytes())
        words += ["--lq", tmp_path / task / "lq", "--gt", tmp_path / task / "gt", "--task", task]
    status, out, err = call(*words, "--weights", "small", "--weights", "other")
    assert (status, err) == (0, "")
    found = json.loads((tmp_path / "r.json").read_text())["results"]
    assert [(one["name"], one["weights"]) for one in found] == [
        ("small", "small-derain"), ("other", "other-derain"), ("small", "small-dehaze"), ("other", "other-dehaze"),
    ]  # fmt: skip
    assert len({one["settings"]["sha256"] for one in found}) == 4
    assert "against small" in out
    status, _, err = call(
        *words, "--lq", tmp_path / "derain" / "lq", "--task", "desnow", "--weights", "other"
    )
    assert status == 2
