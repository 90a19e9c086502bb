"""The optimiser: what a task does not own, it does not move."""

from __future__ import annotations

import copy

import torch
from tiny import TINY
from torch import nn

from cyclerdm_cli.cycle.compact import CompactNetwork, TaskConvolution
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.optimizer import TaskwiseAdamW

TASKS = len(TINY.tasks)


def stepped(present: list[bool], steps: int = 1, **recipe: float) -> tuple[CompactNetwork, CompactNetwork]:
    """Return a network before and after steps along random gradients."""
    torch.manual_seed(0)
    network = CompactNetwork(TINY)
    before = copy.deepcopy(network)
    optimizer = TaskwiseAdamW(network, TrainingConfig(TINY.tasks, 1, **recipe))  # type: ignore[arg-type]
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


def test_a_task_learned_for_the_first_time_moves_by_the_learning_rate() -> None:
    before, after = stepped([True] + [False] * (TASKS - 1), weight_decay=0.0)
    old, new = (network.tails[0].weight.chunk(TASKS)[0] for network in (before, after))
    torch.testing.assert_close((new - old).abs(), torch.full_like(old, 1e-2), atol=1e-4, rtol=0)


def test_what_all_tasks_share_moves_at_its_own_pace() -> None:
    before, after = stepped([True] * TASKS, shared_pace=0.25, weight_decay=0.0)
    old, new = (network.stage_table.weight for network in (before, after))
    torch.testing.assert_close((new - old).abs(), torch.full_like(old, 2.5e-3), atol=1e-4, rtol=0)
    before, after = stepped([True] * TASKS, shared_pace=0.0)
    assert torch.equal(before.stage_table.weight, after.stage_table.weight)


def test_a_checkpoint_brings_back_the_averages() -> None:
    torch.manual_seed(0)
    networks = [CompactNetwork(TINY) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    config = TrainingConfig(TINY.tasks, 1)
    gradients = [[torch.randn_like(value) for value in networks[0].parameters()] for _ in range(3)]
    present = [[True] * TASKS, [False, True] + [False] * (TASKS - 2), [True] * TASKS]

    def step(network: CompactNetwork, optimizer: TaskwiseAdamW, number: int) -> None:
        for parameter, gradient in zip(network.parameters(), gradients[number], strict=True):
            parameter.grad = gradient.clone()
        optimizer.step(1e-2, present[number])

    whole = TaskwiseAdamW(networks[0], config)
    for number in range(3):
        step(networks[0], whole, number)
    first = TaskwiseAdamW(networks[1], config)
    for number in range(2):
        step(networks[1], first, number)
    second = TaskwiseAdamW(networks[1], config)
    second.load_state_dict(first.state_dict())
    step(networks[1], second, 2)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)
