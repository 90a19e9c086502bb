"""Rain: streaks near, midway and far, each with its own length, width, slant and light, and a veil behind.

Sources: the appearance of streaks (Garg and Nayar, "Vision and Rain", IJCV 2007); several overlapping layers
of one direction each with a veil (Yang et al., "Deep Joint Rain Detection and Removal from a Single Image",
CVPR 2017: Rain100L has one kind of streak, Rain100H five); screen blending (Luo et al., "Removing Rain from a
Single Image via Discriminative Sparse Coding", ICCV 2015).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import convolve, gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.stamping import scattered, stamped, window

STEEPEST = math.radians(52)
"""Streaks lean at most this far from the vertical: rain is drawn row by row."""


class Layer(NamedTuple):
    """Streaks at one distance; lengths and widths in pixels."""

    per_pixel: float
    """Streaks a pixel in the densest rain."""
    length: tuple[float, float]
    half_width: tuple[float, float]
    rows: int
    columns: int
    presence: float
    """Share of the pictures that have the layer."""


LAYERS = (
    Layer(0.022, (4, 13), (0.9, 1.6), 17, 5, 0.65),  # far: short, thin, many
    Layer(0.011, (10, 34), (0.9, 2.1), 41, 7, 1.0),
    Layer(0.0007, (24, 80), (1.4, 4.5), 91, 13, 0.5),  # near: long, wide, few
)


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Let it rain: from a few faint streaks to bright dense ones in several directions behind a veil."""
    batch, _, height, width = clean.shape
    rain = rain_light(clean, severity, generator)
    # Most made rain, and much of the real, is grey; some takes on the colour of the sky.
    tint = 1 - uniform(0, 0.12, (batch, 3, 1, 1), generator) * chance(0.4, batch, generator)
    # 0 adds the light, 1 blends by screen: bright places then gain less.
    screen = uniform(0, 1, (batch, 1, 1, 1), generator) * chance(0.5, batch, generator)
    rainy = clean + rain * tint * (1 - screen * clean)
    mist = uniform(-0.3, 0.7, (batch, 1, 1, 1), generator).clamp_min(0)  # in some pictures none
    mist = mist * (0.6 + 0.4 * smooth_field(batch, height, width, 3, generator))
    veil = per_picture((severity - 0.4).clamp_min(0)) * mist
    rainy = torch.lerp(rainy, uniform(0.5, 0.95, (batch, 1, 1, 1), generator), veil)
    return Degraded(stored(rainy, 70, 0.25, generator))


def rain_light(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return the light that streaks add, (B, 1, H, W), at least 0."""
    batch, _, height, width = clean.shape
    wind = uniform(-1, 1, (batch,), generator) * uniform(0, 0.8, (batch,), generator)
    # The heaviest synthetic rain falls in several directions at once.
    crossed = chance(0.2, batch, generator).flatten() & (severity > 0.55)
    # Small where the rain is far or the picture was shrunk.
    scale = log_uniform(0.7, 1.5, (batch,), generator)
    brightness = (0.12 + 0.46 * severity**1.3) * uniform(0.65, 1.4, (batch,), generator)
    rain = clean.new_zeros(batch, 1, height, width)
    for layer in LAYERS:
        density = (0.07 + 0.73 * severity) * log_uniform(0.4, 1.8, (batch,), generator)
        light = per_picture(brightness * uniform(0.6, 1.3, (batch,), generator))
        light = light * chance(layer.presence, batch, generator)
        rain = rain + light * _streaks(layer, height, width, wind, crossed, scale, density, generator)
    drizzle = per_picture(brightness * uniform(0, 0.7, (batch,), generator)) * chance(0.35, batch, generator)
    rain = rain + drizzle * _drizzle(height, width, wind, severity, generator)
    thinnest = uniform(0, 0.9, (batch, 1, 1, 1), generator) ** 2
    uneven = 1 - thinnest * smooth_field(batch, height, width, 4, generator)
    soft = gaussian_blur(rain, uniform(0.3, 1.1, (batch,), generator))
    return torch.where(chance(0.2, batch, generator), soft, rain) * uneven


def _streaks(
    layer: Layer, height: int, width: int, wind: Tensor, crossed: Tensor, scale: Tensor, density: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Draw one layer: (B, 1, H, W); a streak of average light peaks at about 0.6."""
    batch = wind.shape[0]
    rows, columns = scattered(batch, height, width, layer.per_pixel, layer.rows // 2, generator)
    shape = tuple(rows.shape)
    steady, gusty = log_uniform(0.01, 0.15, (batch,), generator), log_uniform(0.15, 0.7, (batch,), generator)
    jitter = per_picture(torch.where(crossed, gusty, steady))
    # Of crossed rain each streak takes one of three directions, of the other one close to the wind's.
    sideways = uniform(-1, 1, shape, generator)
    sideways = torch.where(per_picture(crossed), (sideways * 1.5).round() + 0.1 * sideways, sideways)
    angle = (per_picture(wind) + jitter * sideways).clamp(-STEEPEST, STEEPEST)
    near = per_picture(scale)
    typical = near * log_uniform(*layer.length, (batch, 1, 1, 1), generator)
    length = (typical * log_uniform(0.6, 1.5, shape, generator)).clamp(3, layer.rows - 2) * angle.cos()
    breadth = near.sqrt() * log_uniform(*layer.half_width, (batch, 1, 1, 1), generator)
    breadth = breadth * log_uniform(0.75, 1.3, shape, generator) / angle.cos()
    # Stubby ones would pass for snow.
    breadth = torch.minimum(breadth, length / 5).clamp(1, layer.columns / 2)
    # Light falls off over the streaks as it does over drops of many sizes: few are bright.
    light = (0.15 - 0.55 * uniform(0, 1, shape, generator).clamp_min(0.02).log()) * 0.8
    light = light * (uniform(0, 1, shape, generator) < per_picture(density))

    down = torch.arange(layer.rows, device=wind.device).view(-1, 1) - layer.rows // 2
    middles = columns + down * angle.tan()
    ys, xs = window(rows, middles, layer.rows, layer.columns)
    along = (ys - rows) / (length / 2)
    ends = per_picture(
        log_uniform(0.1, 1, (batch,), generator)
    )  # share of the half length over which it fades
    fade = ((1 - along.abs()) / ends).clamp(0, 1) * light
    across = (1 - ((xs - middles) / breadth).abs()).clamp_min(0)
    return stamped(height, width, ys, xs, (across * fade).unsqueeze(0))


def _drizzle(height: int, width: int, wind: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Draw very many fine streaks as motion-blurred noise, the usual recipe of picture editors."""
    batch, size = wind.shape[0], 21
    angle = wind + uniform(-0.1, 0.1, (batch,), generator)
    kernels = _line_kernels(uniform(5, 16, (batch,), generator), angle, size)
    reach = size // 2
    seeds = uniform(0, 1, (batch, 1, height + 2 * reach, width + 2 * reach), generator)
    share = per_picture(0.03 + 0.12 * severity * uniform(0.3, 1, (batch,), generator))
    seeds = (1 - seeds / share).clamp_min(0) / kernels.amax((1, 2)).view(-1, 1, 1, 1)
    blurred = convolve(seeds, kernels)[:, :, reach : reach + height, reach : reach + width]
    return blurred.clamp_min(0)


def _line_kernels(length: Tensor, angle: Tensor, size: int) -> Tensor:
    """Return thin lines of (B,) length in pixels and angle in radians from the vertical, (B, size, size)."""
    offsets = torch.arange(size, device=length.device) - size // 2
    rows, columns = offsets.view(1, -1, 1), offsets.view(1, 1, -1)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    along, across = rows * cos + columns * sin, columns * cos - rows * sin
    line = (1 - across.abs()).clamp_min(0) * (length.view(-1, 1, 1) / 2 + 0.5 - along.abs()).clamp(0, 1)
    return line / line.sum((1, 2), keepdim=True)
