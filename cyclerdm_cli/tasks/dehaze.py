"""Haze, mist and fog by the scattering model I = J t + A (1 - t), t = exp(-beta d).

Source: Koschmieder 1924, as used by He et al., "Single Image Haze Removal Using Dark Channel Prior", CVPR 2009,
and for the RESIDE set (Li et al., "Benchmarking Single-Image Dehazing and Beyond", IEEE TIP 2019: beta 0.4 to
1.6, A 0.7 to 1.0). A photograph has no depth map, so depth is invented: planes, horizons, smooth fields, and
what the picture's own tones suggest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, normal, smooth_field, uniform


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Lay haze over the scene: light mist up to fog that leaves a tenth of the contrast."""
    batch, _, height, width = clean.shape
    depth = invented_depth(clean, generator)
    uneven = 1 + uniform(-0.35, 0.35, (batch, 1, 1, 1), generator) * (
        smooth_field(batch, height, width, 4, generator) * 2 - 1
    )
    beta = per_picture(0.3 + 1.9 * severity)
    transmission = torch.exp(-beta * depth * uneven)
    airlight = uniform(0.68, 1.0, (batch, 1, 1, 1), generator)
    airlight = airlight + uniform(-0.04, 0.04, (batch, 3, 1, 1), generator)
    hazy = clean * transmission + airlight.clamp(0, 1) * (1 - transmission)
    noise = uniform(0, 0.012, (batch, 1, 1, 1), generator) * normal(tuple(clean.shape), generator)
    return Degraded(stored(hazy + noise * chance(0.5, batch, generator), 60, 0.3, generator))


def invented_depth(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Invent a depth map: (B, 1, H, W), about 0.2 near to 1.5 far; shape and scale are drawn."""
    batch, _, height, width = clean.shape
    device = clean.device
    rows = torch.linspace(1, 0, height, device=device).view(1, 1, -1, 1)
    columns = torch.linspace(-0.5, 0.5, width, device=device).view(1, 1, 1, -1)
    tilt = uniform(-0.6, 0.6, (batch, 1, 1, 1), generator)
    plane = (rows + tilt * columns).clamp(0, 1.3)
    horizon = uniform(0.3, 1.1, (batch, 1, 1, 1), generator)
    ground = (0.12 / (horizon - rows + 0.12).clamp_min(0.12)).clamp(0, 1)  # distance grows to the horizon
    bumps = smooth_field(batch, height, width, 5, generator)
    tone = gaussian_blur(clean.mean(1, keepdim=True), uniform(2, 6, (batch,), generator))
    shares = uniform(0, 1, (4, batch, 1, 1, 1), generator) ** 2
    depth = shares[0] * plane + shares[1] * ground + shares[2] * bumps + shares[3] * tone
    depth = depth / shares.sum(0).clamp_min(1e-3)
    nearest = uniform(0.1, 0.7, (batch, 1, 1, 1), generator)
    return nearest + depth * uniform(0.2, 1.1, (batch, 1, 1, 1), generator)
