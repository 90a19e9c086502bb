"""Against the light: the surround is bright, the subject is left dark.

Source: what the pairs of Backlit300 and SICE show (Liang et al., "Iterative Prompt Learning for Unsupervised
Backlit Image Enhancement", ICCV 2023): regions of different exposure whose borders follow the scene.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, sensor_noise, stored, to_linear, to_srgb
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Leave the subject in shadow: half of its light at severity 0, a twentieth at severity 1."""
    batch = clean.shape[0]
    lit = surround_of(clean, generator)
    light = to_linear(clean)
    shadow = per_picture(0.55 * (0.06 / 0.55) ** severity) * uniform(0.8, 1.2, (batch, 1, 1, 1), generator)
    bright = 1 + uniform(0, 0.9, (batch, 1, 1, 1), generator) * per_picture(severity)
    light = light * torch.exp(torch.lerp(shadow.log(), bright.log(), lit))
    flare = per_picture(uniform(0, 0.03, (batch,), generator)) * chance(0.4, batch, generator)
    light = light + flare * smooth_field(batch, *clean.shape[2:], 2, generator)
    shot, read = log_uniform(1e-5, 8e-4, (batch,), generator), log_uniform(1e-4, 2e-3, (batch,), generator)
    return Degraded(stored(to_srgb(sensor_noise(light, shot, read, generator)), 70, 0.3, generator))


def surround_of(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Tell the surround from the subject: (B, 1, H, W), 1 in the light, 0 in the shadow.

    Bright things stay in the light; the border is soft and follows the picture's tones.
    """
    batch, _, height, width = clean.shape
    tone = gaussian_blur(clean.amax(1, keepdim=True), log_uniform(1, 12, (batch,), generator))
    middle = tone.mean((2, 3), keepdim=True)
    spread = tone.std((2, 3), keepdim=True).clamp_min(0.03)
    field = smooth_field(batch, height, width, 3, generator) - 0.5
    by_place = uniform(0, 2.5, (batch, 1, 1, 1), generator)
    score = (tone - middle) / spread + by_place * field + uniform(-0.9, 0.5, (batch, 1, 1, 1), generator)
    return torch.sigmoid(score * uniform(1.5, 5, (batch, 1, 1, 1), generator))
