"""The authors' checkpoints become weights; pickles that would run something do not."""

from __future__ import annotations

import argparse
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.cycle.cycle import cycle
from cyclerdm_cli.cycle.paper import PaperNetwork, PaperStages
from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.weights import ensuring, importing, registry
from cyclerdm_cli.weights.file import read_header
from cyclerdm_cli.weights.importing import import_weights, read_checkpoint
from cyclerdm_cli.weights.keeping import remove
from cyclerdm_cli.weights.loading import load_network

PARITY = Path(__file__).parents[3] / "shared" / "reference" / "parity"
recorded = pytest.mark.skipif(not PARITY.is_dir(), reason=f"no recorded runs at {PARITY}")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CYCLERDM_HOME", str(tmp_path / "home"))
    yield
    for left in (tmp_path / "home").rglob("*.safetensors"):
        left.unlink()  # 85 MiB each


def rule(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the values that the recorded runs were made with."""
    values = np.random.default_rng(crc32(key.encode())).standard_normal(shape)
    if len(shape) >= 2:
        values /= np.sqrt(np.prod(shape[1:]))
    else:
        values = 0.05 * values + key.endswith("weight")
    return torch.from_numpy(values.astype(np.float32))


@pytest.fixture(scope="module")
def averaged() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in PaperNetwork().state_dict().items()}
    return {key: rule(key, shape) for key, shape in shapes.items()}


@pytest.fixture(scope="module")
def checkpoint(averaged: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint in the authors' layout, whose last values are not its averages."""
    path = tmp_path_factory.mktemp("checkpoint") / "derain.pth.tar"
    content = {
        "epoch": 1000,
        "state_dict": {f"module.{key}": torch.ones(1).expand(value.shape) for key, value in averaged.items()},
        "ema_helper": averaged,
        "params": argparse.Namespace(config="derain.yml", seed=230),
    }
    torch.save(content, path)
    return path


def saved(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "some.pth"
    torch.save(content, path)
    return path


def test_the_averages_are_taken_as_they_are(checkpoint: Path, averaged: dict[str, torch.Tensor]) -> None:
    entry, path = import_weights(checkpoint, "paper-derain", "derain", "none given", "unknown")
    network, header = load_network(path)
    assert isinstance(network, PaperNetwork)
    for key, value in network.state_dict().items():
        assert torch.equal(value, averaged[key]), key
    assert (header.tasks, header.licence) == (("derain",), "none given")
    assert registry.read_registry().find("paper-derain") == entry
    assert ensuring.locate("paper-derain") == ("paper-derain", path)
    assert entry.needs.multiple == 32

    with pytest.raises(UsageError, match="'paper-derain' already"):
        import_weights(checkpoint, "paper-derain", "derain", "none given", "unknown")
    import_weights(checkpoint, "paper-derain", "denoise", "none given", "unknown", overwrite=True)
    assert registry.read_registry().find("paper-derain").tasks == ("denoise",)
    with pytest.raises(UsageError, match="another --name"):
        import_weights(checkpoint, "compact", "derain", "none given", "unknown", overwrite=True)
    assert remove(registry.read_registry().find("paper-derain")) == [path]
    assert "paper-derain" not in registry.read_registry().entries


@recorded
def test_an_imported_checkpoint_agrees_with_the_recorded_run(checkpoint: Path) -> None:
    _, path = import_weights(checkpoint, "authors", "derain", "none given", "unknown")
    network, _ = load_network(path)
    assert isinstance(network, PaperNetwork)
    with np.load(PARITY / "case_a.npz") as arrays:
        case = {key: torch.from_numpy(arrays[key]) for key in arrays}
    noises = iter([case["noise1"], case["noise2"], case["noise3"]])
    with torch.inference_mode():
        found = cycle(PaperStages(network, lambda shape: next(noises)), case["input"])
    assert (found.rough - case["stage1"]).abs().max() < 1e-3
    assert (found.restored - case["output"]).abs().max() < 1e-3


def test_restoring_with_an_imported_checkpoint_runs_the_papers_network(
    checkpoint: Path, averaged: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rain.png")
    assert call("weights", "import", checkpoint, "--task", "derain")[0] == 0
    status, out = call(
        "restore", tmp_path / "rain.png", "-o", tmp_path / "out.png", "--task", "derain",
        "--weights", "paper-derain", "--steps", "1", "--device", "cpu", "--precision", "fp32", "--json",
    )  # fmt: skip
    assert (status, json.loads(out.splitlines()[0])["weights"]) == (0, "paper-derain")
    network = PaperNetwork().eval().requires_grad_(False)
    network.load_state_dict(averaged)
    engine = choose_engine("cpu", "fp32")
    expected = Restorer(network, engine, RestoreOptions(steps=1)).restore(pixels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)
    status, out = call(
        "restore",
        tmp_path / "rain.png",
        "-o",
        tmp_path / "no.png",
        "--task",
        "desnow",
        "--weights",
        "paper-derain",
    )
    assert (status, (tmp_path / "no.png").exists()) == (2, False)


def call(*words: str | Path) -> tuple[int, str]:
    """Run the command in this process: exit status and standard output."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout


class Malicious:
    """A pickle of this makes a folder when it is read by plain pickle."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("place", ["whole", "inside"])
def test_a_malicious_pickle_is_refused_and_nothing_of_it_runs(
    tmp_path: Path, legacy: bool, place: str
) -> None:
    trap = tmp_path / "trap"
    content: Any = Malicious(trap)
    if place == "inside":
        content = {"state_dict": {"module.x": torch.zeros(2)}, "ema_helper": {"x": content}}
    path = tmp_path / "evil.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"evil\.pth\.tar: refused, it asks to run posix\.mkdir") as fault:
        import_weights(path, "evil", "derain", "none given", "unknown")
    assert fault.value.exit_status == 4
    assert len(str(fault.value).splitlines()) == 1
    assert not trap.exists()
    assert not list(tmp_path.rglob("*.safetensors"))
    assert "evil" not in registry.read_registry().entries
    torch.load(path, weights_only=False)  # the trap is a real one
    assert trap.is_dir()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Malicious(tmp_path / "trap")))
    with pytest.raises(WeightsError, match="refused"):
        read_checkpoint(path)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("kept", [0, 3, 300, 100_000, -100])
def test_a_truncated_checkpoint_is_one_clear_fault(tmp_path: Path, kept: int) -> None:
    path = saved(tmp_path, {"state_dict": {"x": torch.zeros(100_000)}})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"some\.pth: (refused or )?damaged"):
        read_checkpoint(path)


def test_a_file_that_is_not_there_or_is_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="damaged"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "holds a list"),
        ({"weights": {}}, "no checkpoint in the authors' layout"),
        ({"state_dict": {"module.Unet.x": torch.zeros(1)}}, "is (missing|unknown) in the paper's network"),
        ({"state_dict": {"x": "1.5"}}, "x is a str, no tensor"),
        ({"state_dict": {"x": [1.5]}}, "x is a list, no tensor"),
        ({"state_dict": {"x": torch.zeros(0)}}, "x is a tensor without numbers"),
    ],
)
def test_another_layout_is_named(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        import_weights(saved(tmp_path, content), "other", "derain", "none given", "unknown")
    assert not (tmp_path / "home").exists()


ODD: dict[str, Callable[[], torch.Tensor]] = {
    "a tensor without numbers, on the device 'meta'": lambda: torch.zeros(3, device="meta"),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
    "no dense tensor": lambda: torch.ones(3).to_sparse(),
    "no dense tensor, but nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "of the type complex64": lambda: torch.ones(3, dtype=torch.complex64),
    "of the type int64": lambda: torch.ones(3, dtype=torch.int64),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("said", ODD)
def test_a_tensor_without_plain_numbers_is_named(tmp_path: Path, said: str) -> None:
    try:
        path = saved(tmp_path, {"state_dict": {"x": ODD[said]()}})
    except (AttributeError, RuntimeError) as fault:
        pytest.skip(f"this torch makes no such tensor: {fault}")
    with pytest.raises(WeightsError, match=f"some.pth: x is {said.partition(',')[0]}"):
        import_weights(path, "other", "derain", "none given", "unknown")
    assert not (tmp_path / "home").exists()


def test_a_tensor_of_another_shape_is_named(averaged: dict[str, torch.Tensor], tmp_path: Path) -> None:
    odd = averaged | {"Unet.conv_in.weight": torch.zeros(64, 3, 3, 3)}
    with pytest.raises(
        WeightsError, match=r"Unet\.conv_in\.weight has the shape \(64, 3, 3, 3\), not \(64, 6"
    ):
        import_weights(saved(tmp_path, {"state_dict": odd}), "odd", "derain", "none given", "unknown")


def test_values_that_are_not_finite_are_not_written(
    averaged: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    odd = averaged | {"Unet.conv_in.bias": torch.full((64,), float("nan"))}
    with pytest.raises(WeightsError, match=r"Unet\.conv_in\.bias is not finite"):
        import_weights(saved(tmp_path, {"state_dict": odd}), "odd", "derain", "none given", "unknown")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_name_that_leads_elsewhere_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the name is wrong"):
        import_weights(checkpoint, "../escaped", "derain", "none given", "unknown")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_only_importing_reads_pickles() -> None:
    package = Path(importing.__file__).parents[1]
    readers = [
        path.name
        for path in package.rglob("*.py")
        if "torch.load(" in path.read_text() and "weights_only=True" not in path.read_text()
    ]
    assert readers == []
    assert read_header(ensuring.locate(None, "derain")[1]).architecture == "compact"
