"""The optimiser: what a task does not own, it does not move."""

from __future__ import annotations

import copy

import torch
from tiny import TINY
from torch import nn

from cyclerdm_cli.cycle.compact import CompactNetwork, TaskConvolution
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.optimizer import TaskwiseAdam

TASKS = len(TINY.tasks)


def stepped(present: list[bool], steps: int = 1, **recipe: float) -> tuple[CompactNetwork, CompactNetwork]:
    """Return a network before and after steps along random gradients."""
    torch.manual_seed(0)
    network = CompactNetwork(TINY)
    before = copy.deepcopy(network)
    optimizer = TaskwiseAdam(network, TrainingConfig(TINY.tasks, 1, **recipe))  # type: ignore[arg-type]
    for _ in range(steps):
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step(1e-2, present)
    return before, network


def moved_tasks(before: CompactNetwork, after: CompactNetwork) -> set[tuple[bool, ...]]:
    """Return, for each of the networks' own parts, of which tasks it moved."""
    owners = [(before.task_table, after.task_table), *zip(before.modules(), after.modules(), strict=True)]
    return {
        tuple(
            not torch.equal(a, b)
            for a, b in zip(old.weight.chunk(TASKS), new.weight.chunk(TASKS), strict=True)
        )
        for old, new in owners
        if isinstance(old, TaskConvolution | nn.Embedding) and len(old.weight) >= TASKS
    }


def test_a_task_that_is_not_in_the_batch_keeps_every_bit_of_its_own() -> None:
    present = [number in (2, 5) for number in range(TASKS)]
    assert moved_tasks(*stepped(present, steps=3)) == {tuple(present)}


def test_what_is_learned_for_the_first_time_has_a_warm_up_of_its_own() -> None:
    """However late in the run: the first steps are shorter than the learning rate, later ones as long as it."""
    torch.manual_seed(0)
    network = CompactNetwork(TINY)
    optimizer = TaskwiseAdam(network, TrainingConfig(TINY.tasks, 1, weight_decay=0.0))
    moved = []
    for number in range(500):
        old = network.tails[1].weight.detach().clone()
        for name, parameter in network.named_parameters():
            there = number >= 100 or not name.startswith("tails.1")
            parameter.grad = torch.full_like(parameter, 0.01) if there else None
        optimizer.step(1e-2, [True] * TASKS)
        moved.append(float((network.tails[1].weight - old).detach().abs().max()))
    assert max(moved[:100]) == 0
    assert 0 < max(moved[100:105]) < 2e-4
    assert 9e-3 < moved[-1] < 1.1e-2


def test_what_all_tasks_share_moves_at_its_own_pace() -> None:
    moved = []
    for pace in (1.0, 0.25, 0.0):
        before, after = stepped([True] * TASKS, steps=20, shared_pace=pace, weight_decay=0.0)
        moved.append((after.stage_table.weight - before.stage_table.weight).detach())
    torch.testing.assert_close(moved[1], moved[0] / 4, atol=1e-6, rtol=1e-4)
    assert moved[0].abs().min() > 0
    assert not moved[2].any()


def test_a_checkpoint_brings_back_the_averages() -> None:
    torch.manual_seed(0)
    networks = [CompactNetwork(TINY) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    config = TrainingConfig(TINY.tasks, 1)
    gradients = [[torch.randn_like(value) for value in networks[0].parameters()] for _ in range(3)]
    present = [[True] * TASKS, [False, True] + [False] * (TASKS - 2), [True] * TASKS]

    def step(network: CompactNetwork, optimizer: TaskwiseAdam, number: int) -> None:
        for parameter, gradient in zip(network.parameters(), gradients[number], strict=True):
            parameter.grad = gradient.clone()
        optimizer.step(1e-2, present[number])

    whole = TaskwiseAdam(networks[0], config)
    for number in range(3):
        step(networks[0], whole, number)
    first = TaskwiseAdam(networks[1], config)
    for number in range(2):
        step(networks[1], first, number)
    second = TaskwiseAdam(networks[1], config)
    second.load_state_dict(first.state_dict())
    step(networks[1], second, 2)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)
