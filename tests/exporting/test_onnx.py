"""ONNX files give in ONNX Runtime what restoring gives, and say what they are."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, tiny_network
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.cycle.compact import CompactConfig
from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.cycle.light import apply_light
from cyclerdm_cli.cycle.view import view_of
from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.exporting.graph import ExportedCycle, transformed
from cyclerdm_cli.exporting.onnx_file import OPSET, to_onnx
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.weights.file import Header, write_weights

DARK = replace(TINY, task="low-light", light=True, brightens=True)
HAZY = replace(TINY, task="dehaze", light=True)
FILLING = replace(TINY, task="inpaint", fills=True)
PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"
with_runtime = pytest.mark.skipif(
    find_spec("onnx") is None or find_spec("onnxruntime") is None, reason="needs onnx and onnxruntime"
)


def run(network: bytes, outputs: list[str], **given: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return session.run(outputs, given)  # type: ignore[no-any-return]


def as_tensor(pixels: np.ndarray) -> np.ndarray:
    return pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255


def restored(config: CompactConfig, pixels: np.ndarray, **options: Any) -> np.ndarray:
    engine = choose_engine("cpu", "fp32")
    return Restorer(tiny_network(0, config), engine, RestoreOptions(tile=0, **options)).restore(pixels)


@pytest.mark.parametrize("config", [DARK, HAZY])
def test_light_is_sliced_as_by_the_sampler(config: CompactConfig, photograph: np.ndarray) -> None:
    network = tiny_network(0, config)
    light = network.look(view_of(photograph, torch.device("cpu"))).light
    assert light is not None
    light = light._replace(grid=torch.randn(light.grid.shape, generator=torch.Generator().manual_seed(0)))
    whole = torch.from_numpy(as_tensor(photograph))
    tile = whole[:, :, 16:80, 32:96]
    place = Place(torch.tensor([[16.0, 32.0]]), (97, 131))
    light = light._replace(power=torch.ones(1, 1))
    ours = transformed(tile, light, torch.tensor([16.0, 32.0, 97.0, 131.0]))
    torch.testing.assert_close(ours, apply_light(tile, light, place), atol=1e-5, rtol=0)


def test_what_cannot_be_exported_is_named() -> None:
    blurred = tiny_network(0, replace(TINY, task="deblur", deblurs=True))
    with pytest.raises(UsageError, match="deblur cannot be exported"):
        ExportedCycle(blurred, 0, False)


@with_runtime
@pytest.mark.parametrize("config", [TINY, DARK, HAZY], ids=lambda config: config.task)
@pytest.mark.parametrize("stages", [0, 1, 2])
def test_a_runtime_gives_what_restoring_gives_at_any_size(
    config: CompactConfig, stages: int, photograph: np.ndarray
) -> None:
    exported = ExportedCycle(tiny_network(0, config), stages, False)
    network = to_onnx(exported, {})
    for pixels in (photograph[:96, :128], photograph[:40, :88]):
        given = {"picture": as_tensor(pixels)}
        if config.light:
            given["view"] = view_of(pixels, torch.device("cpu")).small.numpy()
            given["place"] = np.float32([0, 0, *pixels.shape[:2]])
        (found,) = run(network, ["restored"], **given)
        wanted = restored(config, pixels, stages=stages)
        assert np.abs(255 * found[0].transpose(1, 2, 0) - wanted).max() <= 1
        if stages != 1 or config.light:
            assert np.abs(wanted.astype(int) - pixels).max() > 3


@with_runtime
def test_holes_alone_are_changed(photograph: np.ndarray) -> None:
    pixels, mask = photograph[:96, :128], np.zeros((1, 1, 96, 128), np.float32)
    mask[..., 20:40, 30:70] = 1
    network = to_onnx(ExportedCycle(tiny_network(0, FILLING), 0, False), {})
    (found,) = run(network, ["restored"], picture=as_tensor(pixels), mask=mask)
    changed = np.abs(found - as_tensor(pixels)).max(axis=1) > 1e-6
    assert changed.any()
    assert (mask[0, 0][changed[0]] == 1).all()


@with_runtime
def test_each_stage_can_be_looked_at(photograph: np.ndarray) -> None:
    pixels = photograph[:96, :128]
    exported = ExportedCycle(tiny_network(), 3, True)
    given = {"picture": as_tensor(pixels)}
    found = run(to_onnx(exported, {}), ["rough", "normal", "restored"], **given)
    for stage, one in enumerate(found, 1):
        wanted = restored(TINY, pixels, stages=stage)
        assert np.abs(255 * one[0].transpose(1, 2, 0) - wanted).max() <= 1


@pytest.fixture
def dark_weights(tmp_path: Path) -> Path:
    path = tmp_path / "dark.safetensors"
    header = Header("compact", DARK.to_json(), ("low-light",), "CC0-1.0", "random numbers", "2026-01-01", {})
    write_weights(path, tiny_network(0, DARK).state_dict(), header)
    return path


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@with_runtime
def test_the_script_in_the_documentation_restores_a_picture(
    dark_weights: Path, tmp_path: Path, photograph: np.ndarray
) -> None:
    large = np.kron(photograph, np.ones((4, 4, 1), np.uint8))[:333, :500]
    Image.fromarray(large).save(tmp_path / "night.png")
    status, out, _ = call(
        "export", "--task", "Low_Light", "--weights", dark_weights, "-o", tmp_path / "dark.onnx"
    )
    assert (status, out) == (0, f"{tmp_path / 'dark.onnx'}\n")
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    files = [tmp_path / name for name in ("dark.onnx", "night.png", "bright.png")]
    subprocess.run([sys.executable, "-c", script, *map(str, files)], check=True)
    found = np.asarray(Image.open(files[2])).astype(int)
    assert np.abs(found - restored(DARK, large)).max() <= 2  # the view is shrunk by another library


@with_runtime
def test_a_file_says_what_it_is(dark_weights: Path, tmp_path: Path) -> None:
    import onnx

    target = tmp_path / "dark.onnx"
    assert call("export", "--task", "low-light", "--weights", dark_weights, "-o", target)[0] == 0
    model = onnx.load(io.BytesIO(target.read_bytes()))
    facts = {one.key: one.value for one in model.metadata_props}
    assert (facts["task"], facts["multiple"], facts["licence"]) == ("low-light", "8", "CC0-1.0")
    assert len(facts["weights_sha256"]) == 64
    assert [one.version for one in model.opset_import if not one.domain] == [OPSET]
    assert [one.name for one in model.graph.input] == ["picture", "view", "place"]
    assert f"opset {OPSET}" in PAGE.read_text(encoding="utf-8")


def test_without_the_package_one_line_says_how_to_get_it(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cyclerdm_cli.exporting.onnx_file.find_spec", lambda name: None)
    status, out, err = call(
        "export", "--task", "derain", "--weights", tiny_weights, "-o", tmp_path / "a.onnx"
    )
    assert (status, out) == (2, "")
    assert "pip install 'cyclerdm[onnx]'" in err
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.pt", "ends in .onnx"), ("there.onnx", "exists already"), ("tiny.onnx", "is the input")],
)
def test_a_wrong_target_is_refused(tmp_path: Path, tiny_weights: Path, name: str, said: str) -> None:
    (tmp_path / "there.onnx").write_text("mine")
    weights = tmp_path / "tiny.onnx"
    weights.write_bytes(tiny_weights.read_bytes())
    status, _, err = call("export", "--task", "derain", "--weights", weights, "-o", tmp_path / name)
    assert status == 2
    assert said in err
    assert (tmp_path / "there.onnx").read_text() == "mine"
    assert weights.read_bytes() == tiny_weights.read_bytes()


@with_runtime
def test_a_task_that_the_weights_lack_is_refused(tmp_path: Path, dark_weights: Path) -> None:
    status, _, err = call("export", "--task", "derain", "--weights", dark_weights, "-o", tmp_path / "a.onnx")
    assert status == 2
    assert "no weights for derain" in err
