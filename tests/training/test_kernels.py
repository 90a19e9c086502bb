"""Kernels are learned from what blurred the scenes, by the tasks that are blurs alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import LOOKING, tiny_network

from cyclerdm_cli.cycle.blur import (
    ATTEMPTS,
    CLUES,
    HALFWAY,
    SIDE,
    Blur,
    KernelReader,
    attempts,
    clues,
    find_blur,
    framed,
    sharp,
)
from cyclerdm_cli.tasks.camera import convolve
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.tasks.deblur import degrade, kernels_of
from cyclerdm_cli.tasks.light import to_linear, to_srgb
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.data import BatchSource, pictures_in, read_photographs
from cyclerdm_cli.training.kernels import KernelMemory, kernel_error, learned_blur, left
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


def drawn_kernels(reach: float, count: int = 6) -> torch.Tensor:
    return framed(kernels_of(torch.full((count,), reach), 17, torch.Generator().manual_seed(2)))


def test_the_kernel_of_a_degradation_is_what_blurred_the_picture() -> None:
    clean = torch.nn.functional.interpolate(torch.rand(12, 3, 8, 8), scale_factor=8, mode="bilinear")
    clean = clean * 0.7  # below what highlights gain
    lq, _, kernel = degrade(clean, torch.full((12,), 0.35), torch.Generator().manual_seed(4))
    assert kernel is not None
    known = kernel.sum((1, 2)) > 0
    assert 6 <= int(known.sum()) < 12  # of the others only the subject is blurred
    torch.testing.assert_close(kernel[known].sum((1, 2)), torch.ones(int(known.sum())))
    again = [convolve(light, kernel.flip(1, 2)) for light in (clean, to_linear(clean))]
    nearest = torch.stack([(one - lq).abs().mean((1, 2, 3)) for one in (again[0], to_srgb(again[1]))]).amin(0)
    assert float(nearest[known].amax()) < 0.012  # noise, rounding and JPEG


def test_a_kernel_that_is_right_leaves_no_error_and_none_at_all_leaves_all_of_it() -> None:
    true = drawn_kernels(9)
    assert float(kernel_error(true, true)) < 0.01
    moved = torch.roll(true, 3, 1)
    assert float(kernel_error(moved, true)) < 0.02
    assert 0.8 < float(kernel_error(sharp(6, CPU), true)) <= 1
    assert float(kernel_error(drawn_kernels(5), torch.zeros_like(true))) == 0


def test_what_is_left_is_bounded_and_least_where_the_kernel_is_right() -> None:
    clean = torch.nn.functional.interpolate(torch.rand(4, 3, 16, 16), size=(128, 128), mode="nearest")
    true = kernels_of(torch.full((4,), 8.0), 9, torch.Generator().manual_seed(1))
    lq = convolve(clean**HALFWAY, true.flip(1, 2)).clamp(0, 1) ** (1 / HALFWAY)
    calm = torch.zeros(4, 2)

    def after(kernel: torch.Tensor, caution: torch.Tensor) -> float:
        return float(left(attempts(lq, Blur(kernel, caution, torch.ones(4, 1)))[:, :3], lq, clean))

    right, none = after(framed(true), calm), after(sharp(4, CPU), calm)
    wild = after(drawn_kernels(16, 4), calm - 3)
    assert right < 0.8 < none < 1.1 < wild < 2


def test_patches_are_cut_from_scenes_whose_blur_is_undone(folder: Path) -> None:
    network = tiny_network(config=LOOKING)
    drawn = source(folder, ("deblur", "derain"))
    batches = (drawn.draw(iteration, 0.0) for iteration in range(20))
    batch = next(one for one in batches if len(one.mixture.unique(dim=0)) == 2)
    assert torch.equal(batch.patches_of(batch.scene), batch.degraded)
    assert torch.equal(batch.patches_of(batch.clean_scene), batch.clean)
    begun, error = learned_blur(network, batch)
    assert begun is not None
    sharper = begun.attempts
    assert float(error.detach()) > 0
    assert not sharper.requires_grad
    assert network.reader is not None
    turn = int(batch.mixture[:, LOOKING.tasks.index("deblur")].argmax())
    scenes, patches = batch.scene.chunk(2)[turn], sharper.chunk(2)[turn]
    (top, left_), *_ = batch.corners[turn].tolist()

    def cut(blur: Blur) -> torch.Tensor:
        return attempts(scenes, blur)[:, :, top : top + 32, left_ : left_ + 32]

    torch.testing.assert_close(patches[: len(scenes)], cut(network.reader(*clues(scenes[:, None]))).detach())
    with torch.no_grad():  # the reader rests: it is asked as when restoring
        resting = learned_blur(network, batch)[0]
        assert resting is not None
        expected = cut(find_blur(network.reader, scenes[:, None]))
        torch.testing.assert_close(resting.attempts.chunk(2)[turn][: len(scenes)], expected)
    untouched = batch.degraded.chunk(2)[1 - turn].repeat(1, len(ATTEMPTS), 1, 1)
    assert torch.equal(sharper.chunk(2)[1 - turn], untouched)
    assert bool(begun.known.chunk(2)[turn].any())
    assert not bool(begun.known.chunk(2)[1 - turn].any())
    assert not bool(batch.kernel.chunk(2)[1 - turn].any())


def test_without_a_blur_in_the_batch_nothing_is_looked_for(folder: Path) -> None:
    batch = source(folder, ("derain",)).draw(0, 0.0)
    begun, error = learned_blur(tiny_network(config=LOOKING), batch)
    assert begun is None
    assert float(error) == 0
    assert learned_blur(tiny_network(), source(folder, ("deblur",)).draw(0, 0.0))[0] is None


def test_kernels_come_first_and_move_nothing_else(folder: Path, tmp_path: Path) -> None:
    assert [draw_stage(CONFIG, share, 0) for share in (0.0, 0.49, 0.5)] == [0, 0, 1]
    config = replace(CONFIG, kernels_first=1.0, warm_up=1)
    network = tiny_network(config=LOOKING).requires_grad_(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    values = train(network, source(folder, ("deblur",), config), config, tmp_path, objective=Objective())
    moved = {name for name, value in values.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith(("reader.", "blend.")) for name in moved)


def test_stage_1_teaches_what_blends_the_attempts(folder: Path) -> None:
    network = tiny_network(config=LOOKING).requires_grad_(True)
    weights = replace(CONFIG.weights, kernel=0.0)
    batch = source(folder, ("deblur",)).draw(0, 0.0)
    Objective(weights)(network, batch, 1).backward()  # type: ignore[no-untyped-call]
    assert network.blend is not None
    assert network.reader is not None
    assert network.blend.last.weight.grad is not None
    assert float(network.blend.last.weight.grad.abs().max()) > 0
    assert all(one.grad is None for one in network.reader.parameters())


def test_scenes_are_remembered_where_their_kernels_are_known_the_newest_last() -> None:
    memory = KernelMemory(room=5)
    assert float(memory.error(KernelReader(), 2)) == 0
    for number in range(3):
        kernels = drawn_kernels(9, 3)
        kernels[1] = 0
        memory.keep(torch.full((3, CLUES, SIDE, SIDE), float(number)), torch.zeros(3, 1), kernels)
    assert (memory.count, len(memory)) == (6, 5)
    assert memory.maps[:, 0, 0, 0].tolist() == [2, 0, 1, 1, 2]
    assert bool((memory.kernel.sum((1, 2)) > 0.9).all())
    error = memory.error(KernelReader(), 8)
    assert error.requires_grad
    assert 0 < float(error.detach()) <= 2


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
