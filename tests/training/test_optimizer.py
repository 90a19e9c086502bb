"""The optimiser: Muon makes all directions alike, as fast as AdamW, which moves the rest."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from tiny import TINY
from torch import nn

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.training.optimizer import Muon, PhaseOptimizer, is_matrix, orthogonalise
from cyclerdm_cli.training.trainer import PARTS

WHOLE = replace(TINY, task="all", light=True, deblurs=True)


def network_of(seed: int = 0) -> CompactNetwork:
    torch.manual_seed(seed)
    return CompactNetwork(WHOLE)


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (72, 8), (1, 9), (64, 576)])
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for scale in (1e-6, 1.0, 1e4):
        values = torch.linalg.svdvals(orthogonalise(scale * matrix))
        assert 0.5 < float(values.min()) <= float(values.max()) < 1.3
        assert 0.65 < float(values.mean()) < 1.2


def test_directions_are_kept() -> None:
    """What comes out is near to U V of the singular value decomposition: the nearest orthogonal matrix."""
    matrix = torch.randn((12, 20), generator=torch.Generator().manual_seed(2))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    made = orthogonalise(matrix)
    cosine = (made * (left @ right)).sum() / made.norm() / (left @ right).norm()
    assert float(cosine) > 0.97


def test_no_gradient_makes_no_step() -> None:
    assert torch.equal(orthogonalise(torch.zeros(4, 6)), torch.zeros(4, 6))


@pytest.mark.parametrize("shape", [(32, 32, 3, 3), (8, 64, 1, 1), (64, 8, 2, 2)])
def test_a_step_of_muon_is_as_long_as_one_of_adamw(shape: tuple[int, ...]) -> None:
    """By its root mean square: AdamW's is 0.2 to 0.4 of the learning rate while a network learns."""
    generator, rate = torch.Generator().manual_seed(0), 1e-2
    parameter = nn.Parameter(torch.zeros(shape))
    other = nn.Parameter(torch.zeros(shape))
    muon = Muon([parameter], rate, momentum=0.95)
    adam = torch.optim.AdamW([other], rate, betas=(0.9, 0.99), weight_decay=0.0)
    for _ in range(30):
        before, other_before = parameter.detach().clone(), other.detach().clone()
        parameter.grad = torch.randn(shape, generator=generator)
        other.grad = parameter.grad.clone()
        muon.step()
        adam.step()
    pairs = ((parameter, before), (other, other_before))
    moved, reference = ((after - then).square().mean().sqrt().item() for after, then in pairs)
    assert 0.15 * rate < moved < 0.25 * rate
    assert 0.4 < moved / reference < 2.5


def test_muon_goes_down_hill() -> None:
    generator = torch.Generator().manual_seed(3)
    target = torch.randn((6, 4, 1, 1), generator=generator)
    parameter = nn.Parameter(torch.zeros(6, 4, 1, 1))
    muon = Muon([parameter], 0.1, momentum=0.9)
    start = float((parameter - target).detach().square().mean())
    for _ in range(60):
        parameter.grad = 2 * (parameter.detach() - target)
        muon.step()
    assert float((parameter - target).detach().square().mean()) < 0.05 * start


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    first, second = (nn.Parameter(torch.ones(3, 3, 1, 1)) for _ in range(2))
    first.grad = torch.eye(3)[..., None, None]
    muon = Muon([first, second], 0.1, momentum=0.9)
    muon.step()
    assert not torch.equal(first, torch.ones_like(first))
    assert torch.equal(second, torch.ones_like(second))


def test_convolutions_inside_are_muons_and_outer_layers_and_rows_are_adamws() -> None:
    named = dict(network_of().named_parameters())
    muons = {name for name, value in named.items() if is_matrix(name, value)}
    assert {"detail.down.0.weight", "detail.down_blocks.0.0.first.weight", "light.down.0.weight"} <= muons
    assert {"reader.down_fine.conv1.weight", "handed_on.weight"} <= muons
    assert not {"detail.head.weight", "calibration.tail.weight", "light.head.weight"} & muons
    assert not {"reader.first.weight", "reader.last.weight", "steering.weight", "light.whole.weight"} & muons
    assert not [name for name in muons if name.endswith("bias")]


@pytest.mark.parametrize("stages", [(0,), (1,), (2,), (3,), (1, 2, 3)])
def test_a_phase_moves_the_parts_of_its_stages_and_nothing_else(stages: tuple[int, ...]) -> None:
    network = network_of()
    before = copy.deepcopy(network.state_dict())
    parts = tuple(part for stage in stages for part in PARTS[stage])
    optimizer = PhaseOptimizer(network, parts, 0.95, 1e-4)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step(1e-2)
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name, _ in network.named_parameters() if name.startswith(parts)}
    assert moved


def test_every_parameter_belongs_to_a_stage() -> None:
    parts = tuple(part for stage in PARTS.values() for part in stage)
    assert all(name.startswith(parts) for name, _ in network_of().named_parameters())


def test_the_rate_is_that_of_the_step() -> None:
    lengths = []
    for rate in (1e-2, 5e-3):
        network = network_of()
        before = copy.deepcopy(network.state_dict())
        optimizer = PhaseOptimizer(network, PARTS[2], 0.95, 0.0)
        torch.manual_seed(4)
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step(rate)
        after = network.state_dict()
        both = ("detail.head.weight", "detail.down.0.weight")
        lengths.append([float((after[name] - before[name]).norm()) for name in both])
    assert lengths[0] == [pytest.approx(2 * length, rel=1e-3) for length in lengths[1]]


def test_a_checkpoint_brings_back_the_averages() -> None:
    networks = [network_of() for _ in range(2)]
    torch.manual_seed(1)
    gradients = [[torch.randn_like(value) for value in networks[0].parameters()] for _ in range(3)]

    def optimizer_of(network: CompactNetwork) -> PhaseOptimizer:
        return PhaseOptimizer(network, PARTS[2], 0.95, 1e-4)

    def step(network: CompactNetwork, optimizer: PhaseOptimizer, number: int) -> None:
        for parameter, gradient in zip(network.parameters(), gradients[number], strict=True):
            parameter.grad = gradient.clone()
        optimizer.step(1e-2)

    whole, first = (optimizer_of(network) for network in networks)
    for number in range(3):
        step(networks[0], whole, number)
    for number in range(2):
        step(networks[1], first, number)
    second = optimizer_of(networks[1])
    second.load_state_dict(first.state_dict())
    step(networks[1], second, 2)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)
