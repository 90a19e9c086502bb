"""What is counted, against what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_network
from torch import nn

from cyclerdm_cli.benchmark.cost import PeakMemory, gmac, machine, parameters
from cyclerdm_cli.cycle.paper import PaperNetwork


def test_the_authors_network_costs_what_is_known_of_it() -> None:
    network = PaperNetwork()
    assert gmac(network, 0) == pytest.approx(3420, rel=1e-3)
    assert parameters(network) / 1e6 == pytest.approx(22.15, abs=0.01)


def test_each_stage_costs_something_where_it_computes() -> None:
    first, second, third = (gmac(tiny_network(), 0, stages) for stages in (1, 2, 3))
    assert first == 0  # it leaves the picture as it is
    assert 0 < second < third


def test_more_steps_cost_as_much_more_as_the_first_stage_takes() -> None:
    network = tiny_network(config=replace(TINY, light=True, most_steps=4))
    once, twice, four = (gmac(network, steps, 1) for steps in (1, 2, 4))
    assert once > 0
    assert (twice, four) == (pytest.approx(2 * once), pytest.approx(4 * once))
    assert gmac(network, 0, 1) == four
    assert gmac(network, 2) - gmac(network, 1) == pytest.approx(once)


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
