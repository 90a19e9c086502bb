"""The moving average of a network's weights: what is kept of a training run."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Average:
    """Exponential moving average of the weights (the paper: 0.999); follows faster at the start."""

    decay: float
    values: dict[str, Tensor]

    @classmethod
    def start(cls, decay: float, network: nn.Module) -> Average:
        """Begin with the network's present weights, in float32."""
        return cls(
            decay, {name: value.detach().float().clone() for name, value in network.state_dict().items()}
        )

    def of(self, network: nn.Module) -> nn.Module:
        """Return a copy of the network with the averaged weights."""
        averaged = copy.deepcopy(network)
        averaged.load_state_dict(self.values)
        return averaged.eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, iteration: int) -> None:
        """Move towards the network's present weights."""
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        now = network.state_dict()
        torch._foreach_lerp_(
            list(self.values.values()), [now[name].float() for name in self.values], 1 - decay
        )
