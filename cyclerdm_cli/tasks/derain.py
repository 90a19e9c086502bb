"""Rain: layers of streaks at several distances, and the veil of those too far to be told apart.

Sources: the appearance of streaks (Garg and Nayar, "Vision and Rain", IJCV 2007); several overlapping layers of
one direction each with a veil (Yang et al., "Deep Joint Rain Detection and Removal from a Single Image", CVPR
2017: Rain100L has one kind of streak, Rain100H five); screen blending (Luo et al., ICCV 2015).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.streaks import line_kernels, scattered

LAYERS = 4
KERNEL = 65


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Let it rain: from a few faint streaks to bright dense ones in several directions behind a veil."""
    rain = rain_of(clean, severity, generator)
    tint = uniform(0.95, 1.0, (clean.shape[0], 3, 1, 1), generator)
    added = clean + rain * tint
    screened = 1 - (1 - clean) * (1 - (rain * tint).clamp(0, 1))
    rainy = torch.where(chance(0.65, clean.shape[0], generator), added, screened)
    veil = per_picture((severity - 0.5).clamp_min(0)) * uniform(0, 0.5, (clean.shape[0], 1, 1, 1), generator)
    rainy = rainy * (1 - veil) + veil * uniform(0.5, 0.95, (clean.shape[0], 1, 1, 1), generator)
    return Degraded(stored(rainy, 70, 0.25, generator))


def rain_of(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return the light of the streaks, (B, 1, H, W), at least 0."""
    batch, _, height, width = clean.shape
    wind = uniform(-0.9, 0.9, (batch,), generator) * uniform(0.2, 1, (batch,), generator)
    crossed = chance(0.25, batch, generator).flatten() & (severity > 0.6)
    layers = 1 + (LAYERS - 1) * severity * uniform(0.3, 1, (batch,), generator)
    rain = clean.new_zeros(batch, 1, height, width)
    scale = log_uniform(0.6, 1.7, (batch,), generator)  # how near the camera is, and how large the picture
    for layer in range(LAYERS):
        present = (layers > layer + uniform(0, 1, (batch,), generator) * 0.5).float() if layer else torch.ones_like(wind)
        spread = torch.where(crossed, 0.8, 0.06)
        angle = wind + spread * uniform(-1, 1, (batch,), generator)
        length = (log_uniform(5, 34, (batch,), generator) * scale).clamp(3, KERNEL - 8)
        thickness = (log_uniform(0.35, 1.3, (batch,), generator) * scale.sqrt() * (length / 18) ** 0.25).clamp(0.35, 2.2)
        coverage = (0.012 + 0.10 * severity) * log_uniform(0.35, 1.8, (batch,), generator)
        density = coverage / (length * thickness * 2)
        uneven = 1 - uniform(0, 0.9, (batch, 1, 1, 1), generator) * smooth_field(
            batch, height + KERNEL - 1, width + KERNEL - 1, 4, generator
        )
        streaks = scattered(height, width, per_picture(density) * uneven, line_kernels(length, angle, thickness, KERNEL), generator)
        brightness = (0.15 + 0.45 * severity) * uniform(0.5, 1.3, (batch,), generator)
        rain = rain + per_picture(present * brightness) * streaks.clamp(0, 1.3)
    mist = per_picture(severity * uniform(0, 0.12, (batch,), generator)) * _fine(rain, severity, generator)
    rain = rain + mist
    return torch.where(chance(0.3, batch, generator), gaussian_blur(rain, uniform(0.3, 1.0, (batch,), generator)), rain)


def _fine(rain: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return drizzle: very many faint short streaks, as Photoshop's motion-blurred noise makes."""
    batch, _, height, width = rain.shape
    angle = uniform(-math.pi / 4, math.pi / 4, (batch,), generator)
    kernels = line_kernels(uniform(5, 14, (batch,), generator), angle, uniform(0.4, 0.8, (batch,), generator), 21)
    return scattered(height, width, 0.02 + 0.05 * severity, kernels, generator)
