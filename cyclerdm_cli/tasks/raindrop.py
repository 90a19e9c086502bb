"""Drops on the glass: each is a small lens that shows a wide, upside-down view, blurred by being near.

Sources: refraction by drops (Roser et al., "Realistic Modeling of Water Droplets for Monocular Adherent Raindrop
Recognition", ACCV 2010 workshops); what a sharp background with soft drops looks like (Qian et al., "Attentive
Generative Adversarial Network for Raindrop Removal from a Single Image", CVPR 2018).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.tasks.camera import gaussian_blur, per_picture, stored
from cyclerdm_cli.tasks.degradation import Degraded
from cyclerdm_cli.tasks.draw import chance, log_uniform, smooth_field, uniform


def degrade(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Degraded:
    """Wet the glass: from some fine spatter to many drops of up to 60 pixels."""
    batch, _, height, width = clean.shape
    thickness = drops_of(clean, severity, generator)
    soft = gaussian_blur(thickness, log_uniform(0.6, 4.5, (batch,), generator))
    alpha = (soft * per_picture(log_uniform(1.5, 5, (batch,), generator))).clamp(0, 1)
    slope_y = F.pad(soft[:, :, 1:] - soft[:, :, :-1], (0, 0, 0, 1))
    slope_x = F.pad(soft[:, :, :, 1:] - soft[:, :, :, :-1], (0, 1))
    bend = per_picture(log_uniform(60, 420, (batch,), generator))
    wide = gaussian_blur(clean, uniform(2, 7, (batch,), generator))
    rows = torch.linspace(-1, 1, height, device=clean.device).view(1, -1, 1)
    columns = torch.linspace(-1, 1, width, device=clean.device).view(1, 1, -1)
    shift_y, shift_x = (bend * slope_y)[:, 0] * 2 / height, (bend * slope_x)[:, 0] * 2 / width
    grid = torch.stack([columns + shift_x, rows + shift_y], 3)
    seen = F.grid_sample(wide, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
    # Light comes from above, and the drop turns it over: bright below, dark above; the rim is darker.
    lit = 1 + per_picture(uniform(-0.5, 3.0, (batch,), generator)) * slope_y
    # A drop sees far beyond the frame: its colour leans to the brightest there is, mostly the sky's.
    sky = torch.lerp(wide.mean((2, 3), keepdim=True), wide.amax((2, 3), keepdim=True), uniform(0, 1, (batch, 1, 1, 1), generator))
    seen = torch.lerp(seen * lit, sky, uniform(0, 0.6, (batch, 1, 1, 1), generator))
    opacity = per_picture(uniform(0.55, 1.0, (batch,), generator))
    wet = clean * (1 - alpha * opacity) + seen.clamp(0, 1) * alpha * opacity
    return Degraded(stored(wet, 70, 0.3, generator))


def drops_of(clean: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Return the thickness of the water, (B, 1, H, W) in [0, 1]: a cap for each drop."""
    batch, _, height, width = clean.shape
    count = max(6, int(height * width / 600))
    area = (0.02 + 0.3 * severity) * height * width
    largest = per_picture(6 + 26 * severity * uniform(0.3, 1, (batch,), generator))[:, :, 0]
    share = uniform(0, 1, (batch, count, 1), generator)
    radius = 1.2 * (largest / 1.2) ** (share ** uniform(0.7, 2.5, (batch, 1, 1), generator))
    covered = (radius**2 * 3).cumsum(1)
    present = covered <= area.view(-1, 1, 1)
    middle_y, middle_x = uniform(0, height, (batch, count, 1), generator), uniform(0, width, (batch, count, 1), generator)
    stretch = uniform(0.8, 1.7, (batch, count, 1), generator)
    # Drawn at half size: caps are smooth, and four times as many fit into the same time.
    halved = [value / 2 for value in (radius * present, middle_y, middle_x)]
    caps = _caps(*halved, stretch, (height + 1) // 2, (width + 1) // 2, generator)
    return F.interpolate(caps, size=(height, width), mode="bilinear", align_corners=False)


def _caps(
    radius: Tensor, middle_y: Tensor, middle_x: Tensor, stretch: Tensor, height: int, width: int,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Draw spherical caps; their outlines wobble."""
    batch, count, _ = radius.shape
    wobble = 1 + 0.35 * (smooth_field(batch, height, width, max(height, width) // 14, generator) - 0.5)
    thickness = radius.new_zeros(batch, 1, height, width)
    rows = torch.arange(height, device=radius.device).view(1, 1, -1)
    columns = torch.arange(width, device=radius.device).view(1, 1, -1)
    for first in range(0, count, 8):
        part = slice(first, first + 8)
        size = radius[:, part].clamp_min(1e-3)
        down = ((rows - middle_y[:, part]) / (size * stretch[:, part])).square()
        across = ((columns - middle_x[:, part]) / size).square()
        distance = (down.unsqueeze(3) + across.unsqueeze(2)) * wobble
        cap = (1 - distance).clamp_min(0).sqrt().amax(1, keepdim=True)
        thickness = torch.maximum(thickness, cap)
    return thickness
