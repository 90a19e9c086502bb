"""Blur: the camera shook, the subject moved, or the focus lay elsewhere.

Sources: shake as a random walk with inertia (Boracchi and Foi, "Modeling the Performance of Image Restoration
from Motion Blur", IEEE TIP 2012); light adds up before the tone curve, and highlights beyond white stay
bright when smeared (Whyte et al., "Deblurring Shaken and Partially Saturated Images", IJCV 2014); moving
regions as in the averaged frames of GoPro (Nah et al., CVPR 2017).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.tasks.camera import convolve, gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, normal, smooth_field, uniform
from cyclerdm_cli.tasks.light import to_linear, to_srgb

SHORTEST, LONGEST = 3, 61
"""Extent of the blur in pixels at severity 0 and 1."""
SUBJECT_SHARE, BOTH_SHARE, TURNING_SHARE = 0.15, 0.15, 0.15
"""Shares of the pictures in which only a subject is blurred, it and what is behind it differ, the camera turned."""
MOST_TURN = 0.7
"""Angle in radians up to which the trails of the two sides of a picture differ where the camera turned."""
_MOMENTS = 128


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Blur, mostly in linear light: by up to 3 pixels at severity 0, by up to 61 at severity 1."""
    batch = clean.shape[0]
    reach = SHORTEST * (LONGEST / SHORTEST) ** (severity * uniform(0.9, 1, (batch,), generator))
    reach = reach * uniform(0.8, 1, (batch,), generator)
    kernels = kernels_of(reach, _side_for(float(reach.max())), generator)
    encoded = chance(
        0.25, batch, generator
    )  # many blurred sets were averaged without regard to the tone curve
    light = with_highlights(torch.where(encoded, clean, to_linear(clean)), generator)
    blurred, uneven = smear(light, kernels, generator)
    taken = torch.where(encoded, blurred, to_srgb(blurred))
    noise = per_picture(log_uniform(0.001, 0.012, (batch,), generator)) * chance(0.6, batch, generator)
    lq = stored(taken + noise * normal(tuple(clean.shape), generator), 70, 0.25, generator)
    return Degraded(lq, kernel=torch.where(uneven[:, :, :, 0], 0.0, kernels.flip(1, 2)))


def _side_for(reach: float) -> int:
    """Return an odd side that holds the reach; large ones, 1 above a multiple of 16: fast spectra."""
    side = 2 * int(reach / 2) + 3
    return side if side <= 9 else 16 * math.ceil((side - 1) / 16) + 1


def with_highlights(light: Tensor, generator: torch.Generator) -> Tensor:
    """Give white areas of some pictures the light above 1 that the file had cut off: (B, 3, H, W)."""
    batch = light.shape[0]
    beyond = per_picture(uniform(0, 4, (batch,), generator)) * chance(0.35, batch, generator)
    return light * (1 + beyond * ((light.amin(1, keepdim=True) - 0.8).clamp_min(0) / 0.2) ** 2)


def smear(light: Tensor, kernels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blur the whole picture by one kernel, or some pictures differently in different places.

    A subject may move before a still background or before one that is blurred another way: it is a layer of its
    own, whose outline smears with it and lets the background through. A camera that turns draws trails that differ
    from one side of the picture to the other.

    Returns:
        The picture, (B, 3, H, W), and whether it was blurred by more than one kernel, (B, 1, 1, 1) bool.
    """
    batch, _, height, width = light.shape
    field = smooth_field(batch, height, width, 3, generator)
    subject = ((field - uniform(0.25, 0.6, (batch, 1, 1, 1), generator)) * 10 + 0.5).clamp(0, 1)
    kind = uniform(0, 1, (batch, 1, 1, 1), generator)
    layered = kind < SUBJECT_SHARE + BOTH_SHARE
    turning = ~layered & (kind < SUBJECT_SHARE + BOTH_SHARE + TURNING_SHARE)
    cover = torch.where(layered, subject, 1.0)
    layers = convolve(torch.cat([light * cover, cover], 1), kernels)
    still = gaussian_blur(light, uniform(0.1, 0.9, (batch,), generator))
    angle = uniform(-1, 1, (batch,), generator) * torch.where(turning.flatten(), MOST_TURN, math.pi)
    elsewhere = convolve(light, turned(kernels, angle, uniform(0.5, 1.3, (batch,), generator)))
    background = torch.where(kind < SUBJECT_SHARE, still, elsewhere)
    moved = layers[:, :3] + (1 - layers[:, 3:]) * background
    across = torch.linspace(0, 1, width, device=light.device).view(1, 1, 1, -1)
    sideways = torch.lerp(layers[:, :3], elsewhere, across)
    blurred = torch.where(layered, moved, torch.where(turning, sideways, layers[:, :3]))
    return blurred, layered | turning


def turned(kernels: Tensor, angle: Tensor, scale: Tensor) -> Tensor:
    """Turn and scale each kernel, (B, k, k), about its middle.

    Args:
        angle: (B,) in radians.
        scale: (B,) of its extent; what no longer fits is cut off.
    """
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    zero = torch.zeros_like(cosine)
    affine = torch.stack([cosine, -sine, zero, sine, cosine, zero], 1).view(-1, 2, 3)
    grid = F.affine_grid(affine, [len(kernels), 1, *kernels.shape[1:]], align_corners=False)
    moved = F.grid_sample(kernels[:, None], grid, align_corners=False)[:, 0]
    return moved / moved.sum((1, 2), keepdim=True).clamp_min(1e-6)


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
    radius = (reach / 4.5).clamp(1, 12).view(-1, 1, 1)
    soft_edge = uniform(0.8, 2, (batch, 1, 1), generator)
    disc = ((radius - distance) / soft_edge + 0.5).clamp(0, 1)
    gaussian = torch.exp(-0.5 * (distance / (radius * 0.6)) ** 2)
    straightness = torch.where(kind < 0.25, 1.0, uniform(0, 0.8, (batch, 1, 1), generator))
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
        (B, size, size) float32, at least 0, not yet summing to 1. The centre of mass is in the middle, so
        that blurring moves nothing on average.
    """
    batch = len(reach)
    pushes = normal((batch, _MOMENTS, 2), generator) * (1 - straightness) * 0.3
    heading = normal((batch, 1, 2), generator)
    heading = heading / heading.norm(dim=2, keepdim=True).clamp_min(1e-6)
    path = (heading + pushes.cumsum(1)).cumsum(1)
    path = path - path.mean(1, keepdim=True)
    extent = (path.amax(1) - path.amin(1)).norm(dim=1).clamp_min(1e-6)
    widest = path.abs().amax((1, 2)).clamp_min(1e-6)
    scale = torch.minimum((reach - 1).clamp_min(1) / extent, (size // 2) / widest)
    path = path * scale.view(-1, 1, 1) + size // 2
    places = torch.arange(size, device=reach.device)
    rows = (1 - (path[:, :, :1] - places).abs()).clamp_min(0)  # (B, moments, size): bilinear splats
    columns = (1 - (path[:, :, 1:] - places).abs()).clamp_min(0)
    return torch.bmm(rows.transpose(1, 2), columns)
