"""Low light and wrong exposure: dark, noisy, tinted and coarse; in some pictures only dull, or too bright.

Sources: exposure and noise act in linear light before the tone curve (Wei et al., "A Physics-Based Noise
Formation Model for Extreme Low-Light Raw Denoising", CVPR 2020); dark pairs of real cameras show exposures of
1 to 30 per cent and a tone curve that differs from that of the bright partner (Wei et al., "Deep Retinex
Decomposition", BMVC 2018; Cai et al., SICE, IEEE TIP 2018: brackets without much noise); what retouchers correct
most is a little exposure and flat contrast and colour (Bychkovsky et al., MIT-Adobe FiveK, CVPR 2011).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, sensor_noise, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform
from cyclerdm_cli.tasks.light import expose_well, to_linear

LEAST_LOSS, DARKEST_EXPOSURE = 0.7, 0.014
"""Share of the light that dark pictures keep at severity 0 and 1; less where the lamp does not reach."""
MIDDLE_GREY = 0.18
"""Linear light that is darkened alike by exposure and by contrast."""
DULL, TOO_BRIGHT = 0.2, 0.1
"""Share of the pictures that are flat and slightly dark, and of those with too much light; the rest is dark."""
BY_GAIN = 0.5
"""Share of the photographs that are well exposed by more light, which clips what is white; others by a curve."""
HIGH_CONTRAST = 0.35
"""Share of the dark pictures whose shadows sink further than their highlights."""
WHITE_LOSS = -2.4, 0.1
"""Logarithm of the factor on the light of what is white in these: from a tenth to as it should be."""


class Fault(NamedTuple):
    """What went wrong, one number a picture, each (B, 1, 1, 1)."""

    exposure: Tensor
    """Factor on the light of middle grey."""
    contrast: Tensor
    """Exponent of the light."""
    dull: Tensor
    """0 as it should be, 1 as flat as it gets."""
    noisy: Tensor
    """Whether the sensor's noise shows, 0 or 1."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Expose wrongly: mostly from two thirds of the light down to a seventieth, with lamps that stay bright."""
    batch, _, height, width = clean.shape
    fault = drawn_fault(severity, generator)
    clean = expose_well(clean, chance(BY_GAIN, batch, generator))
    cast = uniform(-1, 1, (batch, 3, 1, 1), generator) * uniform(0, 0.25, (batch, 1, 1, 1), generator)
    shade = uniform(0, 0.75, (batch, 1, 1, 1), generator) * chance(0.4, batch, generator)
    shade = shade * per_picture(severity.sqrt())
    lamp = 1 - shade * smooth_field(batch, height, width, 2, generator)
    middle = math.log(MIDDLE_GREY)
    light = (to_linear(clean).clamp_min(1e-5).log() - middle) * fault.contrast + middle
    light = torch.exp(light + fault.exposure.log() + cast) * lamp
    light = light + fault.noisy * noise_in(light, severity, generator)
    picture = developed(light, generator)
    lq = stored(flattened(picture, fault.dull, generator), 75, 0.3, generator)
    return Degraded(lq, wanted=clean)


def drawn_fault(severity: Tensor, generator: torch.Generator) -> Fault:
    """Draw whether each picture is dark, dull or too bright, and how much so."""
    batch = len(severity)
    shape = (batch, 1, 1, 1)
    kind, much = uniform(0, 1, shape, generator), per_picture(severity)
    dull, bright = kind < DULL, kind > 1 - TOO_BRIGHT
    log_exposure = math.log(LEAST_LOSS) + math.log(DARKEST_EXPOSURE / LEAST_LOSS) * much
    # At night, and where shadows are to be lifted, contrast is high: part of the darkness spares what is bright.
    spared = uniform(0, 0.7, shape, generator) * chance(0.5, batch, generator)
    contrast = torch.where(dull | bright, 1.0, 1 + spared * log_exposure / math.log(MIDDLE_GREY) / 2)
    slight = uniform(-1.5, 0.2, shape, generator) * (0.2 + 0.8 * much)
    log_exposure = torch.where(dull, slight, log_exposure)
    log_exposure = torch.where(bright, 0.15 + uniform(0.5, 1, shape, generator) * much, log_exposure)
    # Where the camera exposed for a sky or a lamp, what is white stays so, or sinks less than all else does.
    high = chance(HIGH_CONTRAST, batch, generator) & ~(dull | bright)
    steep = 1.2 + 2.3 * much * uniform(0.6, 1.2, shape, generator)
    contrast = torch.where(high, steep, contrast)
    kept_white = math.log(MIDDLE_GREY) * (steep - 1) + uniform(*WHITE_LOSS, shape, generator)
    log_exposure = torch.where(high, kept_white, log_exposure)
    flat = torch.where(dull, uniform(0.3, 1, shape, generator) * (0.3 + 0.7 * much), 0.0)
    noisy = chance(0.65, batch, generator) & ~(dull | bright)
    return Fault(log_exposure.exp(), contrast, flat, noisy.float())


def noise_in(light: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return the noise of the sensor, in half of the pictures as soft as its processing leaves it."""
    batch = len(light)
    gain = 1 - 0.7 * severity  # less light: fewer photons, and the sensor's own noise shows
    shot = log_uniform(1e-5, 1.2e-3, (batch,), generator) / (1 + gain)
    read = log_uniform(5e-5, 2.5e-3, (batch,), generator) * (1.3 - gain)
    noise = sensor_noise(light, shot, read, generator) - light
    sigma, soft = uniform(0.4, 0.8, (batch,), generator), chance(0.5, batch, generator).flatten()
    if bool(soft.any()):
        noise[soft] = gaussian_blur(noise[soft], sigma[soft]) * 1.4
    return noise


def developed(light: Tensor, generator: torch.Generator) -> Tensor:
    """Apply the camera's own curve: a power with a straight toe, steeper or flatter than sRGB's.

    A long toe swallows the shadows, as cameras do that hide their noise.
    """
    shape = (len(light), 1, 1, 1)
    power = 1 / uniform(1.9, 2.6, shape, generator)
    toe = log_uniform(0.0015, 0.012, shape, generator)
    swallowed = uniform(0, 0.0006, shape, generator) * chance(0.3, len(light), generator)
    curve = ((light - swallowed).clamp(0, 1) + toe).log().mul(power).exp()
    return (curve - toe**power) / ((1 + toe) ** power - toe**power)


def flattened(picture: Tensor, dull: Tensor, generator: torch.Generator) -> Tensor:
    """Lift the blacks, lower the whites and wash out colour, as far as `dull` says."""
    shape = (len(picture), 1, 1, 1)
    black, white = uniform(0, 0.14, shape, generator), uniform(0.72, 1, shape, generator)
    picture = torch.lerp(picture, black + (white - black) * picture, dull)
    return torch.lerp(picture, picture.mean(1, keepdim=True), dull * uniform(0, 0.5, shape, generator))
