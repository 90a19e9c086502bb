"""Rain: streaks one by one and streaked textures, in one to five directions, and the veil of far rain behind.

Sources: the appearance of streaks (Garg and Nayar, "Vision and Rain", IJCV 2007); several overlapping layers
of one direction each with a veil (Yang et al., "Deep Joint Rain Detection and Removal from a Single Image",
CVPR 2017: Rain100L has one kind of streak, Rain100H five); screen blending (Luo et al., "Removing Rain from a
Single Image via Discriminative Sparse Coding", ICCV 2015); noise that is blurred along a line and then given
contrast, the recipe of picture editors, in many directions and strengths (Fu et al., "Removing Rain from Single
Images via a Deep Detail Network", CVPR 2017); haze with the rain (Li et al., "Heavy Rain Image Restoration",
CVPR 2019).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.dehaze import invented_depth
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.stamping import scattered, stamped, window

STEEPEST = math.radians(52)
"""Streaks lean at most this far from the vertical: those drawn one by one are drawn row by row."""
DIRECTIONS, TEXTURES = 5, 3
"""At most so many in one picture."""
FAINTEST, STRONGEST = 0.012, 0.34
"""Light that rain adds, as root of the mean square, at severity 0 and 1: about 38 and 10 dB."""


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
    Layer(0.022, (4, 13), (0.9, 1.6), 17, 5, 0.35),  # far: short, thin, many
    Layer(0.009, (11, 44), (0.9, 2.4), 53, 7, 1.0),
    Layer(0.0012, (24, 88), (1.3, 4.5), 91, 13, 0.6),  # near: long, wide, few
)


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Let it rain: from a few faint streaks to bright dense ones in several directions behind a veil."""
    batch = len(clean)
    rain = rain_light(clean, severity, generator)
    # Most made rain, and much of the real, is grey; some takes on the colour of the sky.
    tint = 1 - uniform(0, 0.12, (batch, 3, 1, 1), generator) * chance(0.25, batch, generator)
    # 0 adds the light, 1 blends by screen: bright places then gain less.
    screen = uniform(0, 1.5, (batch, 1, 1, 1), generator).clamp(max=1) * chance(0.5, batch, generator)
    misty = veiled(clean, severity, generator)
    return Degraded(stored(misty + rain * tint * (1 - screen * misty), 70, 0.2, generator))


def veiled(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Hang far rain behind the streaks: in most pictures little or none, in some as thick as haze."""
    batch, _, height, width = clean.shape
    drizzle = uniform(-0.4, 0.5, (batch, 1, 1, 1), generator).clamp_min(0)
    drizzle = drizzle * (0.6 + 0.4 * smooth_field(batch, height, width, 3, generator))
    thick = uniform(0.2, 1.5, (batch, 1, 1, 1), generator)
    hazy = chance(0.15, batch, generator).flatten()
    if bool(hazy.any()):
        drizzle[hazy] = 1 - torch.exp(-thick[hazy] * invented_depth(clean[hazy], generator))
    veil = drizzle * per_picture((severity - 0.3).clamp_min(0) / 0.7)
    return torch.lerp(clean, uniform(0.5, 0.95, (batch, 1, 1, 1), generator), veil)


def rain_light(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return the light that streaks add, (B, 1, H, W), at least 0; severity sets how much it is in all."""
    batch, _, height, width = clean.shape
    angles = fallen_directions(severity, generator)
    # A third of the pictures has streaks one by one, a third a texture of them, a third both.
    kind = uniform(0, 3, (batch, 1, 1, 1), generator)
    rain = _textures(height, width, angles, severity, generator) * (kind > 1)
    # Small where the rain is far or the picture was shrunk.
    scale = log_uniform(0.7, 1.5, (batch,), generator)
    for layer in LAYERS:
        density = (0.06 + 0.8 * severity**1.3) * log_uniform(0.4, 1.8, (batch,), generator)
        light = uniform(0.3, 1, (batch, 1, 1, 1), generator) * chance(layer.presence, batch, generator)
        streaks = _streaks(layer, height, width, angles, scale, density, generator)
        rain = rain + light * (kind < 2) * streaks
    thinnest = uniform(0, 0.9, (batch, 1, 1, 1), generator) ** 2
    rain = rain * (1 - thinnest * smooth_field(batch, height, width, 4, generator))
    soft = gaussian_blur(rain, uniform(0.3, 1.1, (batch,), generator))
    rain = torch.where(chance(0.2, batch, generator), soft, rain)
    wanted = per_picture(FAINTEST * (STRONGEST / FAINTEST) ** severity)
    wanted = wanted * log_uniform(0.75, 1.3, (batch, 1, 1, 1), generator)
    found = rain.square().mean((1, 2, 3), keepdim=True).sqrt()
    return (rain * (wanted / found.clamp_min(1e-4))).clamp(0, 1)


def fallen_directions(severity: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the directions of a picture's rain: (B, 5), radians from the vertical, the first the wind's.

    In light rain all are nearly the wind's, in the heaviest up to five differ as gusts and editors make them.
    """
    batch = len(severity)
    wind = uniform(-1, 1, (batch, 1), generator) * uniform(0, 0.8, (batch, 1), generator)
    jitter = log_uniform(0.02, 0.2, (batch, 1), generator) * uniform(-1, 1, (batch, DIRECTIONS), generator)
    gusty = uniform(0, 1, (batch, 1), generator) < (0.1 + 0.6 * severity.unsqueeze(1))
    crossing = uniform(0.2, 1, (batch, 1), generator) * uniform(-0.9, 0.9, (batch, DIRECTIONS), generator)
    angles = wind + torch.where(gusty & (severity.unsqueeze(1) > 0.4), crossing, jitter)
    # Of one to five directions each of the five places takes one.
    count = uniform(1, DIRECTIONS + 1, (batch, 1), generator).long()
    places = torch.arange(DIRECTIONS, device=angles.device) % count
    return angles.gather(1, places).clamp(-STEEPEST, STEEPEST)


def _streaks(
    layer: Layer, height: int, width: int, angles: Tensor, scale: Tensor, density: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Draw one layer: (B, 1, H, W); a streak of average light peaks at about 0.6."""
    batch = len(angles)
    rows, columns = scattered(batch, height, width, layer.per_pixel, layer.rows // 2, generator)
    shape = tuple(rows.shape)
    which = uniform(0, DIRECTIONS, shape, generator).long().clamp(max=DIRECTIONS - 1)
    sideways = log_uniform(0.005, 0.1, (batch, 1, 1, 1), generator) * uniform(-1, 1, shape, generator)
    angle = angles.gather(1, which.view(batch, -1)).view(shape) + sideways
    angle = angle.clamp(-STEEPEST, STEEPEST)
    near = per_picture(scale)
    typical = near * log_uniform(*layer.length, (batch, 1, 1, 1), generator)
    length = (typical * log_uniform(0.6, 1.5, shape, generator)).clamp(3, layer.rows - 2) * angle.cos()
    breadth = near.sqrt() * log_uniform(*layer.half_width, (batch, 1, 1, 1), generator)
    breadth = breadth * log_uniform(0.75, 1.3, shape, generator) / angle.cos()
    # Stubby ones would pass for snow.
    breadth = torch.minimum(breadth, length / 6).clamp(1, layer.columns / 2)
    # Light falls off over the streaks as it does over drops of many sizes: few are bright; in some made rain
    # all are alike.
    light = (0.15 - 0.55 * uniform(0, 1, shape, generator).clamp_min(0.02).log()) * 0.8
    light = torch.lerp(light, light.new_ones(()), uniform(0, 1, (batch, 1, 1, 1), generator) ** 2)
    light = light * (uniform(0, 1, shape, generator) < per_picture(density))

    down = torch.arange(layer.rows, device=angles.device).view(-1, 1) - layer.rows // 2
    middles = columns + down * angle.tan()
    ys, xs = window(rows, middles, layer.rows, layer.columns)
    along = (ys - rows) / (length / 2)
    # Share of the half length over which a streak fades.
    ends = log_uniform(0.1, 1, (batch, 1, 1, 1), generator)
    fade = ((1 - along.abs()) / ends).clamp(0, 1) * light
    across = (1 - ((xs - middles) / breadth).abs()).clamp_min(0)
    return stamped(height, width, ys, xs, (across * fade).unsqueeze(0))


def _textures(
    height: int, width: int, angles: Tensor, severity: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw up to three textures as picture editors do, noise -> motion blur -> contrast: (B, 1, H, W)."""
    batch = len(angles)
    shape = (batch, TEXTURES, 1, 1)
    length, breadth = log_uniform(8, 150, shape, generator), log_uniform(0.45, 2.6, shape, generator)
    breadth = torch.minimum(breadth, length / 8)
    # Streaks that lie on each other at an average place: below 1 they are told apart, at 30 they are a grain.
    overlap = log_uniform(0.06, 30, shape, generator)
    share = (overlap / (length * 2.5 * breadth)).clamp(max=1)
    seeds = (1 - uniform(0, 1, (batch, TEXTURES, height, width), generator) / share).clamp_min(0)
    field = _blurred_along(seeds, angles[:, :TEXTURES, None, None], length, breadth)
    # Contrast: what lies below a level turns black, what lies above another white.
    touched = (0.1 + 0.85 * per_picture(severity)) * uniform(0.45, 1.25, shape, generator)
    white = uniform(0.002, 0.1, shape, generator) * touched
    ordered = field[..., ::3, ::3].flatten(2).sort(2).values
    black, white = (
        ordered.gather(2, ((1 - part.clamp(max=0.98)).flatten(2) * (ordered.shape[2] - 1)).long()).unsqueeze(
            3
        )
        for part in (touched, white)
    )
    light = ((field - black) / (white - black).clamp_min(1e-5)).clamp(0, 1)
    strength = uniform(0.2, 1, shape, generator) * (uniform(0, 1, shape, generator) < 0.6)
    strength[:, 0] = 1
    return (light * strength).sum(1, keepdim=True)


def _blurred_along(picture: Tensor, angle: Tensor, length: Tensor, breadth: Tensor) -> Tensor:
    """Blur along lines as long as `length`, softly to their sides; what leaves the frame enters opposite.

    Args:
        picture: (B, C, H, W).
        angle, length, breadth: (B, C, 1, 1): radians from the vertical; pixels; pixels of standard deviation.
    """
    height, width = picture.shape[2:]
    down = torch.fft.fftfreq(height, device=picture.device).unsqueeze(1)
    right = torch.fft.rfftfreq(width, device=picture.device)
    along, across = down * angle.cos() + right * angle.sin(), right * angle.cos() - down * angle.sin()
    ends = 0.6 + 0.08 * length  # without soft ends the lines would ring
    soft = torch.exp(-2 * math.pi**2 * ((breadth * across).square() + (ends * along).square()))
    spectrum = torch.fft.rfft2(picture) * (torch.sinc(along * length) * soft)
    return torch.fft.irfft2(spectrum, s=(height, width))
