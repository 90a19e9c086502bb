"""Stage 1's light for a frame of a sequence: what was found in its neighbours counts too, so that nothing flickers.

The network looks at each frame anew, and finds a little else in each. The transforms are averaged over neighbours,
but for the power curve, which follows the exposure of the frame itself. Then each colour's mean is brought to what
it is, on average, in the neighbours' own results: if a frame was exposed for longer, its result is no brighter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Place
from cyclerdm_cli.cycle.light import Light, apply_light

ROUNDS = 3
"""How often the means are brought closer: what is clipped keeps one round from being exact."""
DARKEST = 0.02
"""Added to both means before they are compared, so that a colour that is not there is not multiplied."""
GAINS = (0.5, 2.0)
"""Least and most by which one round multiplies a colour."""


class Seen(NamedTuple):
    """What a network saw of one frame, on the processor."""

    sample: Tensor
    """(1, 3, S, S) in [0, 1]: pixels of the frame. They have its noise, which a curve makes brighter or darker."""
    light: Light
    """What it found in it alone."""
    means: Tensor
    """(1, 3): mean red, green and blue of the frame in that light."""


def see(sample: Tensor, light: Light) -> Seen:
    """Return what was seen of a frame: its pixels, (1, 3, S, S) in [0, 1], and the light found in it."""
    return Seen(sample, light, _means(sample, light))


def steadied(frames: Sequence[Seen], weights: Sequence[float], own: int) -> Light:
    """Return the light for one of several neighbouring frames.

    Args:
        frames: one or more of the same scene.
        weights: how much each counts.
        own: which of them it is for; alone, it keeps its own.
    """
    if len(frames) == 1:
        return frames[own].light
    shares = [weight / sum(weights) for weight in weights]

    def mean(parts: Sequence[Tensor]) -> Tensor:
        return torch.stack([share * part for share, part in zip(shares, parts, strict=True)]).sum(0)

    grid, curve, _, description = (mean(parts) for parts in zip(*(one.light for one in frames), strict=True))
    light = Light(grid, curve, frames[own].light.power, description)
    wanted = mean([one.means for one in frames])
    for _ in range(ROUNDS):
        gain = (wanted + DARKEST) / (_means(frames[own].sample, light) + DARKEST)
        light = _multiplied(light, gain.clamp(*GAINS))
    return light


def mirrored(light: Light, rows: bool, columns: bool) -> Light:
    """Return the light of a picture for its mirror image.

    Args:
        light: of the picture.
        rows: whether it is upside down.
        columns: whether left and right change places.
    """
    turned = [axis for axis, turns in ((3, rows), (4, columns)) if turns]
    return light._replace(grid=light.grid.flip(turned)) if turned else light


def _means(sample: Tensor, light: Light) -> Tensor:
    return apply_light(sample, light, Place.whole(sample)).clamp(0, 1).mean((2, 3))


def _multiplied(light: Light, gain: Tensor) -> Light:
    """Multiply the colours that come of a light by (B, 3)."""
    matrices, offset = torch.unflatten(light.grid[:, :9], 1, (3, 3)), light.grid[:, 9:]
    identity = torch.eye(3).view(1, 3, 3, 1, 1, 1)
    rows = gain[:, :, None, None, None]
    matrices = rows[:, :, None] * (identity + matrices) - identity
    return light._replace(grid=torch.cat([matrices.flatten(1, 2), rows * offset], 1))
