"""Against the light: the surround is bright, the subject is left dark.

Source: what the pictures of Backlit300 show (Liang et al., "Iterative Prompt Learning for Unsupervised
Backlit Image Enhancement", ICCV 2023): two exposures in one frame, and the border between them is the
subject's outline. Borders follow outlines by a guided filter (He et al., "Guided Image Filtering", IEEE TPAMI
2013).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, sensor_noise, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, integer, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.light import to_linear, to_srgb
from cyclerdm_cli.tasks.low_light import developed

LEAST_SHADOW, DEEPEST_SHADOW = 0.4, 0.018
"""Share of its linear light that the subject keeps at severity 0 and 1."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Leave the subject in shadow: two fifths of its light at severity 0, a fiftieth at severity 1."""
    batch = clean.shape[0]
    lit = surround_of(clean, generator)
    light = to_linear(clean)
    shadow = per_picture(LEAST_SHADOW * (DEEPEST_SHADOW / LEAST_SHADOW) ** severity)
    shadow = shadow * uniform(0.85, 1.15, (batch, 1, 1, 1), generator)
    # The shadow is lit by the sky or by what stands around: a cast of its own.
    cast = uniform(-1, 1, (batch, 3, 1, 1), generator) * uniform(0, 0.2, (batch, 1, 1, 1), generator)
    bright = 1 + uniform(-0.15, 1.2, (batch, 1, 1, 1), generator) * per_picture(severity)
    light = light * torch.exp(torch.lerp(shadow.log() + cast, bright.log(), lit))
    light = light + veil_of(lit, severity, generator)
    shot, read = log_uniform(1e-5, 5e-4, (batch,), generator), log_uniform(1e-4, 1.5e-3, (batch,), generator)
    light = sensor_noise(light, shot, read, generator)
    picture = torch.where(chance(0.5, batch, generator), to_srgb(light), developed(light, generator))
    return Degraded(stored(picture, 70, 0.35, generator))


def surround_of(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Tell the surround from the subject: (B, 1, H, W) in [0, 1], 1 in the light, 0 in the shadow.

    The threshold lies where the tones of the picture part best, so that the border falls on outlines and not
    across an even sky. It is lower high up in the frame, where skies are, and moves a little from place to
    place.
    """
    batch, _, height, width = clean.shape
    guide = clean.amax(1, keepdim=True)
    radius = max(2, min(height, width) // integer(10, 24, generator))
    tone = guided(guide, guide, radius, uniform(0.002, 0.02, (batch, 1, 1, 1), generator))
    dark, bright = parted_tones(tone)
    parting = torch.lerp(dark, bright, uniform(0.3, 0.85, (batch, 1, 1, 1), generator))
    spread = tone.std((2, 3), keepdim=True).clamp_min(0.03)
    height_in_frame = torch.linspace(0.5, -0.5, height, device=clean.device).view(1, 1, -1, 1)
    by_place = uniform(0, 0.9, (batch, 1, 1, 1), generator) * height_in_frame
    by_place = by_place + uniform(0, 0.6, (batch, 1, 1, 1), generator) * (
        smooth_field(batch, height, width, 2, generator) - 0.5
    )
    steepness = uniform(2.5, 8, (batch, 1, 1, 1), generator)
    region = torch.sigmoid(((tone - parting) / spread + by_place) * steepness)
    return guided(region, guide, radius, 0.0015).clamp(0, 1)


def parted_tones(tone: Tensor) -> tuple[Tensor, Tensor]:
    """Part each picture into dark and bright where they differ most: their mean tones, both (B, 1, 1, 1).

    Source: Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE TSMC 1979.
    """
    levels = 48
    centres = torch.linspace(0, 1, levels, device=tone.device)
    places = (tone.clamp(0, 1) * (levels - 1)).round().long().flatten(1)
    counts = tone.new_zeros(len(tone), levels).scatter_add_(1, places, torch.ones_like(tone).flatten(1))
    shares = counts / counts.sum(1, keepdim=True)
    below, moment = shares.cumsum(1), (shares * centres).cumsum(1)
    mean = moment[:, -1:]
    between = (mean * below - moment) ** 2 / (below * (1 - below)).clamp_min(1e-4)
    border = between.argmax(1, keepdim=True)
    dark, bright = moment / below.clamp_min(1e-4), (mean - moment) / (1 - below).clamp_min(1e-4)
    return per_picture(dark.gather(1, border)), per_picture(bright.gather(1, border))


def guided(picture: Tensor, guide: Tensor, radius: int, smoothness: float | Tensor) -> Tensor:
    """Smooth a picture but keep its borders where the guide has edges (He et al. 2013, equations 5 to 8).

    The coefficients are found on a smaller picture: they are smooth, and windows cost most of the time.

    Args:
        picture: (B, 1, H, W). guide: (B, 1, H, W).
        radius: of the window, in pixels.
        smoothness: variance of the guide below which an area counts as flat.
    """
    height, width = guide.shape[2:]
    shrink = max(1, min(4, radius // 2))
    size = (max(1, height // shrink), max(1, width // shrink))
    small_picture, small_guide = (F.interpolate(plane, size=size, mode="area") for plane in (picture, guide))
    reach = max(1, radius // shrink)

    def window(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, 2 * reach + 1, 1, reach, count_include_pad=False)

    mean_guide, mean_picture = window(small_guide), window(small_picture)
    covariance = window(small_guide * small_picture) - mean_guide * mean_picture
    variance = window(small_guide * small_guide) - mean_guide * mean_guide
    slope = covariance / (variance + smoothness)
    lines = window(torch.cat([slope, mean_picture - slope * mean_guide], 1))
    lines = F.interpolate(lines, size=(height, width), mode="bilinear", align_corners=False)
    return lines[:, :1] * guide + lines[:, 1:]


def veil_of(lit: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return the light that strays in the lens, linear, (B, 3, H, W): strongest around what is bright."""
    batch, _, height, width = lit.shape
    small = F.interpolate(lit, size=(24, 24), mode="area")
    small = gaussian_blur(small, uniform(2, 6, (batch,), generator))
    glow = F.interpolate(small, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)
    strength = log_uniform(0.002, 0.06, (batch, 1, 1, 1), generator) * chance(0.5, batch, generator)
    tint = uniform(0.8, 1.15, (batch, 3, 1, 1), generator)
    return glow * strength * tint * (0.3 + 0.7 * per_picture(severity))
