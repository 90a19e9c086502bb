"""Blur: the camera shook, the subject moved, or the focus lay elsewhere.

Sources: shake as a random walk with inertia (Boracchi and Foi, "Modeling the Performance of Image Restoration
from Motion Blur", IEEE TIP 2012); light adds up before the tone curve, and highlights beyond white stay bright
when smeared (Whyte et al., "Deblurring Shaken and Partially Saturated Images", IJCV 2014); moving regions as in
the averaged frames of GoPro (Nah et al., CVPR 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import convolve, per_picture, stored, to_linear, to_srgb
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, normal, smooth_field, uniform

LONGEST = 61
"""Side of the largest kernel, in pixels."""
_MOMENTS = 64


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Blur in linear light: by 1 to 2 pixels at severity 0, by up to 61 at severity 1."""
    batch, _, height, width = clean.shape
    reach = 2 * (10 ** (severity * uniform(0.75, 1, (batch,), generator)) * 3) - 4
    size = min(LONGEST, 2 * (int(float(reach.max())) // 2) + 5)
    kernels = kernels_of(reach, size, generator)
    light = to_linear(clean)
    beyond = per_picture(uniform(0, 3, (batch,), generator)) * chance(0.3, batch, generator)
    light = light * (1 + beyond * ((light.amax(1, keepdim=True) - 0.85).clamp_min(0) / 0.15) ** 2)
    blurred = convolve(light, kernels)
    subject = smooth_field(batch, height, width, 3, generator)
    moving = ((subject - uniform(0.3, 0.7, (batch, 1, 1, 1), generator)) * 8 + 0.5).clamp(0, 1)
    moving = torch.where(chance(0.2, batch, generator), moving, 1.0)
    taken = to_srgb(torch.lerp(light, blurred, moving))
    noise = per_picture(log_uniform(0.001, 0.012, (batch,), generator)) * chance(0.6, batch, generator)
    return Degraded(stored(taken + noise * normal(tuple(clean.shape), generator), 70, 0.25, generator))


def kernels_of(reach: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw kernels: shake, straight motion, defocus disc or Gaussian, each with its own odds.

    Args:
        reach: (B,) extent of the blur in pixels.
        size: side of the kernels, odd.
        generator: the source of chance.

    Returns:
        (B, size, size) float32, at least 0, each summing to 1.
    """
    batch = len(reach)
    kind = uniform(0, 1, (batch, 1, 1), generator)
    offsets = (torch.arange(size, device=reach.device) - size // 2).float()
    distance = (offsets.view(1, -1, 1) ** 2 + offsets.view(1, 1, -1) ** 2).sqrt()
    # A disc of the same extent as a trail blurs far more: optics err by less.
    radius = (reach / 4).clamp(0.5, 12).view(-1, 1, 1)
    disc = (radius + 0.5 - distance).clamp(0, 1)
    gaussian = torch.exp(-0.5 * (distance / (radius * 0.6).clamp_min(0.4)) ** 2)
    straightness = torch.where(kind < 0.25, 1.0, uniform(0, 0.7, (batch, 1, 1), generator))
    trail = shake_trails(reach, straightness, size, generator)
    kernels = torch.where(kind < 0.65, trail, torch.where(kind < 0.85, disc, gaussian))
    return kernels / kernels.sum((1, 2), keepdim=True)


def shake_trails(reach: Tensor, straightness: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw trails of a hand that shakes: a walk with inertia, sampled evenly in time.

    Args:
        reach: (B,) extent of the trail in pixels.
        straightness: (B, 1, 1) in [0, 1]; 1 is a straight line.
        size: side of the kernels, odd.
        generator: the source of chance.

    Returns:
        (B, size, size) float32, at least 0.
    """
    batch = len(reach)
    pushes = normal((batch, _MOMENTS, 2), generator) * (1 - straightness) * 0.45
    heading = normal((batch, 1, 2), generator)
    heading = heading / heading.norm(dim=2, keepdim=True).clamp_min(1e-6)
    path = (heading + pushes.cumsum(1)).cumsum(1)
    path = path - (path.amax(1, keepdim=True) + path.amin(1, keepdim=True)) / 2
    extent = (path.amax(1) - path.amin(1)).amax(1).clamp_min(1e-6)
    path = path * ((reach.clamp(1, size - 3)) / extent).view(-1, 1, 1) + size // 2
    places = torch.arange(size, device=reach.device)
    rows = (1 - (path[:, :, :1] - places).abs()).clamp_min(0)  # (B, moments, size): bilinear splats
    columns = (1 - (path[:, :, 1:] - places).abs()).clamp_min(0)
    return rows.transpose(1, 2) @ columns
