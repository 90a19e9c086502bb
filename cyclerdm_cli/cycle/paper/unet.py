"""The authors' U-Net, which predicts noise: residual blocks, attention at one level, the time in each block."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.paper.configuration import PaperConfig


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
