"""Drops on the glass: each is a small lens that shows a wide, upside-down view, blurred by being near.

Sources: refraction by drops (Roser et al., "Realistic Modeling of Water Droplets for Monocular Adherent
Raindrop Recognition", ACCV 2010 workshops); what a sharp background with soft drops looks like (Qian et al.,
"Attentive Generative Adversarial Network for Raindrop Removal from a Single Image", CVPR 2018).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.stamping import scattered, stamped, window


class Size(NamedTuple):
    """Drops of one size; radii in pixels."""

    per_pixel: float
    """Drops a pixel on the wettest glass."""
    radius: tuple[float, float]
    side: int
    """Of the square in which a drop must fit; its outline reaches 1.4 radii at most."""
    presence: float
    """Share of the pictures that have such drops."""


SIZES = (
    Size(0.009, (0.9, 3.4), 9, 0.7),  # spatter
    Size(0.0036, (2.8, 8.5), 25, 1.0),
    Size(0.00028, (8.0, 25.0), 69, 0.5),
)
TRAIL_ROWS, TRAIL_COLUMNS = 121, 13
IN_FOCUS = 0.5
"""Share of the pictures whose glass is as sharp as the scene: outlines, rims and glints are hard."""
COARSE = 4
"""What drops show is so compressed that a picture of a quarter of the size serves."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Wet the glass: from some fine spatter to many drops of up to 60 pixels."""
    batch, _, height, width = clean.shape
    layers = water(clean, severity, generator)
    alpha, seen = layers[:, :1].clamp(0, 1), _seen(clean, layers, generator)
    # The camera looks at the scene, so that the glass is out of focus: colour and coverage blur together.
    # Where it is not, as on a window close by, outlines and rims are sharp.
    defocus = log_uniform(0.3, 4.5, (batch,), generator) * (0.7 + 0.3 * severity)
    in_focus = chance(IN_FOCUS, batch, generator).flatten()
    defocus = torch.where(in_focus, uniform(0.05, 0.6, (batch,), generator), defocus)
    blurred = gaussian_blur(torch.cat([alpha, alpha * seen], 1), defocus)
    alpha, premultiplied = blurred[:, :1], blurred[:, 1:]
    thinnest = uniform(0, 1, (batch, 1, 1, 1), generator) ** 2
    uneven = 1 - thinnest * smooth_field(batch, height, width, 3, generator)
    opacity = per_picture(uniform(0.75, 1.0, (batch,), generator) * (0.6 + 0.4 * severity)) * uneven
    return Degraded(stored(clean * (1 - alpha * opacity) + premultiplied * opacity, 70, 0.3, generator))


def water(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Cover the glass with drops and trails.

    Returns:
        (B, 4, H, W): how much of the pixel is covered (0 to 1, more where drops meet); and, each times that
        coverage, by how many pixels the view is shifted down and to the right, and how bright its light is
        (0 black, 1 as it is, 2 all sky).
    """
    batch, _, height, width = clean.shape
    # Pixels from the drop's middle to what its rim shows.
    view = log_uniform(25, 220, (batch, 1, 1, 1), generator)
    scale = log_uniform(0.7, 1.2, (batch, 1, 1, 1), generator)
    layers = clean.new_zeros(batch, 4, height, width)
    for size in SIZES:
        rows, columns = scattered(batch, height, width, size.per_pixel, size.side // 2, generator)
        shape = tuple(rows.shape)
        radius = (log_uniform(*size.radius, shape, generator) * scale).clamp(max=(size.side / 2 - 1) / 1.4)
        density = per_picture((0.05 + 0.95 * severity) * log_uniform(0.45, 2, (batch,), generator))
        density = density * chance(size.presence, batch, generator)
        there = (uniform(0, 1, shape, generator) < density).float()
        layers = layers + _drops(height, width, size.side, rows, columns, radius, there, view, generator)
    # The last and largest are heavy enough to slide.
    sliding = there * chance(0.4, batch, generator) * (uniform(0, 1, shape, generator) < 0.4)
    return layers + _trails(height, width, rows, columns, radius, sliding, view, generator)


def _drops(
    height: int, width: int, side: int, rows: Tensor, columns: Tensor, radius: Tensor, there: Tensor,
    view: Tensor, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Draw drops of one size, (B, 4, H, W) as `water` returns them."""
    shape = tuple(rows.shape)
    ys, xs = window(rows, columns, side, side)
    down, across = (ys - rows) / radius, (xs - columns) / radius
    # Gravity, dirt and neighbours: outlines are longer than wide, heavier below, and bent.
    down = down * uniform(0.75, 1.1, shape, generator)
    down = down + uniform(-0.3, 0.3, shape, generator) * across.square()
    across = across * (1.1 - 0.25 * uniform(-0.4, 1, shape, generator) * down)
    across = across + uniform(-0.3, 0.3, shape, generator) * down.square()
    squared = down.square() + across.square()
    alpha = ((1 - squared) * radius / 2 + 0.5).clamp(0, 1) * there  # an edge about one pixel wide
    steep = view * (0.35 + 0.65 * squared.clamp(max=1.2))  # the rim bends light most
    # Upside down: the sky shines through the lower part, the ground darkens the upper, the rim reflects both.
    sky = uniform(-0.2, 1.5, shape, generator) * (down + 0.15).clamp(-0.7, 0.9)
    rim = uniform(-0.1, 1, shape, generator) * squared.square().clamp(max=1.3)
    # A lamp or the sun is mirrored as a small bright spot, most often off the middle.
    beside = (across - uniform(-0.6, 0.6, shape, generator)).square()
    above = (down - uniform(-0.7, 0.5, shape, generator)).square()
    small = log_uniform(0.01, 0.12, shape, generator)
    glint = uniform(-0.6, 1.6, shape, generator).clamp_min(0) * torch.exp(-(beside + above) / small)
    light = (uniform(0.6, 1.4, shape, generator) + sky - rim + glint).clamp(0.03, 2)
    values = torch.stack([alpha, -alpha * down * steep, -alpha * across * steep, alpha * light])
    return stamped(height, width, ys, xs, values)


def _trails(
    height: int, width: int, rows: Tensor, columns: Tensor, radius: Tensor, there: Tensor,
    view: Tensor, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Draw the wet paths above drops that slide down, (B, 4, H, W) as `water` returns them."""
    shape = tuple(rows.shape)
    up = TRAIL_ROWS - 1 - torch.arange(TRAIL_ROWS, device=rows.device).view(-1, 1)
    wave = torch.sin(up / uniform(9, 30, shape, generator))
    swing = uniform(0, 4, shape, generator) * wave * up / TRAIL_ROWS
    ys, xs = window(rows - TRAIL_ROWS // 2, columns + swing, TRAIL_ROWS, TRAIL_COLUMNS)
    share = up / uniform(25, TRAIL_ROWS, shape, generator)  # of the trail's length
    half = (radius * uniform(0.25, 0.6, shape, generator) * (1 - 0.6 * share)).clamp(1, TRAIL_COLUMNS / 2 - 1)
    across = (xs - columns - swing) / half
    alpha = ((1 - across.abs()) * half + 0.5).clamp(0, 1) * (1 - share).clamp_min(0).sqrt()
    alpha = alpha * there * uniform(0.3, 0.9, shape, generator)
    light = uniform(0.8, 1.2, shape, generator) - 0.25 * across.square()
    sideways = -alpha * across * view * 0.4
    values = torch.stack([alpha, torch.zeros_like(alpha), sideways, alpha * light.clamp_min(0.1)])
    return stamped(height, width, ys, xs, values)


def _seen(clean: Tensor, layers: Tensor, generator: torch.Generator) -> Tensor:
    """Return what the water shows at each pixel, (B, 3, H, W)."""
    batch, _, height, width = clean.shape
    shifts = layers[:, 1:] / layers[:, :1].clamp_min(1e-3)
    coarse = F.avg_pool2d(clean, COARSE, ceil_mode=True, count_include_pad=False)
    coarse = gaussian_blur(coarse, uniform(0.4, 1.5, (batch,), generator))
    rows = (torch.arange(height, device=clean.device) + 0.5).view(1, -1, 1)
    columns = (torch.arange(width, device=clean.device) + 0.5).view(1, 1, -1)
    place = torch.stack([(columns + shifts[:, 1]) * 2 / width - 1, (rows + shifts[:, 0]) * 2 / height - 1], 3)
    seen = F.grid_sample(coarse, place, mode="bilinear", padding_mode="reflection", align_corners=False)
    light = shifts[:, 2:]
    # A drop sees far beyond the frame, mostly sky: brighter than the picture's average, nearly white.
    brightest = coarse.amax((2, 3), keepdim=True)
    sky = torch.lerp(brightest, brightest.new_ones(()), uniform(0, 0.8, (batch, 1, 1, 1), generator))
    seen = torch.lerp(seen, coarse.mean((2, 3), keepdim=True), uniform(0, 0.6, (batch, 1, 1, 1), generator))
    return torch.lerp(seen * light.clamp(0, 1), sky, (light - 1).clamp(0, 1))
