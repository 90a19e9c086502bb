"""What is counted, against what is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cyclerdm_cli.benchmark.cost import PeakMemory, gmac, machine, parameters
from cyclerdm_cli.cycle.paper import PaperNetwork
from tests.conftest import tiny_network


def test_the_authors_network_costs_what_is_known_of_it() -> None:
    network = PaperNetwork()
    assert gmac(network, "derain", 0) == pytest.approx(3420, rel=1e-3)
    assert parameters(network) / 1e6 == pytest.approx(22.15, abs=0.01)


def test_a_small_network_is_counted_too_and_more_steps_cost_more() -> None:
    network = tiny_network()
    once, twice = gmac(network, "derain", 1), gmac(network, "derain", 2)
    assert 0.01 < once < twice < 2 * once  # the gain module runs once
    first, second = (gmac(network, "derain", 1, stages) for stages in (1, 2))
    assert second == pytest.approx(2 * first)
    assert 2 * first < once < 3 * first  # stage 3 works at half of the size


def test_parameters_are_counted_once() -> None:
    assert parameters(nn.Conv2d(3, 5, 3)) == 3 * 5 * 9 + 5


def test_the_peak_is_of_what_happened_in_between() -> None:
    memory = PeakMemory(torch.device("cpu"))
    memory.start()
    before = memory.read()["process"]
    block = np.ones(200 * 2**20 // 8)
    assert block[-1] == 1
    del block
    assert memory.read()["process"] > before + 150
    about = machine(torch.device("cpu"))
    assert about["torch"] == torch.__version__
    assert about["processors"]
