"""Kernels have a phase of their own, which moves nothing else, and learn from scenes more than once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, tiny_network

from cyclerdm_cli.cycle.compact import CompactConfig
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.training.batches import BatchSource
from cyclerdm_cli.training.configuration import KERNELS, Phase, TrainingConfig
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.photographs import Photographs, pictures_in, read_photographs
from cyclerdm_cli.training.trainer import train

CPU = torch.device("cpu")
SHARPENED = replace(TINY, task="deblur", deblurs=True)
PHASE = Phase(stages=(KERNELS,), scenes=2, scene=64, patch=32, warm_up=1)
CONFIG = TrainingConfig(
    "deblur", iterations=2, precision="fp32", clean_share=0, smooth_share=0, phases=(PHASE,)
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    place: Path = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        rough = np.random.default_rng(number).integers(60, 250, (20, 22, 3), np.uint8)
        Image.fromarray(rough).resize((176, 160), Image.Resampling.NEAREST).save(place / f"{number}.png")
    return read_photographs(pictures_in(place), 64, CPU)


def source(photographs: Photographs, task: str = "deblur", config: TrainingConfig = CONFIG) -> BatchSource:
    return BatchSource(find_task(task), config, photographs)


def trained(
    photographs: Photographs, folder: Path, config: TrainingConfig, network: CompactConfig = SHARPENED
) -> set[str]:
    """Return the names of what was moved."""
    learning = tiny_network(config=network).requires_grad_(True)
    before = {name: value.clone() for name, value in learning.state_dict().items()}
    values = train(learning, source(photographs, config=config), config, folder)
    return {name for name, value in values.items() if not torch.equal(value, before[name])}


def test_scenes_come_with_what_blurred_them(photographs: Photographs) -> None:
    blurred = [source(photographs).draw(iteration, PHASE) for iteration in range(10)]
    kernels = torch.cat([batch.kernel for batch in blurred])
    known = kernels.sum((1, 2)) > 0
    assert bool(known.any())
    torch.testing.assert_close(kernels[known].sum((1, 2)), torch.ones(int(known.sum())))
    assert not bool(source(photographs, "derain").draw(0, PHASE).kernel.any())


def test_a_clean_scene_has_a_sharp_kernel(photographs: Photographs) -> None:
    config = replace(CONFIG, clean_share=0.97)
    batch = source(photographs, config=config).draw(1, replace(PHASE, scenes=8))
    clean = (batch.scene == batch.clean_scene).flatten(1).all(1)
    assert int(clean.sum()) >= 6
    middle = batch.kernel.shape[-1] // 2
    assert bool((batch.kernel[clean][:, middle, middle] == 1).all())


def test_a_phase_of_kernels_moves_the_reader_alone(photographs: Photographs, tmp_path: Path) -> None:
    moved = trained(photographs, tmp_path, CONFIG)
    assert moved
    assert all(name.startswith("reader.") for name in moved)


def test_other_phases_leave_the_reader_as_it_is(photographs: Photographs, tmp_path: Path) -> None:
    config = replace(CONFIG, weight_decay=0.5, phases=(replace(PHASE, stages=(2, 3)),))
    moved = trained(photographs, tmp_path, config)
    assert moved
    assert not [name for name in moved if name.startswith("reader.")]


def test_kernels_are_learned_once_more_from_what_was_seen(photographs: Photographs, tmp_path: Path) -> None:
    def steps(repeats: int) -> int:
        config = replace(CONFIG, phases=(replace(PHASE, batch_repeats=repeats),))
        trained(photographs, tmp_path, config)
        _, adam = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["optimizer"]
        return max(int(one["step"]) for one in adam["state"].values())

    assert [steps(repeats) for repeats in (0, 3)] == [2, 8]


def test_a_network_that_does_not_deblur_has_no_kernels_to_learn(photographs: Photographs) -> None:
    network, batch = tiny_network(), source(photographs).draw(0, PHASE)
    assert float(Objective(CONFIG)(network, batch, (KERNELS, 2))) == float(
        Objective(CONFIG)(network, batch, (2,))
    )
