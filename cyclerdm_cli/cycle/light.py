"""Stage 1 for light and colour: a small network looks at the whole picture and says, coarsely, what to do
everywhere.

What it says is a bilateral grid of affine colour transforms, which is sliced at the picture's own resolution
along a
guide (Gharbi et al., "Deep Bilateral Learning for Real-Time Image Enhancement", SIGGRAPH 2017). Known formulas come
first, and the network learns what they miss: the power that brings a dark picture to a middle grey, the dark
channel (He et al., CVPR 2009) and the saturation, which tell haze from colour.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.luma import LUMA

GRID_CELLS, GRID_LEVELS = 16, 8
"""Cells of the grid along each side of the picture, and along the guide."""
COEFFICIENTS = 12
"""Numbers of an affine colour transform: a matrix of 3x3 and an offset."""
KNOTS = 8
"""Points at which the curve of the guide may bend."""
MIDDLE_GREY = 0.45
"""Mean luma to which the power curve brings a picture, sRGB-encoded."""
POWERS = (0.22, 1.6)
"""Smallest and largest power of the curve."""
DARK_CHANNEL_REACH = 7
"""Pixels on each side over which the dark channel takes the minimum, in a picture of 256."""
ROWS_TOGETHER = 64
"""Rows that one thread slices at a time."""


class Light(NamedTuple):
    """What stage 1 says of whole pictures."""

    grid: Tensor
    """(B, COEFFICIENTS, GRID_LEVELS, GRID_CELLS, GRID_CELLS): what is added to the identity, a transform a cell."""
    curve: Tensor
    """(B, 3 + KNOTS): shares of red, green and blue in the guide, and the slopes of its curve between the knots."""
    power: Tensor
    """(B, 1): of the curve that comes first."""
    description: Tensor
    """(B, D) in numbers of the network's own, for the later stages."""


class LightNetwork(nn.Module):
    """Looks at whole pictures, small, and returns their `Light`."""

    def __init__(self, widths: tuple[int, int, int, int], brightens: bool) -> None:
        """Build the network.

        Args:
            widths: channels at 1/2, 1/4, 1/8 and 1/16 of the small picture's side.
            brightens: whether the power curve comes first.
        """
        super().__init__()
        self.brightens = brightens
        last = widths[-1]
        given = (
            3 + 3 + 3 + 3
        )  # the picture, after the power curve, the estimate so far, and what tells of haze
        self.head = nn.Conv2d(given, widths[0], 3, 2, 1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths))
        self.local = nn.ModuleList(nn.Conv2d(last, last, 3, padding=1) for _ in range(4))
        self.shrink = nn.ModuleList(nn.Conv2d(last, last, 3, 2, 1) for _ in range(2))
        self.whole = nn.Linear(2 * last + 1, last)
        self.tail = nn.Conv2d(last, COEFFICIENTS * GRID_LEVELS, 1)
        self.tail_curve = nn.Linear(last, 3 + KNOTS)
        for layer in (self.tail, self.tail_curve):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    @property
    def length(self) -> int:
        """Length of the description."""
        return self.whole.out_features

    def forward(self, small: Tensor, steps: int) -> list[Light]:
        """Return what each of several evaluations says; each sees what the one before made of the picture.

        Args:
            small: (B, 3, S, S) in [0, 1], whole pictures.
            steps: evaluations, 1 or more (the steps of the stage's diffusion; the last one counts).
        """
        power = find_power(small) if self.brightens else torch.ones_like(small[:, 0, 0, :1])
        lit, estimate, said = apply_power(small, power), small, []
        for step in range(steps):
            light = self._evaluate(small, lit, estimate, power, 1 - step / steps)
            said.append(light)
            if step < steps - 1:
                estimate = apply_light(small, light, Place.whole(small))
        return said

    def _evaluate(self, small: Tensor, lit: Tensor, estimate: Tensor, power: Tensor, time: float) -> Light:
        x = torch.cat([small - 0.5, lit - 0.5, estimate - 0.5, haze_clues(small)], 1)
        x = F.relu(self.head(x.contiguous(memory_format=torch.channels_last)))
        for down in self.down:
            x = F.relu(down(x))
        coarse = x
        for shrink in self.shrink:
            coarse = F.relu(shrink(coarse))
        summary = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3)), torch.full_like(power, time)], 1)
        description = F.relu(self.whole(summary))
        for first, second in zip(self.local[::2], self.local[1::2], strict=True):
            x = x + second(F.relu(first(x)))
        x = F.relu(x + description[:, :, None, None])
        cells = F.adaptive_avg_pool2d(x, GRID_CELLS) if x.shape[-1] != GRID_CELLS else x
        grid = torch.unflatten(self.tail(cells).float(), 1, (COEFFICIENTS, GRID_LEVELS))
        return Light(grid, self.tail_curve(description).float(), power, description.float())


def find_power(small: Tensor) -> Tensor:
    """Return the power that brings the mean luma of pictures, (B, 3, S, S), to MIDDLE_GREY: (B, 1)."""
    mean = luma_of(small).mean((1, 2, 3)).clamp(0.004, 0.95)
    return (math.log(MIDDLE_GREY) / mean.log()).clamp(*POWERS)[:, None]


def apply_power(picture: Tensor, power: Tensor) -> Tensor:
    """Raise pictures, (B, 3, H, W) in [0, 1], to powers, (B, 1)."""
    if bool((power == 1).all()):
        return picture
    return picture.clamp_min(1e-4) ** power[:, :, None, None]


def luma_of(picture: Tensor) -> Tensor:
    """Map (B, 3, H, W) to (B, 1, H, W)."""
    return (picture * picture.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def haze_clues(small: Tensor) -> Tensor:
    """Return the dark channel, the saturation and the local contrast, (B, 3, S, S)."""
    side = 2 * DARK_CHANNEL_REACH + 1
    least, most = small.amin(1, keepdim=True), small.amax(1, keepdim=True)
    dark = -F.max_pool2d(-least, side, 1, DARK_CHANNEL_REACH)
    saturation = (most - least) / (most + 0.02)
    luma = luma_of(small)
    contrast = (luma - F.avg_pool2d(luma, side, 1, DARK_CHANNEL_REACH, count_include_pad=False)).abs()
    return torch.cat([dark - 0.5, saturation - 0.5, 4 * contrast], 1)


def apply_light(picture: Tensor, light: Light, place: Place) -> Tensor:
    """Slice the grid at every pixel of tiles and transform their colours: (B, 3, H, W) to the same, not clipped."""
    lit = apply_power(picture, light.power)
    coefficients = slice_grid(light.grid, guide_of(lit, light.curve), place)
    matrices, offset = torch.unflatten(coefficients[:, :9], 1, (3, 3)), coefficients[:, 9:]
    return lit + (matrices * lit[:, None]).sum(2) + offset


def guide_of(lit: Tensor, curve: Tensor) -> Tensor:
    """Return where in the depth of the grid each pixel lies, (B, 1, H, W) in [0, 1].

    Before anything is learned, it is the luma.
    """
    shares = curve[:, :3] + curve.new_tensor(LUMA)
    mixed = (lit * shares[:, :, None, None]).sum(1, keepdim=True)
    guide = mixed
    for knot in range(KNOTS):
        bend = curve[:, 3 + knot, None, None, None]
        guide = guide + bend * F.relu(mixed - knot / KNOTS)
    return guide.clamp(0, 1)


def slice_grid(grid: Tensor, guide: Tensor, place: Place) -> Tensor:
    """Interpolate a grid's coefficients at every pixel, linearly: (B, COEFFICIENTS, H, W).

    Args:
        grid: see `Light`.
        guide: (B, 1, H, W) in [0, 1], of tiles.
        place: of the tiles in their pictures, which the grid covers as a whole.
    """
    batch, _, height, width = guide.shape
    tops, lefts = place.corners.to(guide.device)[:, :, None].unbind(1)
    rows = (torch.arange(height, device=guide.device) + 0.5 + tops) / place.size[0] * 2 - 1  # (B, H)
    columns = (torch.arange(width, device=guide.device) + 0.5 + lefts) / place.size[1] * 2 - 1
    shape = (batch, height, width)
    points = torch.stack(
        [columns[:, None].expand(shape), rows[:, :, None].expand(shape), guide[:, 0] * 2 - 1], 3
    )
    # One thread takes one item of a batch, so strips of rows become items.
    strips = height // ROWS_TOGETHER if height % ROWS_TOGETHER == 0 else 1
    points = points.reshape(batch * strips, 1, height // strips, width, 3)
    grids = grid.repeat_interleave(strips, 0) if strips > 1 else grid
    sliced = F.grid_sample(grids, points, align_corners=False, padding_mode="border")[:, :, 0]
    return torch.unflatten(sliced, 0, (batch, strips)).transpose(1, 2).reshape(batch, -1, height, width)
