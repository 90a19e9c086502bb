"""The authors' network bound to a batch: each stage from noise of its own, in DDIM steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Stages
from cyclerdm_cli.cycle.padding import padded
from cyclerdm_cli.cycle.sampler import NoiseSchedule, ddim
from cyclerdm_cli.cycle.wavelet import Wavelet

if TYPE_CHECKING:
    from cyclerdm_cli.cycle.paper.network import PaperNetwork

STEPS = 10
"""Evaluations a stage in the authors' code."""


def noise_from(generator: torch.Generator, batch: int) -> Callable[[torch.Size], Tensor]:
    """Return a function that draws standard normal noise of a shape (B, C, H, W), float32, on the CPU.

    Each picture of the batch gets its own generator, seeded by the one given: its noise depends neither on
    the device nor on how the pictures are dealt into batches.

    Args:
        generator: on the CPU; gives one seed for each picture, in order.
        batch: B.
    """
    seeds = [int(torch.randint(2**62, (), generator=generator)) for _ in range(batch)]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw(shape: torch.Size) -> Tensor:
        return torch.stack([torch.randn(shape[1:], generator=own) for own in generators])

    return draw


class PaperStages(Stages):
    """The authors' network bound to one batch of pictures: what `cycle` calls for each stage.

    The degraded picture is not looked at again after stage 1, as in the authors' code.
    """

    def __init__(
        self, network: PaperNetwork, draw_noise: Callable[[torch.Size], Tensor], steps: int = STEPS
    ) -> None:
        """Bind.

        Args:
            network: of the authors.
            draw_noise: draws each stage's starting noise, once a stage; see `noise_from`.
            steps: network evaluations a stage.
        """
        self.network, self.draw_noise, self.steps = network, draw_noise, steps
        self.schedule = NoiseSchedule()
        self.wavelet = Wavelet.named("haar")

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run one stage to its end; see `Stages`. Stage 1 pads the picture, and the later ones keep it so."""
        condition = padded(estimate, self.network.multiple) if stage == 1 else estimate

        def predict_noise(noisy: Tensor, time: int) -> Tensor:
            times = torch.full((len(noisy),), time, device=noisy.device)
            predicted: Tensor = self.network(condition, noisy, times)
            return predicted

        noise = self.draw_noise(condition.shape).to(condition.device)
        return ddim(predict_noise, noise, self.schedule, self.steps)

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Run the feature gain module; see `Stages`."""
        return high - self.network.gain(high)
