"""A name stands for a family: each task's own entry, or else the one that knows it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from tiny import TINY, tiny_network
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.errors import CycleRDMError, UsageError, WeightsError
from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.weights.choosing import choose, tasks_of, title_of
from cyclerdm_cli.weights.ensuring import locate
from cyclerdm_cli.weights.file import Header, read_header, write_weights
from cyclerdm_cli.weights.registry import read_registry

RUN = {
    "parent": None, "recipe": "tone", "task": "dehaze", "seed": 3, "iterations": 100, "minutes": 1.5,
    "data": "none", "created": "2026-01-01",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "task", "chosen"),
    [
        (None, "derain", "small-derain"),
        (None, "denoise", "small"),
        ("small", "dehaze", "small-dehaze"),
        ("small-derain", "derain", "small-derain"),
        ("other", "dehaze", "other-dehaze"),
    ],
)
def test_each_task_has_its_own_weights_where_there_are_such(
    families: Path, name: str | None, task: str, chosen: str
) -> None:
    choice = choose(name, task)
    assert (choice.name, choice.path) == (chosen, families / f"{chosen}.safetensors")
    assert choice.precisions == ("fp32", "bf16")
    assert str(choice).startswith(f"{chosen} (")


def test_what_a_name_has_is_known_without_opening_a_file(families: Path) -> None:
    for path in families.iterdir():
        path.unlink()
    assert tasks_of(None) == tuple(task.name for task in TASKS)
    assert tasks_of("other") == ("derain", "dehaze")
    assert tasks_of("small-derain") == ("derain",)
    assert str(choose(None, "derain")).endswith("to be fetched)")
    assert (title_of(None), title_of("other")) == ("small", "other")


def test_a_task_whose_weights_are_to_be_made_is_answered_in_one_line(
    families: Path, photograph_file: Path, tmp_path: Path
) -> None:
    registry = tmp_path / "families.toml"
    registry.write_text(registry.read_text().replace('default = "small"', 'default = "other"'))
    with pytest.raises(WeightsError, match="no weights for dejpeg yet"):
        choose(None, "dejpeg")
    ran = CliRunner().invoke(app, ["restore", str(photograph_file), "--task", "dejpeg"])
    assert (ran.exit_code, ran.stdout, len(ran.stderr.splitlines())) == (4, "", 1)
    assert "cyclerdm train --task dejpeg" in ran.stderr
    assert "--weights FILE" in ran.stderr
    with pytest.raises(UsageError, match="no weights for dejpeg in other"):
        choose("other", "dejpeg")


def test_a_file_has_the_tasks_that_it_says(families: Path) -> None:
    file = str(families / "other-derain.safetensors")
    assert (choose(file, "derain").name, tasks_of(file)) == ("other-derain.safetensors", ("derain",))
    with pytest.raises(
        UsageError, match=r"no weights for dehaze in other-derain.safetensors \(it has: derain\)"
    ):
        choose(file, "dehaze")


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("other", "desnow", r"no weights for desnow in other \(it has: derain, dehaze\)"),
        ("small-derain", "dehaze", r"no weights for dehaze in small-derain \(it has: derain\)"),
        ("nonsense", "derain", r"no weights called 'nonsense' \(a file, or one of: .*small.*other"),
        ("nonsense.safetensors", "derain", "no such file of weights"),
        ("paper", "derain", "cyclerdm weights import FILE"),
    ],
)
def test_what_there_is_not_is_said_with_what_there_is(
    families: Path, name: str, task: str, said: str
) -> None:
    with pytest.raises(CycleRDMError, match=said):
        choose(name, task)


def test_a_family_is_no_single_file(families: Path) -> None:
    assert locate("small") == ("small", families / "small.safetensors")
    assert locate("other", "derain") == ("other-derain", families / "other-derain.safetensors")
    with pytest.raises(WeightsError, match=r"one file a task .*other-dehaze, other-derain"):
        locate("other")


def test_the_authors_family_is_what_was_imported_of_it(families: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="weights import"):
        tasks_of("paper")
    own = tmp_path / "families.toml"
    own.write_text(own.read_text().replace("other-derain", "paper-derain"))
    assert choose("paper", "derain").name == "paper-derain"
    assert tasks_of("paper") == ("derain",)


def test_the_default_may_be_a_family_without_an_entry_of_its_name(families: Path, tmp_path: Path) -> None:
    own = tmp_path / "families.toml"
    own.write_text(own.read_text().replace('default = "small"', 'default = "other"'))
    assert read_registry().default == "other"
    assert choose(None, "derain").name == "other-derain"


def header(**changes: object) -> Header:
    return Header("compact", TINY.to_json(), ("dehaze",), "CC0-1.0", "none", "2026-01-01", {}, **changes)  # type: ignore[arg-type]


def test_the_runs_that_led_to_a_file_travel_with_it(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    runs = [RUN, {**RUN, "parent": "0" * 64, "note": "what later versions may add"}]
    write_weights(path, tiny_network().state_dict(), header(lineage=runs))
    assert read_header(path).lineage == runs
    write_weights(path, tiny_network().state_dict(), header())
    assert read_header(path).lineage == []


def test_files_from_before_lineages_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_weights(path, tiny_network().state_dict(), header())
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    inside = json.loads(data[8 : 8 + length])
    said = json.loads(inside["__metadata__"]["cyclerdm"])
    del said["lineage"]
    inside["__metadata__"]["cyclerdm"] = json.dumps(said)
    text = json.dumps(inside).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    assert read_header(path).lineage == []


@pytest.mark.parametrize(
    "lineage",
    [
        "none", [3], [{}], [{**RUN, "seed": "3"}], [{**RUN, "seed": True}], [{**RUN, "parent": "0123"}],
        [{key: value for key, value in RUN.items() if key != "minutes"}],
    ],
)  # fmt: skip
def test_a_damaged_lineage_is_found_out(tmp_path: Path, lineage: object) -> None:
    path = tmp_path / "x.safetensors"
    write_weights(path, tiny_network().state_dict(), header(lineage=lineage))
    with pytest.raises(WeightsError, match="the description inside is damaged"):
        read_header(path)
