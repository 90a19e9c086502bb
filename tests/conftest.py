"""What several tests share: a tiny network with real weights on disk, and pictures to work on."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, tiny_network, write_tiny

from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.weights.file import Header, write_weights

if TYPE_CHECKING:
    from cyclerdm_cli.recognising.recogniser import Recogniser

# Where a script runs the tests in its background, they begin with Ctrl-C ignored, as would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(min(2, int(os.environ.get("OMP_NUM_THREADS", "2"))))


@pytest.fixture(autouse=True)
def _no_defaults_of_somebody(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep from the tests what the person who runs them has written into a cyclerdm.toml."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of weights of a tiny network that says it knows all tasks."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    header = Header(
        architecture="compact",
        config=TINY.to_json(),
        tasks=tuple(task.name for task in TASKS),
        licence="Apache-2.0",
        training_data="none: random numbers",
        created="2026-01-01",
        training={},
    )
    write_weights(path, tiny_network().state_dict(), header)
    return path


@pytest.fixture
def families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have two families in the registry, and return the folder of their files, each called after its entry.

    `small`, the default, has derain, dehaze and all other tasks in three files; `other` has the first two alone.
    """
    from cyclerdm_cli.weights.publishing import as_toml, describe

    monkeypatch.setenv("CYCLERDM_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "weights"
    tasks = {
        "small": tuple(task.name for task in TASKS), "small-derain": ("derain",), "small-dehaze": ("dehaze",),
        "other-derain": ("derain",), "other-dehaze": ("dehaze",),
    }  # fmt: skip
    entries = ['default = "small"']
    for seed, (name, known) in enumerate(tasks.items()):
        path = folder / f"{name}.safetensors"
        write_tiny(path, seed, known)
        entries.append(as_toml(describe(path, name, precisions=("fp32", "bf16"))))
    (tmp_path / "families.toml").write_text("\n".join(entries))
    monkeypatch.setenv("CYCLERDM_WEIGHTS", str(tmp_path / "families.toml"))
    return folder


@pytest.fixture
def small_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program take 260 MB of memory, whatever this process has done before."""
    monkeypatch.setattr("cyclerdm_cli.restoring.memory.process_peak", lambda: 260_000_000)


@pytest.fixture
def photograph() -> np.ndarray:
    """Return a smooth picture with an edge and some texture, (97, 131, 3) uint8."""
    rows, columns = np.mgrid[:97, :131]
    waves = 110 + 60 * np.sin(rows / 17)[..., None] * np.cos(columns / 23)[..., None] * np.array(
        [1, 0.8, 0.6]
    )
    waves[30:60, 40:90] += 50
    return np.clip(waves + np.random.default_rng(0).normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def photograph_file(tmp_path: Path, photograph: np.ndarray) -> Path:
    """Return a PNG file of `photograph`."""
    path = tmp_path / "photo.png"
    Image.fromarray(photograph).save(path)
    return path


@pytest.fixture(scope="session")
def tiny_recogniser() -> Recogniser:
    """Return a recogniser of random numbers, of open_clip's own classes, that has seen noise for pictures."""
    if find_spec("open_clip") is None:
        pytest.skip("open_clip is not installed")
    from cyclerdm_cli.recognising import recogniser as training
    from cyclerdm_cli.recognising.sightings import Sightings
    from cyclerdm_cli.words.windows import SIDE
    from cyclerdm_cli.words.wordings import NAMES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(training.VISION, "width", 32)
        patch.setitem(training.VISION, "layers", 2)
        made = training.Recogniser(
            training.RecogniserConfig(iterations=1, precision="fp32"), torch.device("cpu")
        )
        memory = training.Memory(400)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((32, 3, SIDE, SIDE), generator=generator)
        memory.keep(
            Sightings(noise, torch.eye(len(NAMES))[torch.arange(32) % len(NAMES)], torch.empty(32, 0))
        )
        made.scale = memory.scale()
        made.model.eval()
        return made


@pytest.fixture(scope="session")
def tiny_clip(tiny_recogniser: Recogniser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of it."""
    from cyclerdm_cli.recognising import recogniser as training

    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(training.VISION, "width", 32)
        patch.setitem(training.VISION, "layers", 2)
        tiny_recogniser.write(path, "Apache-2.0", "none: random numbers")
    return path
