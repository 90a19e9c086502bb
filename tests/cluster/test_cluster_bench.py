"""`bench --cluster`: the numbers of the plain command, from pictures restored by a pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("ray", reason="needs the extra cluster")

from cyclerdm_cli.app import app


def test_the_numbers_are_those_of_the_plain_command(
    address: str, tiny_weights: Path, photograph: np.ndarray, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    for side, noise in (("lq", 20), ("gt", 0)):
        (tmp_path / side).mkdir()
        for number in range(6):
            values = np.roll(photograph, 9 * number, 1) + draw.normal(0, noise, photograph.shape)
            Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(tmp_path / side / f"{number}.png")
    (tmp_path / "lq" / "3.png").write_bytes(b"no picture")
    words = [
        "bench", "--lq", str(tmp_path / "lq"), "--gt", str(tmp_path / "gt"), "--task", "denoise",
        "--metrics", "psnr", "--weights", str(tiny_weights), "--stages", "2", "--stages", "3",
        "--device", "cpu", "--precision", "fp32",
    ]  # fmt: skip

    def measured(name: str, *more: str) -> list[dict[str, Any]]:
        result = CliRunner().invoke(app, [*words, "--json", str(tmp_path / name), *more])
        assert result.exit_code == 3, result.stderr
        assert "3.png" in result.stderr
        found: list[dict[str, Any]] = json.loads((tmp_path / name).read_text())["results"]
        return found

    plain = measured("plain.json")
    spread = measured("spread.json", "--cluster", address, "--report", str(tmp_path / "r.html"))
    assert len(plain) == len(spread) == 2
    for one, other in zip(plain, spread, strict=True):
        assert one["images"] == other["images"] == 5
        assert (one["input"], one["output"]) == (other["input"], other["output"])
        assert other["seconds"] > 0
    assert plain[0]["output"] != plain[1]["output"]
    assert (tmp_path / "r.html").stat().st_size > 10_000
