"""The authors' network (CycleRDM: Xue et al., arXiv 2412.14630), so that their checkpoints can be run.

One U-Net predicts the noise in all three stages (DDPM: Ho et al., NeurIPS 2020), each in ten DDIM steps from
Gaussian noise: thirty evaluations, 3,420 GMAC for a 256x256 picture. Attributes bear the names that the keys
of the checkpoints need. Normalisation and attention see the whole tensor, so a tile is not restored as
it would be inside the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.configuration import Range, check_fields, configuration_from_json
from cyclerdm_cli.cycle.cycle import Findings, Network, NoFindings, Place, Stages, View
from cyclerdm_cli.cycle.padding import padded
from cyclerdm_cli.cycle.sampler import NoiseSchedule, ddim
from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.errors import WeightsError

STEPS = 10
"""Evaluations a stage in the authors' code."""


@dataclass(frozen=True)
class PaperConfig:
    """All that shapes the network; the defaults are the authors'."""

    channels: int = 64
    """Channels at full resolution; group normalisation needs a multiple of 32."""
    multipliers: tuple[int, ...] = (1, 2, 3, 4)
    """Channels at 1, 1/2, 1/4, ... of the resolution, in units of `channels`."""
    blocks: int = 2
    """Residual blocks a level on the way down; one more on the way up."""
    attention_level: int = 2
    """The level with self-attention after each block; 0 is the finest."""
    gain_width: int = 64
    """Channels, and growth a layer, of the feature gain module."""

    def __post_init__(self) -> None:
        try:
            check_fields(self, RANGES)
        except ValueError as fault:
            raise WeightsError(f"paper network: {fault}") from None

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def multiple(self) -> int:
        """Sides are padded to this multiple: 32 by the authors, although stage 3 needs but 16."""
        return int(2 ** (len(self.multipliers) + 1))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PaperConfig:
        """Rebuild from the JSON values of the fields. Raises WeightsError naming the first that is wrong."""
        return configuration_from_json(cls, values, "paper", RANGES)


RANGES = {
    "channels": Range(32, 512, multiple=32),
    "multipliers": Range(1, 16, entries=(1, 8)),
    "blocks": Range(1, 16),
    "attention_level": Range(0, 8),
    "gain_width": Range(1, 512),
}
"""What each field may be."""


def group_norm(width: int) -> nn.GroupNorm:
    """Return the normalisation that stands before every convolution."""
    return nn.GroupNorm(32, width, eps=1e-6)


class TimeEmbedding(nn.Module):
    """The time as a vector: sines and cosines of many periods, then two linear layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.dense = nn.ModuleList([nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, 4 * channels)])

    def forward(self, time: Tensor) -> Tensor:
        """Map times (B,), not scaled, to (B, 4 * channels)."""
        half = self.channels // 2
        exponents = torch.arange(half, device=time.device) / (half - 1)
        angles = time.float()[:, None] * torch.exp(-math.log(10_000) * exponents)  # (B, half)
        waves = torch.cat([angles.sin(), angles.cos()], 1)
        embedded: Tensor = self.dense[1](F.silu(self.dense[0](waves)))
        return embedded


class ResidualBlock(nn.Module):
    """Two normalised convolutions, the time between them, and a shortcut."""

    def __init__(self, width_in: int, width: int, time_width: int) -> None:
        super().__init__()
        self.norm1 = group_norm(width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.temb_proj = nn.Linear(time_width, width)
        self.norm2 = group_norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.nin_shortcut = nn.Identity() if width_in == width else nn.Conv2d(width_in, width, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map (B, width_in, H, W) to (B, width, H, W); time (B, time_width)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.temb_proj(F.silu(time))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        result: Tensor = self.nin_shortcut(x) + h
        return result


class SelfAttention(nn.Module):
    """Every position looks at every other, single-headed; time is quadratic in the area, memory is not."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = group_norm(width)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        normed = self.norm(x)
        # Contiguous, because torch otherwise falls back to building the (HW, HW) matrix: 63 GiB at 1080p.
        q, k, v = (
            project(normed).flatten(2).transpose(1, 2).unsqueeze(1).contiguous()  # (B, 1, HW, C)
            for project in (self.q, self.k, self.v)
        )
        attended = F.scaled_dot_product_attention(q, k, v)  # softmax(q k^T / sqrt(C)) v
        attended = torch.unflatten(attended.squeeze(1).transpose(1, 2), 2, x.shape[2:])  # (B, C, H, W)
        result: Tensor = x + self.proj_out(attended)
        return result


class Downsample(nn.Module):
    """Halve the resolution by a convolution of stride 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H/2, W/2); H and W even."""
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return halved


class Upsample(nn.Module):
    """Double the resolution by repeating pixels, then convolve."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return doubled


def attentions(count: int, width: int, *, present: bool) -> nn.ModuleList:
    """Return what follows each of a level's blocks."""
    return nn.ModuleList(SelfAttention(width) if present else nn.Identity() for _ in range(count))


class DownLevel(nn.Module):
    """One resolution on the way down."""

    def __init__(
        self, width_in: int, width: int, time_width: int, blocks: int, *, attend: bool, last: bool
    ) -> None:
        super().__init__()
        widths = [width_in] + [width] * (blocks - 1)
        self.block = nn.ModuleList(ResidualBlock(start, width, time_width) for start in widths)
        self.attn = attentions(blocks, width, present=attend)
        self.downsample = None if last else Downsample(width)

    def forward(self, x: Tensor, time: Tensor) -> list[Tensor]:
        """Return what the way up will need of this level, in order; the last goes on to the next level."""
        left = []
        for block, attn in zip(self.block, self.attn, strict=True):
            x = attn(block(x, time))
            left.append(x)
        if self.downsample is not None:
            left.append(self.downsample(x))
        return left


class Middle(nn.Module):
    """The lowest resolution, between the ways down and up."""

    def __init__(self, width: int, time_width: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(width, width, time_width)
        self.attn_1 = SelfAttention(width)
        self.block_2 = ResidualBlock(width, width, time_width)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = self.attn_1(self.block_1(x, time))
        result: Tensor = self.block_2(x, time)
        return result


class UpLevel(nn.Module):
    """One resolution on the way up; each block joins one tensor left on the way down."""

    def __init__(
        self, widths_in: Sequence[int], width: int, time_width: int, *, attend: bool, last: bool
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResidualBlock(start, width, time_width) for start in widths_in)
        self.attn = attentions(len(widths_in), width, present=attend)
        self.upsample = nn.Identity() if last else Upsample(width)

    def forward(self, x: Tensor, left: list[Tensor], time: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, width, 2H, 2W), at the finest level H x W; takes its tensors off `left`."""
        for block, attn in zip(self.block, self.attn, strict=True):
            x = attn(block(torch.cat([x, left.pop()], 1), time))
        result: Tensor = self.upsample(x)
        return result


class UNet(nn.Module):
    """Six channels in, three out, at the same resolution."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        widths, blocks, time_width = config.widths, config.blocks, 4 * config.channels
        levels = range(len(widths))
        self.temb = TimeEmbedding(config.channels)
        self.conv_in = nn.Conv2d(6, config.channels, 3, padding=1)
        before = (config.channels, *widths)  # what enters each level from the finer one
        self.down = nn.ModuleList(
            DownLevel(
                before[i],
                widths[i],
                time_width,
                blocks,
                attend=i == config.attention_level,
                last=i == levels[-1],
            )
            for i in levels
        )
        self.mid = Middle(widths[-1], time_width)
        below = (*widths[1:], widths[-1])  # what enters each level from the coarser one
        self.up = nn.ModuleList(
            UpLevel(
                # The last block of a level joins what came into that level on the way down.
                [below[i] + widths[i]] + [2 * widths[i]] * (blocks - 1) + [widths[i] + before[i]],
                widths[i],
                time_width,
                attend=i == config.attention_level,
                last=i == 0,
            )
            for i in levels
        )
        self.norm_out = group_norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map (B, 6, H, W) to (B, 3, H, W), H and W multiples of 8; time (B,)."""
        embedded = self.temb(time)
        left = [self.conv_in(x)]
        for level in self.down:
            left += level(left[-1], embedded)
        h = self.mid(left[-1], embedded)
        for level in reversed(self.up):
            h = level(h, left, embedded)
        result: Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return result


class DenseLayer(nn.Module):
    """Append new channels to the ones that are there."""

    def __init__(self, width_in: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, growth, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + growth, H, W)."""
        return torch.cat([x, torch.relu(self.conv(x))], 1)


class ResidualDenseBlock(nn.Module):
    """Three dense layers, fused and added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5, padding=2)  # the checkpoints hold it, nothing uses it
        self.layers = nn.Sequential(*(DenseLayer(width * (1 + i), width) for i in range(3)))
        self.lff = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        result: Tensor = x + self.lff(self.layers(x))
        return result


class FeatureGain(nn.Module):
    """F of the feature gain module: the redundancy in one high-frequency band."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 5, padding=2)
        self.RDB_1 = nn.Sequential(ResidualDenseBlock(width), nn.ReLU())
        self.RDB_2 = nn.Sequential(ResidualDenseBlock(width), nn.ReLU())
        self.conv_block2 = nn.Sequential(nn.Conv2d(width, width, 5, padding=2), nn.ReLU())
        self.conv2 = nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, band: Tensor) -> Tensor:
        """Map bands (N, 3, h, w) to the redundancy in them."""
        first = self.conv1(band)
        second = self.RDB_1(first)
        third = self.RDB_2(second)
        redundancy: Tensor = self.conv2(self.conv_block2(first + second + third))
        return redundancy


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
