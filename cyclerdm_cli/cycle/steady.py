"""Stage 1's light for a frame of a sequence: what was found in its neighbours counts too, so that nothing flickers.

The network looks at each frame anew, and finds a little else in each. The transforms are averaged over neighbours,
but for the power curve, which follows the exposure of the frame itself. Then each colour's mean is brought to what
it is, on average, in the neighbours' own results: if a frame was exposed for longer, its result is no brighter.
Last, the same is done from place to place, with those neighbours that show the same there: a place where nothing
moves keeps its colours, whatever noise and exposure make of them, and a place where something moves is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.cycle.light import GRID_CELLS, ROWS_TOGETHER, Light, apply_light
from cyclerdm_cli.cycle.view import to_tensor

ROUNDS = 3
"""How often the means are brought closer: what is clipped keeps one round from being exact."""
DARKEST = 0.02
"""Added to both means before they are compared, so that a colour that is not there is not multiplied."""
GAINS = (0.5, 2.0)
"""Least and most by which one round multiplies a colour."""
PARTS = 2
"""Parts along each side of a cell of the grid, whose colours are compared to see whether something moves there."""
USUAL = 2.0
"""Times the difference that is usual between neighbours, beyond which a place counts ever less."""
TOLERANCES = (1 / 255, 5 / 255)
"""Least and most of that: below it is only noise, and above it things move, however much of the frame does."""


class Seen(NamedTuple):
    """What a network saw of one frame, on the processor."""

    sample: NDArray[Any]
    """(h, w, 3) uint8 or uint16: pixels of the frame, with its noise, which a curve makes brighter or darker."""
    light: Light
    """What it found in it alone."""
    colours: Tensor
    """(1, 3, P, P) with P parts along each side of the frame: mean red, green and blue there in that light."""

    def for_others(self) -> Seen:
        """Return what the light of others is made of: all but the pixels."""
        return self._replace(sample=np.empty((0, 0, 3), self.sample.dtype))


def see(sample: NDArray[Any], light: Light) -> Seen:
    """Return what was seen of a frame: some of its pixels, (h, w, 3), and the light found in it."""
    return Seen(sample, light, _colours(_lit(sample, light)))


def steadied(frames: Sequence[Seen], weights: Sequence[float], own: int) -> Light:
    """Return the light for one of several neighbouring frames.

    Args:
        frames: one or more of the same scene.
        weights: how much each counts.
        own: which of them it is for; alone, it keeps its own.
    """
    if len(frames) == 1:
        return frames[own].light
    shares = torch.tensor([weight / sum(weights) for weight in weights])

    def mean(parts: Sequence[Tensor]) -> Tensor:
        return torch.stack([share * part for share, part in zip(shares, parts, strict=True)]).sum(0)

    grid, curve, _, description = (mean(parts) for parts in zip(*(one.light for one in frames), strict=True))
    light = Light(grid, curve, frames[own].light.power, description)
    lit = _lit(frames[own].sample, light)
    seen = torch.cat([one.colours for one in frames])
    means = _pooled(seen, 1)
    wanted = (shares[:, None, None, None] * means).sum(0, keepdim=True)
    gain = _gain(lit, wanted)
    alike = seen * (wanted + DARKEST) / (means + DARKEST)
    alike[own] = _colours(gain * lit)
    return _multiplied(_multiplied(light, gain), _gain(gain * lit, _still(alike, shares, own)))


def mirrored(light: Light, rows: bool, columns: bool) -> Light:
    """Return the light of a picture for its mirror image.

    Args:
        light: of the picture.
        rows: whether it is upside down.
        columns: whether left and right change places.
    """
    turned = [axis for axis, turns in ((3, rows), (4, columns)) if turns]
    return light._replace(grid=light.grid.flip(turned)) if turned else light


def _still(frames: Tensor, shares: Tensor, own: int) -> Tensor:
    """Return the mean colours of each cell over those frames that show the same there as one of them does.

    Args:
        frames: (K, 3, P, P) colours of the frames' parts, all as bright as each other.
        shares: (K,) how much each frame counts.
        own: which of them the others are compared with.

    Returns:
        (1, 3, GRID_CELLS, GRID_CELLS)
    """
    squares = (frames - frames[own]).square().mean(1, keepdim=True)
    difference = _pooled(squares, GRID_CELLS).sqrt()  # (K, 1, GRID_CELLS, GRID_CELLS)
    others = torch.cat([difference[:own], difference[own + 1 :]])
    tolerance = (USUAL * others.median()).clamp(*TOLERANCES)
    counts = shares[:, None, None, None] * torch.exp(-((difference / tolerance) ** 2) / 2)
    return (counts * _pooled(frames, GRID_CELLS)).sum(0, keepdim=True) / counts.sum(0, keepdim=True)


def _lit(sample: NDArray[Any], light: Light) -> Tensor:
    """Return pixels of a frame in a light, (1, 3, h, w), not clipped."""
    picture = to_tensor(sample[None], float(np.iinfo(sample.dtype).max), torch.device("cpu"))
    size = (picture.shape[2], picture.shape[3])
    strips = []
    for top in range(0, size[0], ROWS_TOGETHER):  # the transforms of all pixels at once would be large
        place = Place(torch.tensor([[top, 0.0]]), size)
        strips.append(apply_light(picture[:, :, top : top + ROWS_TOGETHER], light, place))
    return torch.cat(strips, 2)


def _colours(lit: Tensor) -> Tensor:
    """Return the mean colours of the parts of a frame, (1, 3, h, w), once it is clipped."""
    return F.adaptive_avg_pool2d(lit.clamp(0, 1), PARTS * GRID_CELLS)


def _pooled(parts: Tensor, side: int) -> Tensor:
    """Average (..., P, P) so that it is (..., side, side)."""
    return F.avg_pool2d(parts, parts.shape[-1] // side)


def _gain(lit: Tensor, wanted: Tensor) -> Tensor:
    """Return by how much to multiply a frame, (1, 3, h, w), from place to place: (1, 3, side, side).

    Args:
        lit: the frame, not clipped.
        wanted: (1, 3, side, side) what its mean colours shall then be.
    """
    gain = torch.ones_like(wanted)
    for _ in range(ROUNDS):
        everywhere = F.interpolate(gain, lit.shape[2:], mode="bilinear", align_corners=False)
        found = _pooled(_colours(everywhere * lit), wanted.shape[-1])
        gain = gain * ((wanted + DARKEST) / (found + DARKEST)).clamp(*GAINS)
    return gain


def _multiplied(light: Light, gain: Tensor) -> Light:
    """Multiply the colours that come of a light by (1, 3, side, side), one for all or one a cell."""
    matrices, offset = torch.unflatten(light.grid[:, :9], 1, (3, 3)), light.grid[:, 9:]
    identity = torch.eye(3).view(1, 3, 3, 1, 1, 1)
    rows = gain[:, :, None]  # (1, 3, 1, side, side): the same at all levels of the guide
    matrices = rows[:, :, None] * (identity + matrices) - identity
    return light._replace(grid=torch.cat([matrices.flatten(1, 2), rows * offset], 1))
