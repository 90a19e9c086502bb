"""Where the time goes: a network that restores as the one within, and says what each stage took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Findings, Network, Place, Stages, View

LOOK = "look"
STAGES = (LOOK, "stage 1", "stage 2", "stage 3", "gain")


class Stopwatch(Network):
    """Another network, with the seconds that its stages have taken so far."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.config = network.config
        self.multiple = network.multiple
        self.draws_noise = network.draws_noise
        self.fills_holes = network.fills_holes
        self.deconvolves = network.deconvolves
        self.stages_by_default = network.stages_by_default
        self.most_steps = network.most_steps
        self.tile = network.tile
        self.seconds: dict[str, float] = defaultdict(float)

    def look(self, view: View, steps: int = 0) -> Findings:
        """Let the network within look, timed; see `Network`."""
        with timed(self.seconds, LOOK, next(self.parameters()).device):
            return self.network.look(view, steps)

    def bind(
        self, findings: Findings, place: Place, mask: Tensor, steps: int, generator: torch.Generator
    ) -> TimedStages:
        """Return the stages of the network within, timed; see `Network`."""
        return TimedStages(self.network.bind(findings, place, mask, steps, generator), self.seconds)


class TimedStages(Stages):
    """The stages of a network; a GPU has finished each before its time is taken."""

    def __init__(self, within: Stages, seconds: dict[str, float]) -> None:
        self.within, self.seconds, self.wavelet = within, seconds, within.wavelet

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run a stage; see `Stages`."""
        with timed(self.seconds, f"stage {stage}", estimate.device):
            return self.within.restore(stage, estimate, degraded)

    def in_integers(self) -> TimedStages:
        """Have the stages within in integers; see `Stages`."""
        self.within = self.within.in_integers()
        return self

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Remove the redundancy from the high bands; see `Stages`."""
        with timed(self.seconds, "gain", high.device):
            return self.within.gain(high, degraded_high)

    def calibrate(
        self, low: Tensor, high: Tensor, degraded_low: Tensor, degraded_high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run stage 3, its two parts apart where it has two; see `Stages`."""
        if type(self.within).calibrate is Stages.calibrate:
            return super().calibrate(low, high, degraded_low, degraded_high)
        with timed(self.seconds, "stage 3", low.device):
            return self.within.calibrate(low, high, degraded_low, degraded_high)


@contextmanager
def timed(seconds: dict[str, float], what: str, device: torch.device) -> Iterator[None]:
    """Add what is done within to the seconds of one part."""
    wait_for(device)
    began = time.perf_counter()
    yield
    wait_for(device)
    seconds[what] += time.perf_counter() - began


def wait_for(device: torch.device) -> None:
    """Return once a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
