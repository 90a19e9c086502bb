"""Networks that take turns in memory: where that is limited, only the one at work is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Findings, Network, Place, Stages, View
from cyclerdm_cli.restoring.restorers import Turn


class TakesTurns(Network):
    """A network that is dropped as soon as another one of the same `Turn` is asked for."""

    within: Network | None

    def __init__(self, load: Callable[[torch.device], Network], turn: Turn) -> None:
        """`load` brings the network to a device, as often as its turn comes."""
        super().__init__()
        self._load, self._turn = load, turn
        self._place = torch.device("cpu")
        self.within = None
        network = self.awake()
        # What planning asks for, without waking the network for it.
        self.config = network.config
        self.multiple, self.tile, self.draws_noise = network.multiple, network.tile, network.draws_noise
        self.fills_holes, self.deconvolves = network.fills_holes, network.deconvolves
        self.sees_light = network.sees_light
        self.stages_by_default = network.stages_by_default
        self.most_steps = network.most_steps

    def awake(self) -> Network:
        """Return the network within, loaded again where another one had its turn."""
        if self._turn.holder is not self or self.within is None:
            if self._turn.holder is not None:
                self._turn.holder.within = None
            self.within = self._load(self._place).to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
            self._turn.holder = self
        return self.within

    def to(self, *arguments: Any, **options: Any) -> Self:
        """Move the network within; loaded again, it goes to the same place."""
        self.awake().to(*arguments, **options)
        self._place = next(self.awake().parameters()).device
        return self

    def look(self, view: View, steps: int = 0) -> Findings:
        """Let the network within look; see `Network`."""
        return self.awake().look(view, steps)

    def bind(
        self, findings: Findings, place: Place, mask: Tensor, steps: int, generator: torch.Generator
    ) -> Stages:
        """Return the stages of the network within; see `Network`."""
        return self.awake().bind(findings, place, mask, steps, generator)
