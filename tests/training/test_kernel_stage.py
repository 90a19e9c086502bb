"""Kernels have a stage of their own, before all others, and learn from scenes more than once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import LOOKING, tiny_network

from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.data import BatchSource, pictures_in, read_photographs
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.trainer import draw_stage, train

CPU = torch.device("cpu")
CONFIG = TrainingConfig(
    tasks=LOOKING.tasks, iterations=4, scenes=4, scene=64, patches=(32,), tasks_per_batch=2, precision="fp32",
    kernels_first=0.5, mixture_share=0, clean_share=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        rough = np.random.default_rng(number).integers(60, 250, (20, 22, 3), np.uint8)
        Image.fromarray(rough).resize((176, 160), Image.Resampling.NEAREST).save(place / f"{number}.png")
    return place


def source(folder: Path, names: tuple[str, ...], config: TrainingConfig = CONFIG) -> BatchSource:
    photographs = read_photographs(pictures_in(folder), 64, CPU)
    return BatchSource(tuple(map(find_task, names)), config, photographs, known=LOOKING.tasks)


def test_scenes_come_with_what_blurred_them_and_patches_are_cut_from_them(folder: Path) -> None:
    drawn = source(folder, ("deblur", "derain"))
    batches = (drawn.draw(iteration, 0.0) for iteration in range(20))
    batch = next(one for one in batches if len(one.mixture.unique(dim=0)) == 2)
    assert torch.equal(batch.patches_of(batch.scene), batch.degraded)
    assert torch.equal(batch.patches_of(batch.clean_scene), batch.clean)
    turn = int(batch.mixture[:, LOOKING.tasks.index("deblur")].argmax())
    assert bool(batch.kernel.chunk(2)[turn].any())
    assert not bool(batch.kernel.chunk(2)[1 - turn].any())


def test_kernels_come_first_and_move_nothing_else(folder: Path, tmp_path: Path) -> None:
    assert [draw_stage(CONFIG, share, 0) for share in (0.0, 0.49, 0.5)] == [0, 0, 1]
    config = replace(CONFIG, kernels_first=1.0, warm_up=1)
    network = tiny_network(config=LOOKING).requires_grad_(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    values = train(network, source(folder, ("deblur",), config), config, tmp_path, objective=Objective())
    moved = {name for name, value in values.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("reader.") for name in moved)


def test_kernels_are_learned_once_more_from_what_was_seen(folder: Path, tmp_path: Path) -> None:
    def steps(repeats: int) -> int:
        config = replace(CONFIG, iterations=2, kernels_first=1.0, kernel_repeats=repeats)
        network = tiny_network(config=LOOKING).requires_grad_(True)
        train(network, source(folder, ("deblur",), config), config, tmp_path)
        state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["optimizer"]["state"]
        return max(int(one["step"]) for one in state.values())

    assert [steps(repeats) for repeats in (0, 3)] == [2, 8]


def test_a_reader_that_rests_does_not_move(folder: Path, tmp_path: Path) -> None:
    weights = replace(CONFIG.weights, kernel=0.0)
    config = replace(CONFIG, kernels_first=1.0, weights=weights, warm_up=1, weight_decay=0.5)
    network = tiny_network(config=LOOKING).requires_grad_(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    values = train(network, source(folder, ("deblur",), config), config, tmp_path)
    assert all(
        torch.equal(value, before[name]) for name, value in values.items() if name.startswith("reader.")
    )
