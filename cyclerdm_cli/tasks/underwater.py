"""Under water: red is swallowed first, and the water between adds its own colour.

Sources: I_c = J_c exp(-a_c d) + B_c (1 - exp(-b_c d)), where both coefficients and the light that is left to
fall on the scene depend on the water (Akkaynak and Treibitz, "A Revised Underwater Image Formation Model",
CVPR 2018); attenuation by Jerlov water type and distances as in Li et al., "Underwater scene prior inspired
deep underwater image and video enhancement", Pattern Recognition 2020, table 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.dehaze import invented_depth
from cyclerdm_cli.tasks.draw import chance, log_uniform, normal, smooth_field, uniform
from cyclerdm_cli.tasks.light import balance_grey

_LEFT_AFTER_A_METRE = (
    (0.805, 0.961, 0.982),  # I    clear ocean: blue
    (0.804, 0.955, 0.975),  # IA
    (0.830, 0.950, 0.968),  # IB
    (0.800, 0.925, 0.940),  # II
    (0.750, 0.885, 0.890),  # III  open sea: teal
    (0.750, 0.885, 0.875),  # 1C   coast: green
    (0.710, 0.820, 0.800),  # 3C
    (0.670, 0.730, 0.670),  # 5C
    (0.620, 0.610, 0.500),  # 7C   harbour: yellow
    (0.550, 0.460, 0.290),  # 9C
)
WATERS = tuple(tuple(-math.log(left) for left in row) for row in _LEFT_AFTER_A_METRE)
"""Attenuation of red, green and blue a metre by Jerlov water type, clear ocean (I) to murky coast (9C)."""
_MURKIEST = 7.2
"""Murkiest water drawn, as a place in the list: beyond it, where blue goes first, few pictures are taken."""
MOST_VIVID = 3.5
"""Casts are raised to a power up to this: where the white balance fails, cameras make them more vivid yet."""
YELLOWEST = 0.9
"""Dissolved organic matter adds up to this share to the attenuation of blue (Bricaud et al., Limnology and
Oceanography 1981)."""
VEIL_FROM, VEIL_TO = 0.06, 0.2
"""Shares of green and blue that the water swallowed from which on a picture is wanted a little, and wholly, grey on
average: so choose people who judge restored dives."""
KEPT_BLUE, LEAST_RED = 0.15, 0.7
"""Power of the daylight's red under blue water that stays in what is wanted, so that open water looks like water,
and the least factor on red that comes of it, so that sand looks like sand."""
NEAREST, FARTHEST = 0.5, 15.0
"""Distances between camera and scene, in metres."""


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Submerge: a slight cast near the surface up to murky green, blue or yellow."""
    batch = clean.shape[0]
    attenuation = drawn_waters(batch, generator)
    distance = drawn_distances(clean, severity, attenuation, generator)
    # Plankton and sand scatter all colours alike.
    turbid = uniform(0, 1.4, (batch, 1, 1, 1), generator) * chance(0.6, batch, generator)
    turbid = turbid * per_picture(severity) * distance / distance.mean((2, 3), keepdim=True)
    direct = torch.exp(-attenuation * distance - turbid)
    sunlight = fallen_light(severity, attenuation, generator)
    # Through clear water colours are wanted as they were; behind a veil nobody knows them, and grey on average is.
    veil = 1 - direct[:, 1:].mean((1, 2, 3), keepdim=True)
    clean = balance_grey(clean, ((veil - VEIL_FROM) / (VEIL_TO - VEIL_FROM)).clamp(0, 1))
    blue = attenuation[:, 2:] <= attenuation[:, 1:2]
    kept = torch.where(blue, (sunlight[:, :1] ** KEPT_BLUE).clamp_min(LEAST_RED), 1.0)
    wanted = torch.cat([clean[:, :1] * kept, clean[:, 1:]], 1)
    # Training pictures have unknown tone curves: the water acts anywhere between encoded and linear light.
    curve = uniform(1.0, 2.2, (batch, 1, 1, 1), generator)
    light = clean.clamp_min(1e-4) ** curve
    sigma = (0.8 + 1.2 * severity) * uniform(0.3, 1.1, (batch,), generator)
    veiled = 1 - direct.mean(1, keepdim=True)
    # Forward scatter softens what is far, the housing's flat window all of it.
    softness = torch.maximum(1.5 * veiled, uniform(0, 1, (batch, 1, 1, 1), generator)).clamp(0, 1)
    light = torch.lerp(light, gaussian_blur(light, sigma), softness)

    spread = uniform(0.25, 1.3, (batch, 1, 1, 1), generator)
    backscatter = 1 - torch.exp(-attenuation * distance * spread - turbid)
    wet = light * direct * sunlight + water_colour(attenuation, sunlight, generator) * backscatter
    # Light comes from above.
    above = torch.linspace(0.5, -0.5, clean.shape[2], device=clean.device).view(1, 1, -1, 1)
    wet = wet * (1 + uniform(-0.2, 0.9, (batch, 1, 1, 1), generator) * per_picture(severity) * above)
    wet = exposed(wet, light, curve, generator).clamp(1e-5, 1) ** (1 / curve)
    noise = per_picture(log_uniform(0.002, 0.02, (batch,), generator)) * chance(0.5, batch, generator)
    lq = stored(wet + noise * normal(tuple(clean.shape), generator), 50, 0.5, generator)
    return Degraded(lq, wanted=wanted)


def drawn_waters(batch: int, generator: torch.Generator) -> Tensor:
    """Draw waters between the Jerlov types: attenuation a metre, (B, 3, 1, 1)."""
    waters = torch.tensor(WATERS, device=generator.device)
    place = _MURKIEST * uniform(0, 1, (batch,), generator)
    first = place.long()
    mixed = torch.lerp(waters[first], waters[first + 1], (place - first).unsqueeze(1))[:, :, None, None]
    # What plants leave behind swallows blue, however clear the water is otherwise: deep greens.
    yellow = torch.ones_like(mixed)
    yellow[:, 2:] += YELLOWEST * uniform(-0.6, 1, (batch, 1, 1, 1), generator).clamp_min(0) ** 2
    return mixed * yellow * uniform(0.92, 1.08, (batch, 3, 1, 1), generator)


def drawn_distances(
    clean: Tensor, severity: Tensor, attenuation: Tensor, generator: torch.Generator
) -> Tensor:
    """Invent distances in metres, (B, 1, H, W): a wall, a floor, a smooth relief, or what stands about.

    Murky water is photographed from near, so the reach is set by how much of the red is to be lost.
    """
    batch, _, height, width = clean.shape
    rows = torch.linspace(1, 0, height, device=clean.device).view(1, 1, -1, 1)
    columns = torch.linspace(-0.5, 0.5, width, device=clean.device).view(1, 1, 1, -1)
    floor = (rows + uniform(-0.6, 0.6, (batch, 1, 1, 1), generator) * columns).clamp(0, 1.3)
    floor = floor ** uniform(0.7, 3, (batch, 1, 1, 1), generator)
    relief = smooth_field(batch, height, width, 4, generator)
    shape = torch.lerp(floor, relief, uniform(0, 1, (batch, 1, 1, 1), generator))
    shape = torch.where(chance(0.5, batch, generator), invented_depth(clean, generator) / 2, shape)
    depth_of_scene = uniform(0, 2.0, (batch, 1, 1, 1), generator)
    nearness = log_uniform(0.2, 1.2, (batch, 1, 1, 1), generator)  # near scenes are tinted but hardly veiled
    loss = nearness * per_picture(0.12 + 1.6 * severity) / attenuation[:, :1]
    return (loss * (0.55 + depth_of_scene * shape)).clamp(NEAREST, FARTHEST)


def fallen_light(severity: Tensor, attenuation: Tensor, generator: torch.Generator) -> Tensor:
    """Return what is left of the daylight where the scene is, (B, 3, 1, 1), the strongest colour at 1.

    The camera's exposure makes up for the loss as a whole, its white balance for a part of the cast.
    """
    batch = len(severity)
    lost = per_picture(0.15 + 2.6 * severity) * uniform(0.2, 1.2, (batch, 1, 1, 1), generator)
    left = torch.exp(-attenuation / attenuation[:, :1] * lost)
    left = left / left.amax(1, keepdim=True)
    return left ** log_uniform(0.5, MOST_VIVID, (batch, 1, 1, 1), generator)


def water_colour(attenuation: Tensor, sunlight: Tensor, generator: torch.Generator) -> Tensor:
    """Return the colour of endless water, (B, 3, 1, 1): what scatters back before it is swallowed."""
    shape = (attenuation.shape[0], 1, 1, 1)
    returned = attenuation.amin(1, keepdim=True) / attenuation
    colour = sunlight * returned ** uniform(0.5, 2.0, shape, generator)
    return colour * uniform(0.25, 0.95, shape, generator)


def exposed(wet: Tensor, dry: Tensor, curve: Tensor, generator: torch.Generator) -> Tensor:
    """Expose as an automatic camera would: towards the brightness of the dry picture, or above it."""
    shape = (wet.shape[0], 1, 1, 1)
    brightest = wet.mean((2, 3), keepdim=True).amax(1, keepdim=True)
    target = dry.mean((1, 2, 3), keepdim=True) * uniform(0.95, 1.7, shape, generator) ** curve
    target = torch.minimum(target, 0.65**curve)
    gain = (target / brightest.clamp_min(1e-4)) ** uniform(0.4, 1, shape, generator)
    return wet * gain.clamp(0.5, 4)
