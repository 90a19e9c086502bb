"""Under water: red is swallowed first, and the water between adds its own colour.

Sources: I_c = J_c exp(-a_c d) + B_c (1 - exp(-b_c d)) with light that fell through D metres of water (Akkaynak
and Treibitz, "A Revised Underwater Image Formation Model", CVPR 2018); attenuation by Jerlov water type
(Solonenko and Mobley, "Inherent optical properties of Jerlov water types", Applied Optics 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.dehaze import invented_depth
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, normal, uniform

WATERS = (
    (0.24, 0.058, 0.022),  # I      clear ocean, blue
    (0.26, 0.070, 0.042),  # II
    (0.30, 0.095, 0.090),  # III
    (0.31, 0.115, 0.160),  # 1C     coast, green
    (0.36, 0.150, 0.270),  # 3C
    (0.42, 0.220, 0.440),  # 5C
    (0.55, 0.340, 0.700),  # 7C     yellow
)
"""Attenuation of red, green and blue a metre, approximate, by Jerlov water type."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Submerge: a slight cast near the surface up to a murky green or blue."""
    batch = clean.shape[0]
    waters = clean.new_tensor(WATERS)
    place = uniform(0, len(WATERS) - 1.001, (batch,), generator)
    first = place.long()
    attenuation = torch.lerp(waters[first], waters[first + 1], (place - first)[:, None])[:, :, None, None]
    attenuation = attenuation * uniform(0.8, 1.25, (batch, 3, 1, 1), generator)
    # Murky water is photographed from near: the same severity means about the same loss.
    reach = per_picture(0.35 + 2.2 * severity) / attenuation[:, 0:1]
    distance = reach * invented_depth(clean, generator) * 0.8
    depth = reach * uniform(0.1, 0.7, (batch, 1, 1, 1), generator)
    balanced = uniform(0.0, 0.7, (batch, 1, 1, 1), generator)  # the camera's white balance took a part back
    ambient = torch.exp(-attenuation * depth)
    ambient = ambient / ambient.amax(1, keepdim=True) ** balanced
    direct = torch.exp(-attenuation * distance)
    backscatter = ambient * (1 - torch.exp(-attenuation.mean(1, keepdim=True) * uniform(0.5, 1.4, (batch, 3, 1, 1), generator) * distance))
    soft = gaussian_blur(clean, 0.3 + 1.6 * severity * uniform(0, 1, (batch,), generator))
    seen = torch.lerp(clean, soft, (1 - direct.mean(1, keepdim=True)) * uniform(0.5, 1, (batch, 1, 1, 1), generator))
    water = uniform(0.4, 0.95, (batch, 1, 1, 1), generator)
    wet = seen * torch.lerp(ambient, ambient.new_ones(1), uniform(0, 0.5, (batch, 1, 1, 1), generator)) * direct + water * backscatter
    wet = wet * uniform(0.85, 1.25, (batch, 1, 1, 1), generator)
    noise = per_picture(log_uniform(0.002, 0.02, (batch,), generator)) * chance(0.5, batch, generator)
    return Degraded(stored(wet + noise * normal(tuple(clean.shape), generator), 60, 0.35, generator))
