"""The authors' network as a whole: U-Net and feature gain module."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Findings, Network, NoFindings, Place, View
from cyclerdm_cli.cycle.paper.configuration import PaperConfig
from cyclerdm_cli.cycle.paper.gain import FeatureGain
from cyclerdm_cli.cycle.paper.stages import STEPS, PaperStages, noise_from
from cyclerdm_cli.cycle.paper.unet import UNet
from cyclerdm_cli.cycle.sampler import NoiseSchedule


class PaperNetwork(Network):
    """The authors' U-Net and feature gain module: 22.15 million numbers by 358 keys."""

    draws_noise = True
    most_steps = NoiseSchedule().times
    tile = 512  # attention costs the square of a tile's area

    def __init__(self, config: PaperConfig | None = None) -> None:
        super().__init__()
        self.config = config or PaperConfig()
        self.multiple = self.config.multiple
        self.Unet = UNet(self.config)
        self.high_enhance0 = FeatureGain(self.config.gain_width)

    def look(self, view: View, steps: int = 0) -> NoFindings:
        """Find nothing: the authors' network sees tiles alone; see `Network`."""
        return NoFindings()

    def bind(
        self, findings: Findings, place: Place, mask: Tensor, steps: int, generator: torch.Generator
    ) -> PaperStages:
        """Return the stages for a batch of tiles; see `Network`. Findings, place and mask change nothing."""
        return PaperStages(self, noise_from(generator, len(mask)), steps or STEPS)

    def forward(self, condition: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """Predict the noise in a noisy picture.

        Args:
            condition: (B, 3, H, W) what the stage starts from, as it is; H and W multiples of 8.
            noisy: (B, 3, H, W) the picture with noise at a time.
            time: (B,) in 0, ..., T-1.
        """
        noise: Tensor = self.Unet(torch.cat([condition, noisy], 1), time)
        return noise

    def gain(self, high: Tensor) -> Tensor:
        """Return the redundancy in the high bands, (3, B, 3, h, w)."""
        redundancy: Tensor = self.high_enhance0(high.flatten(0, 1))
        return torch.unflatten(redundancy, 0, high.shape[:2])
