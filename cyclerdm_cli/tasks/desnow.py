"""Falling snow: flakes in layers of distance, out of focus, moving, and the veil of the far ones.

Source: the making of Snow100K (Liu et al., "DesnowNet: Context-Aware Deep Network for Snow Removal", IEEE TIP
2018): small, medium and large flakes with different transparency, density and trajectories.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.streaks import line_kernels, scattered

KERNEL = 41
LAYERS = ((0.5, 1.2, 1.0), (1.0, 2.6, 1.0), (2.0, 5.5, 0.75), (4.0, 10.0, 0.5))
"""Radius in pixels from and to, and how often the layer is there: far to near."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Let it snow: from a few fine flakes to large ones in front of a white veil."""
    batch = clean.shape[0]
    cover = snow_of(clean, severity, generator)
    white = uniform(0.75, 1.0, (batch, 1, 1, 1), generator) + uniform(-0.03, 0.03, (batch, 3, 1, 1), generator)
    snowy = clean * (1 - cover) + white.clamp(0, 1) * cover
    veil = per_picture((severity - 0.3).clamp_min(0)) * uniform(0, 0.4, (batch, 1, 1, 1), generator)
    snowy = snowy * (1 - veil) + veil * white
    return Degraded(stored(snowy, 70, 0.3, generator))


def snow_of(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return how much each pixel is covered by flakes, (B, 1, H, W) in [0, 1]."""
    batch, _, height, width = clean.shape
    wind = uniform(-0.8, 0.8, (batch,), generator)
    moved = chance(0.5, batch, generator).flatten().float()
    clear = clean.new_ones(batch, 1, height, width)
    for smallest, largest, share in LAYERS:
        radius = log_uniform(smallest, largest, (batch,), generator)
        length = moved * radius * uniform(0, 5, (batch,), generator)
        coverage = (0.006 + 0.06 * severity**1.5) * log_uniform(0.3, 2.0, (batch,), generator)
        density = coverage / (3 * radius**2 + 2 * radius * length)
        kernels = line_kernels(length.clamp(max=KERNEL - 4 - 2 * 8), wind, radius * 0.6, KERNEL)
        flakes = scattered(height, width, density, kernels, generator)
        # Irregular outlines: a threshold that varies over a flake, then its soft edge.
        rough = smooth_field(batch, height, width, max(8, int(max(height, width) / (2 * largest))), generator)
        edge = per_picture(uniform(2, 8, (batch,), generator))
        shaped = torch.sigmoid((flakes - 0.25 - 0.2 * rough) * edge * 2) - torch.sigmoid((-0.25 - 0.2 * rough) * edge * 2)
        opacity = per_picture(uniform(0.4, 1.0, (batch,), generator) * (0.45 + 0.55 * severity))
        present = chance(share, batch, generator)
        clear = clear * torch.where(present, 1 - opacity * shaped.clamp(0, 1), 1.0)
    return gaussian_blur(1 - clear, uniform(0.3, 0.9, (batch,), generator)).clamp(0, 1)
