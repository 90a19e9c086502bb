"""A tiny CLIP of random numbers, made by open_clip's own class, as a file of weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cyclerdm_cli.training import recogniser as training
from cyclerdm_cli.training.recogniser import Memory, Recogniser, RecogniserConfig
from cyclerdm_cli.training.sightings import Sightings
from cyclerdm_cli.words.windows import SIDE
from cyclerdm_cli.words.wordings import NAMES


@pytest.fixture(scope="session")
def tiny_recogniser() -> Recogniser:
    """Return a recogniser of random numbers that has seen noise for pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(training.VISION, "width", 32)
        patch.setitem(training.VISION, "layers", 2)
        made = Recogniser(RecogniserConfig(iterations=1, precision="fp32"), torch.device("cpu"))
        memory = Memory(400)
        generator = torch.Generator().manual_seed(0)
        memory.keep(
            Sightings(
                torch.randn((32, 3, SIDE, SIDE), generator=generator),
                torch.eye(len(NAMES))[torch.arange(32) % 11],
            )
        )
        made.scale = memory.scale()
        made.model.eval()
        return made


@pytest.fixture(scope="session")
def tiny_clip(tiny_recogniser: Recogniser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of it."""
    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(training.VISION, "width", 32)
        patch.setitem(training.VISION, "layers", 2)
        tiny_recogniser.write(path, "Apache-2.0", "none: random numbers")
    return path
