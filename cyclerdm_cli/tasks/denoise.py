"""Noise: of sensors, films and files.

Sources: Poisson-Gaussian sensors: Foi et al., IEEE TIP 2008. Noise before demosaicing becomes correlated in
space and colour: Park et al., "A Case for Denoising Before Demosaicking", and the practical degradation model
of Zhang et al., "Practical Blind Denoising via Swin-Conv-UNet and Data Synthesis", MIR 2023.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import (
    gaussian_blur,
    per_picture,
    quantise,
    sensor_noise,
    stored,
)
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import log_uniform, normal, uniform
from cyclerdm_cli.tasks.light import to_linear, to_srgb

FAINTEST_SIGMA, HEAVIEST_SIGMA = 1.5 / 255, 65 / 255
"""Of the noise at severity 0 and 1: what is much fainter is lost in the rounding to 8 bits."""
WHITE, SENSOR = 0.5, 0.25
"""Shares of the pictures with white noise, and with that of a sensor; the others have noise with a structure."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Add noise: white Gaussian (every second picture), of a sensor, or correlated; some compressed after."""
    batch = clean.shape[0]
    sigma = FAINTEST_SIGMA + severity * (HEAVIEST_SIGMA - FAINTEST_SIGMA)
    white = clean + per_picture(sigma) * normal(tuple(clean.shape), generator)
    kind = uniform(0, 1, (batch, 1, 1, 1), generator)
    noisy = torch.where(
        kind < WHITE,
        white,
        torch.where(
            kind < WHITE + SENSOR,
            _sensor(clean, severity, generator),
            _correlated(clean, severity, generator),
        ),
    )
    return Degraded(torch.where(kind < WHITE, quantise(noisy), stored(noisy, 50, 0.4, generator)))


def _sensor(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Noise that grows with the light, added in linear light as a sensor does."""
    batch = clean.shape[0]
    shot = severity**2 * log_uniform(0.003, 0.06, (batch,), generator)
    read = 0.002 + severity * log_uniform(0.002, 0.04, (batch,), generator)
    return to_srgb(sensor_noise(to_linear(clean), shot, read, generator))


def _correlated(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Grain and blotches: what demosaicing, a camera's own denoiser and resizing leave of noise.

    Grain of about a pixel and blotches of several, whose colour channels move together, as cameras of many
    makers were measured to leave them; faint as often as strong.
    """
    batch = clean.shape[0]
    grain = _grain(clean, uniform(0.4, 1.4, (batch,), generator), generator)
    blotches = _grain(clean, log_uniform(1.5, 6, (batch,), generator), generator)
    coarse = uniform(0, 0.5, (batch, 1, 1, 1), generator)
    noise = (1 - coarse).sqrt() * grain + coarse.sqrt() * blotches
    # After the tone curve noise is stronger in the darker half of the scale.
    shadows = 1 - uniform(0, 0.7, (batch, 1, 1, 1), generator) * clean.mean(1, keepdim=True)
    strength = FAINTEST_SIGMA + severity * HEAVIEST_SIGMA * log_uniform(0.06, 0.6, (batch,), generator)
    return clean + per_picture(strength) * shadows * noise


def _grain(clean: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of variance 1, blurred by a Gaussian of `size` (B,) pixels, its channels alike by chance."""
    batch = clean.shape[0]
    grey = normal((batch, 1, *clean.shape[2:]), generator)
    shared = uniform(0, 1, (batch, 1, 1, 1), generator)
    noise = shared.sqrt() * grey + (1 - shared).sqrt() * normal(tuple(clean.shape), generator)
    noise = gaussian_blur(noise, size)
    return noise / noise.std((1, 2, 3), keepdim=True)
