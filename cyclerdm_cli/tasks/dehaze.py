"""Haze, mist and fog by the scattering model I = J t + A (1 - t), t = exp(-beta d).

Source: Koschmieder 1924, as used by He et al., "Single Image Haze Removal Using Dark Channel Prior", CVPR 2009,
and for the RESIDE set (Li et al., "Benchmarking Single-Image Dehazing and Beyond", IEEE TIP 2019: beta 0.6 to
1.8 in rooms, A 0.7 to 1.0). A photograph has no depth map, so depth is invented: a room, a street or a
landscape in perspective with things standing in it, fitted to the picture's own edges by a guided filter (He et
al., "Guided Image Filtering", IEEE TPAMI 2013).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.tasks.backlight import guided
from cyclerdm_cli.tasks.camera import per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, integer, log_uniform, normal, smooth_field, uniform
from cyclerdm_cli.tasks.light import expose_well, fill_range

LEAST_LEFT = 0.04
"""Transmission at which the haze ends: what is behind it could not be told from noise."""
THINNEST, THICKEST = 0.05, 1.8
"""Optical thickness of the haze at the scene's mean distance, at severity 0 and 1: t = 0.95 and 0.17."""
EVEN_SHARE, MOST_RELIEF = 0.3, 0.5
"""Share of the pictures whose haze lies nearly evenly over near and far, sky and ground, and the power up to which
their distances are raised: thin haze, mist on the lens, light that strays in it."""
CLEAR_SHARE = 0.8
"""Share of the photographs that get the contrast of a clear day before haze is laid over them."""
COARSE = 4
"""Distances are invented on a picture of a quarter of the size."""
NOWHERE = 1e4
"""Distance in metres of a wall that is not there."""
THINGS = 6
"""Pieces of furniture, cars, people or houses in a scene."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Lay haze over the scene: light mist up to fog that leaves a tenth of the contrast and less far away."""
    batch = len(clean)
    clean = draw_clear_day(clean, generator)
    depth = invented_depth(clean, generator)
    even = uniform(0, MOST_RELIEF, (batch, 1, 1, 1), generator)
    depth = depth ** torch.where(chance(EVEN_SHARE, batch, generator), even, 1.0)
    depth = depth / depth.mean((2, 3), keepdim=True)
    thickness = per_picture(THINNEST + (THICKEST - THINNEST) * severity**1.3)
    thickness = thickness * uniform(0.8, 1.2, (batch, 1, 1, 1), generator)
    transmission = torch.exp(-thickness * depth).clamp_min(LEAST_LEFT)
    # Made haze mixes stored values, real haze light: anywhere between, half of the pictures the former.
    curve = uniform(0, 2.2, (batch, 1, 1, 1), generator).clamp_min(1)
    light = torch.lerp(airlight(clean, depth, generator) ** curve, clean**curve, transmission)
    hazy = light.clamp_min(1e-6) ** (1 / curve)
    noise = uniform(0, 0.015, (batch, 1, 1, 1), generator) * normal(tuple(clean.shape), generator)
    return Degraded(stored(hazy + noise * chance(0.5, batch, generator), 50, 0.35, generator), wanted=clean)


def draw_clear_day(photographs: Tensor, generator: torch.Generator) -> Tensor:
    """Give most photographs the contrast and light of a clear day: what is wanted when the haze is gone.

    Many are a little misty or flat themselves, and whoever learns from them leaves as much of the haze.
    """
    shape = (len(photographs), 1, 1, 1)
    full = fill_range(photographs, uniform(0.4, 1, shape, generator))
    full = expose_well(full, torch.zeros(shape, dtype=torch.bool, device=photographs.device))
    return torch.where(chance(CLEAR_SHARE, len(photographs), generator), full, photographs)


def airlight(clean: Tensor, depth: Tensor, generator: torch.Generator) -> Tensor:
    """Return the colour of endless haze, (B, 3, H, W): mostly grey, in some pictures tinted or uneven.

    In some it is that of what is farthest: the sky then stays as it is.
    """
    batch, _, height, width = clean.shape
    level = uniform(0.68, 1.0, (batch, 1, 1, 1), generator)
    dusk = uniform(0.5, 0.7, (batch, 1, 1, 1), generator)
    level = torch.where(chance(0.06, batch, generator), dusk, level)
    warmth = uniform(-0.07, 0.07, (batch, 1, 1, 1), generator) * chance(0.4, batch, generator)
    tint = warmth * clean.new_tensor([1.0, 0.2, -1.0]).view(1, 3, 1, 1)
    colour = level + tint + uniform(-0.015, 0.015, (batch, 3, 1, 1), generator)
    few, far = clean[..., ::COARSE, ::COARSE], depth[..., ::COARSE, ::COARSE]
    far = far.square() * few.mean(1, keepdim=True)
    sky = (few * far).sum((2, 3), keepdim=True) / far.sum((2, 3), keepdim=True).clamp_min(1e-4)
    sky = (sky / sky.mean(1, keepdim=True).clamp_min(0.05)).clamp(0.85, 1.15) * level
    as_sky = chance(0.4, batch, generator) * uniform(0, 1, (batch, 1, 1, 1), generator)
    colour = torch.lerp(colour, sky, as_sky).clamp(0, 1)
    darker = uniform(0, 0.2, (batch, 1, 1, 1), generator) * chance(0.4, batch, generator)
    shade = darker * smooth_field(batch, height // COARSE, width // COARSE, 2, generator)
    return colour * (1 - F.interpolate(shade, size=(height, width), mode="bilinear", align_corners=False))


def invented_depth(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Invent how far away everything is: (B, 1, H, W), 1 on average in each picture."""
    height, width = clean.shape[2:]
    grey = clean.mean(1, keepdim=True)
    tone = F.avg_pool2d(grey, COARSE, ceil_mode=True, count_include_pad=False)
    batch, _, rows, columns = tone.shape
    log_distance = scene(tone, generator).log()
    # Haze drifts and nothing is as plain as a wall; what differs in tone differs in distance too.
    relief = smooth_field(batch, rows, columns, 5, generator) - 0.5
    log_distance = log_distance + uniform(0, 1, (batch, 1, 1, 1), generator) * relief
    log_distance = log_distance + uniform(-0.6, 0.6, (batch, 1, 1, 1), generator) * (tone - 0.5)
    log_distance = F.interpolate(log_distance, size=(height, width), mode="bilinear", align_corners=False)
    radius = max(2, min(height, width) // integer(8, 24, generator))
    smoothness = log_uniform(0.0005, 0.01, (batch, 1, 1, 1), generator)
    fitted = guided(log_distance, grey, radius, smoothness)
    distance = fitted.exp()
    return distance / distance.mean((2, 3), keepdim=True)


def scene(tone: Tensor, generator: torch.Generator) -> Tensor:
    """Build a room, a street or a landscape: distances in metres, shaped like `tone`, (B, 1, H, W)."""
    batch, _, height, width = tone.shape
    shape = (batch, 1, 1, 1)
    opening = uniform(0.35, 0.9, shape, generator)  # half the angle of view, as a tangent
    down = torch.linspace(-1, 1, height, device=tone.device).view(1, 1, -1, 1)
    right = torch.linspace(-1, 1, width, device=tone.device).view(1, 1, 1, -1)
    below = (down - uniform(-1.1, 0.5, shape, generator)) * opening  # the horizon
    aside = (right - uniform(-0.8, 0.8, shape, generator)) * opening

    outdoors = chance(0.45, batch, generator)
    end = torch.where(outdoors, log_uniform(8, 120, shape, generator), log_uniform(1.5, 9, shape, generator))
    wide = torch.where(outdoors, log_uniform(2, 20, shape, generator), log_uniform(0.7, 4, shape, generator))
    floor = log_uniform(0.5, 2.5, shape, generator)
    ceiling = torch.where(outdoors, NOWHERE, uniform(0.6, 2, shape, generator))
    left, on_right = (torch.where(chance(0.35, batch, generator), NOWHERE, wide) for _ in range(2))
    distance = torch.minimum(end, torch.where(below > 0, floor, ceiling) / below.abs().clamp_min(1e-3))
    distance = torch.minimum(distance, torch.where(aside > 0, on_right, left) / aside.abs().clamp_min(1e-3))
    distance = torch.minimum(distance, end * things(down, right, generator, batch))
    # What is bright and high above the horizon is sky.
    sky = torch.sigmoid(12 * (tone - uniform(0.45, 0.75, shape, generator)) - 4 * below) * outdoors
    # Often the haze is a layer: the sky shines through it better than what stands at the horizon does.
    clearer = log_uniform(0.15, 1, shape, generator)
    return torch.lerp(distance.clamp_min(0.4), end * clearer, sky)


def things(down: Tensor, right: Tensor, generator: torch.Generator, batch: int) -> Tensor:
    """Stand boxes in the scene: (B, 1, H, W), share of the way to its end at which one meets them, 1 if none."""
    shape = (batch, THINGS, 1, 1)
    inside = (down - uniform(-0.6, 1, shape, generator)).abs() < log_uniform(0.1, 0.8, shape, generator)
    inside = inside & (
        (right - uniform(-1, 1, shape, generator)).abs() < log_uniform(0.06, 0.6, shape, generator)
    )
    inside = inside & (uniform(0, 1, shape, generator) < uniform(0, 1, (batch, 1, 1, 1), generator))
    way = torch.where(inside, log_uniform(0.12, 0.9, shape, generator), 1.0)
    return way.amin(1, keepdim=True)
