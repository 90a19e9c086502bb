"""Falling snow: flakes of every size, out of focus, moving, and the veil of those too far to be told apart.

Source: the making of Snow100K (Liu et al., "DesnowNet: Context-Aware Deep Network for Snow Removal", IEEE TIP
2018): small, medium and large flakes with different transparency, density and trajectories; the veil that
thickens with distance (Chen et al., "JSTASR: Joint Size and Transparency-Aware Snow Removal", ECCV 2020).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.dehaze import invented_depth
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.stamping import scattered, stamped, window


class Layer(NamedTuple):
    """Flakes at one distance; radii in pixels."""

    per_pixel: float
    """Flakes a pixel in the densest snow."""
    radius: tuple[float, float]
    side: int
    """Of the square in which a flake and its path must fit."""
    softness: tuple[float, float]
    """Share of the radius over which a flake fades out."""
    presence: float
    """Share of the pictures that have the layer."""


LAYERS = (
    Layer(0.032, (0.7, 1.5), 7, (0.7, 1.0), 0.9),  # far: fine powder
    Layer(0.009, (1.2, 3.6), 17, (0.3, 1.0), 1.0),
    Layer(0.0011, (3.0, 12.0), 41, (0.2, 1.0), 0.6),  # near: large, mostly out of focus
    Layer(0.00018, (9.0, 20.0), 61, (0.4, 1.0), 0.3),  # on the lens, almost
)


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Let it snow: from a few fine flakes to thick fall in front of a white veil."""
    batch, _, height, width = clean.shape
    cover = snow_cover(clean, severity, generator)
    white = uniform(0.78, 1.0, (batch, 1, 1, 1), generator)
    white = white + uniform(-0.03, 0.03, (batch, 3, 1, 1), generator)
    mist = uniform(-0.2, 0.55, (batch, 1, 1, 1), generator).clamp_min(0)  # in some pictures none
    mist = mist * (0.6 + 0.4 * smooth_field(batch, height, width, 3, generator))
    thick = uniform(0.2, 1.3, (batch, 1, 1, 1), generator)
    blizzard = chance(0.25, batch, generator).flatten()
    if bool(blizzard.any()):
        mist[blizzard] = 1 - torch.exp(-thick[blizzard] * invented_depth(clean[blizzard], generator))
    veil = per_picture((severity - 0.2).clamp_min(0)) * mist
    # The veil hangs behind the flakes, and in weaker light than they.
    misty = torch.lerp(clean, white * uniform(0.75, 1.0, (batch, 1, 1, 1), generator), veil)
    return Degraded(stored(torch.lerp(misty, white.clamp(0, 1), cover), 70, 0.25, generator))


def snow_cover(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return how much of each pixel flakes cover, (B, 1, H, W) in [0, 1]."""
    batch, _, height, width = clean.shape
    fall = uniform(-1.1, 1.1, (batch, 1, 1, 1), generator)  # radians from the vertical
    speed = uniform(-0.6, 1, (batch, 1, 1, 1), generator).clamp_min(0)  # none: a short exposure
    scale = log_uniform(0.75, 1.35, (batch, 1, 1, 1), generator)
    opacity = (0.4 + 0.8 * severity) * uniform(0.7, 1.4, (batch,), generator)
    clear = clean.new_ones(batch, 1, height, width)
    for layer in LAYERS:
        density = (0.06 + 0.94 * severity**1.3) * log_uniform(0.4, 2, (batch,), generator)
        density = per_picture(density.clamp(max=1)) * chance(layer.presence, batch, generator)
        flakes = _flakes(layer, height, width, density, scale, fall, speed, generator)
        clear = clear * (1 - per_picture(opacity) * flakes).clamp(0, 1)
    thinnest = uniform(0, 0.8, (batch, 1, 1, 1), generator) ** 2
    uneven = 1 - thinnest * smooth_field(batch, height, width, 3, generator)
    soft = gaussian_blur(1 - clear, uniform(0.3, 1.0, (batch,), generator))
    return (torch.where(chance(0.4, batch, generator), soft, 1 - clear) * uneven).clamp(0, 1)


def _flakes(
    layer: Layer, height: int, width: int, density: Tensor, scale: Tensor, fall: Tensor, speed: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Draw one layer: (B, 1, H, W); a lone flake in focus is 1 at most where it is opaque."""
    rows, columns = scattered(density.shape[0], height, width, layer.per_pixel, layer.side // 2, generator)
    shape = tuple(rows.shape)
    radius = log_uniform(*layer.radius, shape, generator) * scale
    # Each flake tumbles on a path of its own around the common one.
    angle = fall + 0.25 * uniform(-1, 1, shape, generator)
    path = (radius * speed * uniform(0, 4, shape, generator)).clamp(max=layer.side / 3)
    radius = torch.minimum(radius, (layer.side - 1 - path) / 2.6)
    # The thicker the snow falls, the more of its flakes are opaque.
    light = uniform(0.15, 1, shape, generator) ** (1.5 - density) * (
        uniform(0, 1, shape, generator) < density
    )
    light = light / (1 + 0.5 * path / radius)  # a moving flake spreads its light

    ys, xs = window(rows, columns, layer.side, layer.side)
    down, across = (ys - rows) / radius, (xs - columns) / radius
    along = down * angle.cos() + across * angle.sin()
    aside = across * angle.cos() - down * angle.sin()
    along = along.sign() * (along.abs() - path / (2 * radius)).clamp_min(0)
    # Bent and flattened discs: flakes clump, and are seldom round.
    along = (
        along * uniform(0.85, 1.5, shape, generator) + uniform(-0.35, 0.35, shape, generator) * aside.square()
    )
    aside = aside + uniform(-0.35, 0.35, shape, generator) * along.square()
    distance = (along.square() + aside.square()).sqrt()
    softness = uniform(*layer.softness, shape, generator).clamp_min(1 / layer.side)
    disc = ((1.15 - distance) / softness).clamp(0, 1)
    smooth = disc.square() * (3 - 2 * disc)
    return stamped(height, width, ys, xs, (smooth * light).unsqueeze(0))
