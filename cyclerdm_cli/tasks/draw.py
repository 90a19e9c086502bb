"""Random draws that every degradation shares: all of them take an explicit generator.

The generator's device is the device of what is drawn, so a batch that lives on a GPU is degraded there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def uniform(
    low: float | Tensor, high: float | Tensor, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Draw uniformly between `low` and `high` (numbers, or tensors that broadcast with `shape`), float32."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def log_uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw so that the logarithm is uniform between those of `low` and `high` (both > 0), float32."""
    return low * (high / low) ** torch.rand(shape, generator=generator, device=generator.device)


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw from the standard normal distribution, float32."""
    return torch.randn(shape, generator=generator, device=generator.device)


def chance(probability: float, batch: int, generator: torch.Generator) -> Tensor:
    """Toss one coin a picture: bool, shape (B, 1, 1, 1), True with the given probability."""
    return torch.rand((batch, 1, 1, 1), generator=generator, device=generator.device) < probability


def integer(low: int, high: int, generator: torch.Generator) -> int:
    """Draw one whole number, both ends included, for choices that a whole batch shares."""
    return int(torch.randint(low, high + 1, (1,), generator=generator, device=generator.device))


def smooth_field(batch: int, height: int, width: int, cells: int, generator: torch.Generator) -> Tensor:
    """Draw a smooth random field: about `cells` bumps along the longer side.

    Returns:
        (B, 1, H, W) float32; each picture's field is stretched to span [0, 1].
    """
    longer = max(height, width)
    rows, columns = (max(2, round(cells * side / longer) + 1) for side in (height, width))
    coarse = torch.rand((batch, 1, rows, columns), generator=generator, device=generator.device)
    field = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    lowest, highest = field.amin((2, 3), keepdim=True), field.amax((2, 3), keepdim=True)
    return (field - lowest) / (highest - lowest).clamp_min(1e-6)
