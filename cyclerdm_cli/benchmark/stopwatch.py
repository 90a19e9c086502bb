"""Where the time goes: a network that restores as the one within, and says what each stage took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cyclerdm_cli.cycle.cycle import Network, Stages, Whole
from cyclerdm_cli.cycle.wavelet import Wavelet

LOOK = "look"
STAGES = (LOOK, "stage 1", "stage 2", "stage 3", "gain")


class Stopwatch(nn.Module):
    """A network that follows `Network`, with the seconds that its stages have taken so far."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.config = network.config
        self._bound: Network = network  # type: ignore[assignment]
        self.multiple = self._bound.multiple
        self.draws_noise = self._bound.draws_noise
        self.tile = self._bound.tile
        self.seconds: dict[str, float] = defaultdict(float)

    def look(self, task: str, thumbnail: Tensor, windows: Tensor) -> Whole:
        """Let the network within look, timed; see `Network`."""
        with timed(self.seconds, LOOK, windows.device):
            return self._bound.look(task, thumbnail, windows)

    def bind(
        self, task: str, whole: Whole, mask: Tensor, steps: int, generator: torch.Generator
    ) -> TimedStages:
        """Return the stages of the network within, timed; see `Network`."""
        return TimedStages(self._bound.bind(task, whole, mask, steps, generator), self.seconds)


@dataclass(frozen=True)
class TimedStages:
    """The stages of a network; a GPU has finished each before its time is taken."""

    within: Stages
    seconds: dict[str, float]

    @property
    def wavelet(self) -> Wavelet:
        """What stage 3 splits the picture with."""
        return self.within.wavelet

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run a stage; see `Stages`."""
        with timed(self.seconds, f"stage {stage}", estimate.device):
            return self.within.restore(stage, estimate, degraded)

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Remove the redundancy from the high bands; see `Stages`."""
        with timed(self.seconds, "gain", high.device):
            return self.within.gain(high, degraded_high)


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
