"""The compact network: each task's own convolutions, and what they share."""

from __future__ import annotations

import pytest
import torch
from cyclerdm_cli.cycle.blur import SIDE, Blur
from tiny import LOOKING, TINY, tiny_network
from torch.nn import functional as F

from cyclerdm_cli.cycle.compact import CompactNetwork, CompactStages, TaskConvolution, thumbnail_of
from cyclerdm_cli.cycle.cycle import Whole, cycle

TASKS = 3


@pytest.fixture
def convolution() -> TaskConvolution:
    torch.manual_seed(0)
    made = TaskConvolution(TASKS, 4, 5, bias=True)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return made


def own(convolution: TaskConvolution, task: int, pictures: torch.Tensor) -> torch.Tensor:
    assert convolution.bias is not None
    return F.conv2d(pictures, convolution.weight[5 * task : 5 * task + 5], convolution.bias[task], padding=1)


def test_each_turn_goes_through_the_convolution_of_its_task(convolution: TaskConvolution) -> None:
    pictures = torch.randn(4, 4, 9, 7)
    mixture = torch.eye(TASKS)[[2, 0]]  # two pictures of the third task, then two of the first
    made = convolution(pictures, mixture)
    expected = torch.cat([own(convolution, 2, pictures[:2]), own(convolution, 0, pictures[2:])])
    torch.testing.assert_close(made, expected)


def test_a_mixture_blends_the_convolutions(convolution: TaskConvolution) -> None:
    pictures = torch.randn(2, 4, 6, 6)
    made = convolution(pictures, torch.tensor([[0.25, 0.0, 0.75]]))
    expected = 0.25 * own(convolution, 0, pictures) + 0.75 * own(convolution, 2, pictures)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


def test_all_tasks_begin_with_the_same_convolution() -> None:
    weight = TaskConvolution(TASKS, 4, 5).weight.view(TASKS, 5, 4, 3, 3)
    assert torch.equal(weight[0], weight[1])
    assert torch.equal(weight[0], weight[2])


def test_learning_one_task_leaves_what_the_others_own() -> None:
    network = CompactNetwork(TINY).train()
    degraded = torch.rand(1, 3, 32, 32)
    stages = network.bind(
        TINY.tasks[1],
        Whole(thumbnail_of(degraded), torch.zeros(1, 0)),
        torch.zeros(1, 1, 32, 32),
        1,
        torch.Generator(),
    )
    cycle(stages, degraded).restored.square().mean().backward()
    moved = [
        [bool(part.any()) for part in module.weight.grad.chunk(len(TINY.tasks))]
        for module in network.modules()
        if isinstance(module, TaskConvolution) and module.weight.grad is not None
    ]
    assert any(row[1] for row in moved)
    assert not any(any(row[:1] + row[2:]) for row in moved)


def test_pictures_of_two_tasks_in_one_batch_come_out_as_each_alone() -> None:
    network = tiny_network()
    degraded = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    centre = degraded.mean((2, 3), keepdim=True)
    mixture, mask, time = torch.eye(len(TINY.tasks))[[0, 4]], torch.zeros(2, 1, 32, 32), torch.ones(2)

    def restored(row: slice) -> torch.Tensor:
        condition = network.condition(mixture[row], thumbnail_of(degraded[row]), 1, time[row])
        result: torch.Tensor = network(
            1, degraded[row], degraded[row], mask[row], mixture[row], condition, centre[row]
        )
        return result

    alone = torch.cat([restored(slice(0, 1)), restored(slice(1, 2))])
    torch.testing.assert_close(restored(slice(0, 2)), alone, atol=1e-5, rtol=1e-5)


def test_only_the_tasks_that_are_blurs_look_for_kernels() -> None:
    network = tiny_network(config=LOOKING)
    picture = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    thumbnail, mask = thumbnail_of(picture), torch.zeros(2, 1, 64, 64)
    nothing = network.look("derain", thumbnail, picture[:, None])
    assert nothing.findings.shape == (2, 0)
    found = network.look("deblur", thumbnail, picture[:, None])
    assert found.findings.shape == (2, SIDE**2 + 3)

    def started(task: str, whole: Whole) -> torch.Tensor:
        stages = network.bind(task, whole, mask, 1, torch.Generator())
        assert isinstance(stages, CompactStages)
        return stages.start(1, picture)

    assert torch.equal(started("derain", nothing), picture)
    undone = network.deblurred(picture, Blur.unpacked(found.findings)).clamp(0, 1)
    torch.testing.assert_close(started("deblur", found), undone)
    assert float((undone - picture).abs().max()) > 0.001
    half = network.look("deblur+derain", thumbnail, picture[:, None])
    torch.testing.assert_close(started("deblur+derain", half), (undone + picture) / 2)
