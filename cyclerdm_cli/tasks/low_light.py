"""Low light: too few photons, so that the picture is dark, noisy, tinted and coarse.

Sources: exposure and noise act in linear light before the tone curve (Wei et al., "A Physics-Based Noise
Formation Model for Extreme Low-Light Raw Denoising", CVPR 2020); dark pairs of real cameras show exposures of
2 to 30 per cent and a tone curve that differs from that of the bright partner (Wei et al., "Deep Retinex
Decomposition", BMVC 2018; Cai et al., SICE, IEEE TIP 2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import per_picture, sensor_noise, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.light import to_linear, to_srgb

DARKEST_EXPOSURE = 0.02
MIDDLE_GREY = 0.18
"""Linear light that is darkened alike by exposure and by contrast."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Under-expose: from half of the light down to a fiftieth of it, at night with lamps that stay bright."""
    batch, _, height, width = clean.shape
    exposure = per_picture(0.5 * (DARKEST_EXPOSURE / 0.5) ** severity)
    # At night the scene's own contrast is high: a share of the darkness spares what is bright.
    spared = uniform(0, 0.9, (batch, 1, 1, 1), generator) * chance(0.5, batch, generator)
    contrast = 1 + spared * exposure.log() / math.log(MIDDLE_GREY)
    cast = uniform(0.8, 1.2, (batch, 3, 1, 1), generator)
    lamp = 1 - uniform(0, 0.9, (batch, 1, 1, 1), generator) * smooth_field(batch, height, width, 2, generator)
    light = to_linear(clean).clamp_min(1e-6) ** contrast * exposure ** (1 - spared) * cast
    light = light * torch.where(chance(0.4, batch, generator), lamp, 1.0)
    gain = 1 - 0.7 * severity  # less light: fewer photons, and the sensor's own noise shows
    shot = log_uniform(1e-5, 1.5e-3, (batch,), generator) / (1 + gain)
    read = log_uniform(1e-4, 4e-3, (batch,), generator) * (1.3 - gain)
    light = torch.where(chance(0.75, batch, generator), sensor_noise(light, shot, read, generator), light)
    # The camera's own curve: a contrast that the bright picture does not have.
    curve = uniform(0.85, 1.25, (batch, 1, 1, 1), generator)
    dark = to_srgb(light).clamp_min(1e-6) ** curve
    return Degraded(stored(dark, 60, 0.25, generator))
