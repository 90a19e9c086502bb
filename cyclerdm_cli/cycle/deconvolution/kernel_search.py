"""Clues to the kernel that blurred a picture, from the slopes of its luma.

The autocorrelations of the slopes hold how much each frequency was weakened (Goldstein and Fattal, "Blur-Kernel
Estimation from Spectral Irregularities", ECCV 2012), the correlations of strong slopes with all others hold the
shape; and if edges were steps before, as a shock filter makes them again, least squares between their slopes and
those that are there give the kernel, from coarse to fine (Cho and Lee, "Fast Motion Deblurring", SIGGRAPH Asia
2009).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.cycle.deconvolution.settings import SETTINGS
from cyclerdm_cli.cycle.deconvolution.wiener import power_spectrum

ACROSS, DOWN, FALLING, RISING = (0, 1), (1, 0), (1, 1), (1, -1)
"""Steps to a neighbour, in rows and columns."""
DIRECTIONS = (ACROSS, DOWN, FALLING, RISING)
"""Those in which slopes are correlated, in the order of the maps."""
NUMBER_OF_CORRELATIONS = 3 * len(DIRECTIONS) + 1
"""Maps of `correlate_slopes`."""
NUMBER_OF_FITS = (1 + len(SETTINGS.fit_scales)) * len(SETTINGS.edge_shares)
"""Maps of `fit_kernels`."""
NUMBER_OF_CLUES = NUMBER_OF_CORRELATIONS + NUMBER_OF_FITS
"""Maps of `clues`."""


@torch.no_grad()
def clues(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Gather what a kernel is read from.

    Args:
        windows: (B, n, 3, h, w) in [0, 1] from all over each picture, h and w from smallest_side to window_side.

    Returns:
        (B, NUMBER_OF_CLUES, kernel_side, kernel_side), see `correlate_slopes` and `fit_kernels`; (B, 1), the
        natural logarithm of the slopes' strength.
    """
    with torch.autocast(windows.device.type, enabled=False):
        lumas = torch.einsum("c,bnchw->bnhw", windows.new_tensor(SETTINGS.luma_weights), windows.float())
        correlations, strength = correlate_slopes(lumas)
        return torch.cat([correlations, fit_kernels(lumas)], 1), strength


def correlate_slopes(lumas: Tensor) -> tuple[Tensor, Tensor]:
    """Correlate the slopes of windows with themselves, and the strongest of them with all.

    Args:
        lumas: (B, n, h, w) windows of each picture, h and w at most window_side.

    Returns:
        (B, NUMBER_OF_CORRELATIONS, kernel_side, kernel_side): of the slopes in each of DIRECTIONS with themselves,
        and of all together; of the strongest with all others, and how much these differ from themselves turned
        by half; (B, 1) the natural logarithm of the slopes' strength.
    """
    window = (SETTINGS.window_side,) * 2
    slopes = find_slopes(lumas, DIRECTIONS)  # (B, n, 4, h, w)
    strength = slopes.square().mean((1, 2, 3, 4), keepdim=True).sqrt() + 1e-4
    slopes = slopes / strength
    spectra = torch.fft.rfft2(slopes, s=window)
    autocorrelations = _correlations_of(power_spectrum(spectra).sum(1))  # (B, 4, kernel_side, kernel_side)
    size = slopes.abs()
    trigger = slopes * (size / (_threshold_of(size, SETTINGS.trigger_share) + 1e-6)).clamp(0, 1).square()
    triggered = _correlations_of((torch.fft.rfft2(trigger, s=window).conj() * spectra).sum(1))
    triggered = triggered / (trigger.abs() * size).sum((1, 3, 4)).clamp_min(1e-6)[..., None, None]
    together = autocorrelations.sum(1, keepdim=True)
    asymmetry = triggered.flip(2, 3) - triggered
    maps = [_scale_to_middle(autocorrelations), _scale_to_middle(together), triggered, asymmetry]
    return torch.cat(maps, 1), strength.flatten(1).log()


def fit_kernels(lumas: Tensor) -> Tensor:
    """Fit kernels between the strong slopes of windows, taken for sharp, and all slopes.

    Args:
        lumas: (B, n, h, w) windows of each picture, h and w at most window_side.

    Returns:
        (B, NUMBER_OF_FITS, kernel_side, kernel_side), the largest magnitude of each 1: for the strong slopes as
        they are, and for those of the shock filter at each of fit_scales, as it makes steps only once it is shrunk
        of what a long kernel smeared; for each of edge_shares.
    """
    fits = []
    for scale in SETTINGS.fit_scales:
        shrunk = F.avg_pool2d(lumas, scale)
        if scale == 1:
            fits += _fit_to_edges(shrunk, shrunk, scale, SETTINGS.fit_regularisation)
        fits += _fit_to_edges(shrunk, shock_filter(shrunk), scale, SETTINGS.shock_fit_regularisation)
    maps = torch.cat(fits, 1)
    return maps / maps.abs().amax((2, 3), keepdim=True).clamp_min(1e-6)


def _fit_to_edges(lumas: Tensor, sharper: Tensor, scale: int, regularisation: float) -> list[Tensor]:
    """Return the least-squares kernels from the strong slopes of `sharper` to the slopes of `lumas`.

    Args:
        lumas, sharper: (B, n, h, w), shrunk by `scale`.
        scale: one of fit_scales.
        regularisation: over the mean power of the edges.

    Returns:
        (B, 1, kernel_side, kernel_side) for each of edge_shares.
    """
    window, kernel = (SETTINGS.window_side // scale,) * 2, (SETTINGS.kernel_side,) * 2
    blurred = torch.fft.rfft2(find_slopes(lumas, (ACROSS, DOWN)), s=window)
    slopes = find_slopes(sharper, (ACROSS, DOWN))
    size = slopes.square().sum(2, keepdim=True).sqrt()
    fits = []
    for share in SETTINGS.edge_shares:
        edges = torch.fft.rfft2(slopes * (size >= _threshold_of(size, share)), s=window)
        power = power_spectrum(edges).sum((1, 2))
        damping = regularisation * power.mean((1, 2), keepdim=True) + 1e-6
        fit = _correlations_of((edges.conj() * blurred).sum((1, 2)) / (power + damping), scale)
        fits.append(F.interpolate(fit[:, None], kernel, mode="bilinear", align_corners=True))
    return fits


def shock_filter(lumas: Tensor) -> Tensor:
    """Turn the slopes of edges into steps, (B, n, h, w) to the same.

    Source: Osher and Rudin, "Feature-Oriented Image Enhancement Using Shock Filters", SIAM J. Numer. Anal. 1990:
    along the gradient, what curves upwards is lowered and what curves downwards is raised, after some smoothing.
    """
    binomial = lumas.new_tensor((1, 4, 6, 4, 1)) / 16
    x = F.pad(lumas.flatten(0, 1).unsqueeze(1), (2,) * 4, mode="replicate")
    x = F.conv2d(F.conv2d(x, binomial.view(1, 1, 1, 5)), binomial.view(1, 1, 5, 1))
    for _ in range(SETTINGS.shock_iterations):
        around = F.pad(x, (1,) * 4, mode="replicate")
        left, right = x - around[..., 1:-1, :-2], around[..., 1:-1, 2:] - x
        above, below = x - around[..., :-2, 1:-1], around[..., 2:, 1:-1] - x
        across, down = left + right, above + below
        mixed = around[..., 2:, 2:] + around[..., :-2, :-2] - around[..., 2:, :-2] - around[..., :-2, 2:]
        curve = across.square() * (right - left) + down.square() * (below - above) + across * down * mixed / 2
        slope = (_minmod(left, right).square() + _minmod(above, below).square()).sqrt()
        x = x - SETTINGS.shock_step * curve.sign() * slope
    return x.view(lumas.shape)


def find_slopes(lumas: Tensor, directions: Sequence[tuple[int, int]]) -> Tensor:
    """Return the differences to a neighbour, without their mean: (B, n, len(directions), h - 2, w - 2)."""
    inside = lumas[..., 1:-1, 1:-1]
    differences = [inside - torch.roll(lumas, step, (-2, -1))[..., 1:-1, 1:-1] for step in directions]
    slopes = torch.stack(differences, 2)
    return slopes - slopes.mean((1, 3, 4), keepdim=True)


def _minmod(one: Tensor, other: Tensor) -> Tensor:
    """Return the smaller magnitude of two slopes, 0 where they point apart."""
    return torch.minimum(one.abs(), other.abs()) * (one * other > 0)


def _threshold_of(size: Tensor, share: float) -> Tensor:
    """Return from where on the largest `share` of (B, n, C, h, w) begin, by every fifth: (B, 1, C, 1, 1)."""
    ordered = size.transpose(1, 2).flatten(2)[:, :, ::5].sort(2).values
    return ordered[:, None, :, int((1 - share) * (ordered.shape[2] - 1)), None, None]


def _correlations_of(spectra: Tensor, scale: int = 1) -> Tensor:
    """Return the correlations of cross spectra for lags of up to half a kernel shrunk by `scale`: (..., k, k)."""
    window, reach = SETTINGS.window_side // scale, SETTINGS.kernel_side // 2 // scale
    lags = torch.fft.irfft2(spectra, s=(window, window))
    return torch.roll(lags, (reach, reach), (-2, -1))[..., : 2 * reach + 1, : 2 * reach + 1]


def _scale_to_middle(maps: Tensor) -> Tensor:
    """Scale maps, (..., kernel_side, kernel_side), so that they are 1 in the middle."""
    middle = SETTINGS.kernel_side // 2
    return maps / maps[..., middle, middle].clamp_min(1e-6)[..., None, None]
