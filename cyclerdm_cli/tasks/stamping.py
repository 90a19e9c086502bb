"""Many small shapes on one canvas: how drops, flakes and streaks get into a picture.

Each shape is computed on its own small window, with a position that lies between pixels, so that every one of
them can differ; windows are then added up. The cost is that of the windows, whatever the picture's size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.tasks.draw import uniform


def scattered(
    batch: int, height: int, width: int, per_pixel: float, margin: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw positions, evenly, in the frame and up to `margin` pixels outside it.

    Returns:
        Rows and columns, each (B, N, 1, 1) float32, N at least 1; their density is `per_pixel`.
    """
    count = max(1, round((height + 2 * margin) * (width + 2 * margin) * per_pixel))
    rows = uniform(-margin, height + margin, (batch, count, 1, 1), generator)
    return rows, uniform(-margin, width + margin, (batch, count, 1, 1), generator)


def window(rows: Tensor, columns: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the pixels around positions: a window for each.

    Args:
        rows: (B, N, 1, 1).
        columns: (B, N, 1, 1), or (B, N, height, 1) where each row has a middle of its own.
        height, width: of the window, odd.

    Returns:
        Whole-numbered rows (B, N, height, 1) and columns (B, N, 1 or height, width), float32.
    """
    down = torch.arange(height, device=rows.device) - height // 2
    across = torch.arange(width, device=rows.device) - width // 2
    return rows.round() + down.view(-1, 1), columns.round() + across


def stamped(height: int, width: int, rows: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """Add up windows on an empty canvas; what falls outside it is lost.

    On a GPU the order of the sums, and so their last bits, may change from run to run.

    Args:
        height, width: of the canvas.
        rows, columns: of each window's pixels, as `window` gives them.
        values: (C, B, N, h, w).

    Returns:
        (B, C, height, width) float32.
    """
    channels, batch = values.shape[:2]
    # One pixel of rim takes everything outside.
    across, cells = width + 2, (height + 2) * (width + 2)
    corner = torch.arange(batch, device=values.device).view(-1, 1, 1, 1) * cells
    row = (rows.clamp(-1, height).long() + 1) * across + corner
    index = (row + (columns.clamp(-1, width).int() + 1)).reshape(-1)
    canvas = [values.new_zeros(batch * cells).scatter_add_(0, index, value.reshape(-1)) for value in values]
    return torch.stack(canvas).view(channels, batch, height + 2, across)[..., 1:-1, 1:-1].transpose(0, 1)
