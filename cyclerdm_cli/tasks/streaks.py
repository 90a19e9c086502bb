"""Particles that fall past the lens: scattered seeds, drawn out along their motion."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.camera import per_picture
from cyclerdm_cli.tasks.draw import uniform


def line_kernels(length: Tensor, angle: Tensor, width: Tensor, size: int) -> Tensor:
    """Return soft line segments through the middle, each summing to 1.

    Args:
        length: (B,) in pixels. width: (B,) standard deviation across, in pixels.
        angle: (B,) in radians from the vertical, positive leaning to the right.
        size: side of the kernels, odd.

    Returns:
        (B, size, size) float32.
    """
    offsets = torch.arange(size, device=length.device) - size // 2
    rows, columns = offsets.view(1, -1, 1), offsets.view(1, 1, -1)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    along, across = rows * cos + columns * sin, columns * cos - rows * sin
    # Rounded ends, and a middle that is brighter than both: what passes by at speed is seldom sharp at its ends.
    beyond = (along.abs() - length.view(-1, 1, 1) / 2).clamp_min(0)
    width = width.view(-1, 1, 1)
    taper = 1 - 0.6 * (2 * along / (length.view(-1, 1, 1) + 4 * width)).clamp(-1, 1) ** 2
    profile = torch.exp(-0.5 * (across**2 + beyond**2) / width**2) * taper
    return profile / profile.sum((1, 2), keepdim=True)


def scattered(
    height: int, width: int, density: Tensor, kernels: Tensor, generator: torch.Generator
) -> Tensor:
    """Scatter seeds of random brightness and draw each out by its picture's kernel.

    Args:
        height, width: of the result, in pixels.
        density: (B,) or (B, 1, H, W) expected seeds a pixel.
        kernels: (B, k, k), k odd; each is scaled so that a lone seed of full brightness peaks at 1.
        generator: the source of chance.

    Returns:
        (B, 1, H, W) float32, at least 0; 1 is a lone particle of full brightness.
    """
    batch, reach = kernels.shape[0], kernels.shape[-1] // 2
    shape = (batch, 1, height + 2 * reach, width + 2 * reach)
    density = per_picture(density) if density.dim() == 1 else density
    draws = uniform(0, 1, shape, generator)
    # One draw says both whether there is a seed and how bright it is: many faint, few bright.
    seeds = (1 - draws / density.clamp_min(1e-9)).clamp_min(0) ** 1.5
    seeds = (0.15 + 0.85 * seeds) * (draws < density)
    rows, columns = shape[2:]
    kernels = kernels / kernels.amax((1, 2), keepdim=True)
    spectrum = torch.fft.rfft2(seeds) * torch.fft.rfft2(kernels, s=(rows, columns)).unsqueeze(1)
    return torch.fft.irfft2(spectrum, s=(rows, columns))[..., 2 * reach :, 2 * reach :].clamp_min(0)
