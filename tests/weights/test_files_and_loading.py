"""Weights travel with what they need, and nothing damaged is ever loaded."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import TINY, tiny_network

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.weights import choosing, ensuring, registry
from cyclerdm_cli.weights.file import read_header, write_weights
from cyclerdm_cli.weights.loading import load_network


def test_what_is_written_comes_back_in_half_precision(tiny_weights: Path) -> None:
    network, header = load_network(tiny_weights)
    assert header.tasks == tuple(task.name for task in TASKS)
    for name, value in tiny_network().state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value.half().float())
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("task", choosing.tasks_of("compact"))
def test_the_package_brings_the_weights_that_it_says(task: str) -> None:
    choice = choosing.choose(None, task)
    name, path = ensuring.locate(None, task)
    header = read_header(path)
    assert name == choice.name == f"compact-{task}"
    assert choice.entry is not None
    assert header.tasks == choice.entry.tasks == (task,)
    assert header.config["task"] == task
    assert header.licence == choice.entry.licence
    assert path.stat().st_size <= 4 * 2**20
    assert hashlib.sha256(path.read_bytes()).hexdigest() == choice.entry.sha256


@pytest.mark.parametrize("kept", [0, 5, 100, 5000, -1])
def test_a_truncated_file_is_one_clear_fault(tiny_weights: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(tiny_weights.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"cut\.safetensors: damaged"):
        load_network(path)


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no cyclerdm weights inside"):
        load_network(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": "resnet"}, "unknown architecture 'resnet'"),
        ({"format": 99}, "newer version"),
        ({"config": {**TINY.to_json(), "widths": [8, 12, 24]}}, "has the shape"),
        ({"config": {**TINY.to_json(), "down_blocks": [1, 1, 2]}}, "is missing"),
        ({"config": {**TINY.to_json(), "up_blocks": [1]}}, "do not fit together"),
        ({"config": {**TINY.to_json(), "colour": 3}}, "unknown configuration colour"),
        ({"config": {}}, "names no task"),
        (
            {"config": {**TINY.to_json(), "widths": ["a", "b", "c"]}},
            r"widths\[0\] is 'a', not a whole number",
        ),
        (
            {"config": {**TINY.to_json(), "widths": [10**6] * 3}},
            r"widths\[0\] is 1000000, not .* from 0 to 4096",
        ),
        ({"architecture": "paper", "config": {"colour": 3}}, "paper network: unknown configuration colour"),
        ({"architecture": 3}, "the description inside is damaged: architecture is 3, not a text"),
        ({"tasks": (3,)}, r"the description inside is damaged: tasks\[0\] is 3, not a text"),
    ],
)
def test_a_description_that_does_not_fit_is_named(
    tiny_weights: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    header = dataclasses.replace(read_header(tiny_weights), **change)  # type: ignore[arg-type]
    write_weights(tmp_path / "odd.safetensors", tiny_network().state_dict(), header)
    with pytest.raises(WeightsError, match=said):
        load_network(tmp_path / "odd.safetensors")


def test_numbers_that_are_not_finite_are_never_written(tiny_weights: Path, tmp_path: Path) -> None:
    values = tiny_network().state_dict()
    values["detail.tail.weight"][0, 0, 0, 0] = float("inf")
    with pytest.raises(WeightsError, match=r"detail\.tail\.weight is not finite"):
        write_weights(tmp_path / "bad.safetensors", values, read_header(tiny_weights))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_built_in_file_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = choosing.choose(None, "denoise").entry
    assert entry is not None
    data = bytearray(registry.place_of(entry).read_bytes())
    data[-1] ^= 1
    (tmp_path / entry.file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / entry.file).write_bytes(data)
    source = registry.PACKAGE / "weights.toml"
    text = (source if source.is_file() else registry.PACKAGE.parent / "weights.toml").read_text()
    (tmp_path / "weights.toml").write_text(text)
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    with pytest.raises(WeightsError, match="sha256"):
        ensuring.locate(None, "denoise")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default = 'a'", "default names 'a'"),
        ("default = [", "weights.toml"),
        ("default='a'\n[weights.a]\ntasks=['denoise']", r"\[weights.a\] architecture"),
    ],
)
def test_a_malformed_registry_names_the_entry_and_key(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.toml").write_text(text)
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    with pytest.raises(WeightsError, match=said):
        registry.read_registry()


STARTING = """
import sys
import torch
from cyclerdm_cli.weights.loading import load_network
from cyclerdm_cli.weights.ensuring import locate
load_network(locate(None, "low-light")[1])
print(*sorted({"sympy", "torch._dynamo", "requests", "filelock"} & set(sys.modules)))
"""


def test_loading_brings_in_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
