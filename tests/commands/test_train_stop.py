"""Trainings and signals: the first ends them in good order, the second at once, whatever is trained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.training.trainer import Learner

HANGING = {
    "compact": "training.trainer.Learner.learn",
    "prompts": "recognising.recogniser.handfuls_of",
    "verdict": "recognising.verdict.handfuls_of",
}
"""What each training spends its time in."""
PROGRAM = """
import sys, time
from pathlib import Path
from unittest.mock import patch
from cyclerdm_cli.app import main

ready = Path(sys.argv.pop())

def hang(*_, **__):
    ready.touch()
    time.sleep(100)

with patch("cyclerdm_cli.{place}", hang):
    main()
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    waves = np.sin(np.mgrid[:400, :410][0] / 9)[..., None] + np.arange(3)
    for number in range(2):
        Image.fromarray((100 + 30 * waves + number).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("model", HANGING)
def test_the_second_signal_ends_a_training_at_once(model: str, photographs: Path, tmp_path: Path) -> None:
    out, ready = tmp_path / "run", tmp_path / "ready"
    words = ["train", "--model", model, "--data", photographs, "--out", out, "--iterations", "9"]
    words += ["--device", "cpu"] if model == "verdict" else ["--device", "cpu", "--precision", "fp32"]
    words += ["--task", "denoise", "--validations", "0"] if model == "compact" else []
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(place=HANGING[model]), *map(str, words), str(ready)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 240
    while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    assert process.poll() is None, "the first signal waits for the step to end"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "once more ends at once" in said
    assert "--resume" in said


def test_the_first_signal_ends_a_training_in_good_order(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, out = Learner.learn, tmp_path / "run"

    def interrupted(learner: Learner, *given: Any) -> Any:
        if learner.progress.iteration == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return learn(learner, *given)

    monkeypatch.setattr(Learner, "learn", interrupted)
    before = signal.getsignal(signal.SIGINT)
    words = ["train", "--task", "denoise", "--data", str(photographs), "--out", str(out), "--iterations", "9",
             "--scene", "32", "--patch", "32", "--scenes", "1", "--validations", "0", "--device", "cpu",
             "--precision", "fp32"]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 130, result.output
    assert f"stopped; the same command with --resume goes on in {out}" in result.stderr
    assert {"checkpoint.pt", "weights.safetensors"} <= {path.name for path in out.iterdir()}
    assert signal.getsignal(signal.SIGINT) is before
