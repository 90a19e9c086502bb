"""All numbers by which blur is found and undone."""

from __future__ import annotations

from dataclasses import dataclass

from cyclerdm_cli.cycle.cycle import WINDOW_SIDE
from cyclerdm_cli.luma import LUMA


@dataclass(frozen=True)
class Deconvolution:
    """How kernels are searched, read and deconvolved with; weights were trained with the defaults."""

    kernel_side: int = 65
    """Side of a kernel, in pixels; odd."""
    luma_weights: tuple[float, float, float] = LUMA
    """Shares of red, green and blue in the luma, of sum 1 (ITU-R BT.601)."""

    window_side: int = WINDOW_SIDE
    """Side of the spectra of windows, and of the largest windows, in pixels."""
    smallest_side: int = 16
    """Side of a window, in pixels, below which no kernel is looked for."""
    trigger_share: float = 0.03
    """Share of the slopes, the strongest, that are correlated with all others, in (0, 1)."""
    edge_shares: tuple[float, ...] = (0.15, 0.05)
    """Shares of the slopes, the strongest, that kernels are fitted to, in (0, 1)."""
    fit_scales: tuple[int, ...] = (1, 2, 4)
    """Factors by which windows are shrunk before kernels are fitted; the first is 1."""
    fit_regularisation: float = 0.02
    """Weight of the kernel's own energy in least squares, over the mean power of the edges as they are."""
    shock_fit_regularisation: float = 0.1
    """The same where the edges are those of the shock filter."""
    shock_iterations: int = 6
    """Steps of the shock filter."""
    shock_step: float = 0.45
    """Length of a step of the shock filter, in pixels, at most 0.5."""

    reader_widths: tuple[int, int, int] = (24, 40, 56)
    """Channels of the network that reads clues, at 1, 1/2 and 1/4 of a kernel's resolution."""
    initial_trust_logit: float = -3.0
    """Logarithm of the odds of a kernel to be right before anything is learned: wrong ones do harm."""
    alignment_side: int = 135
    """Side of the spectra in which kernels are averaged, in pixels: odd, so that none is its own opposite."""
    disagreement_scale: float = 0.1
    """Variance of the kernels read, over the power that their mean blurs away, where trust falls to 1/e."""

    padding: int = 64
    """Pixels mirrored around a picture before it is deconvolved."""
    gamma: float = 1.5
    """Exponent that brings sRGB-encoded pictures halfway to linear light before they are deconvolved."""
    noise_exponents: tuple[float, float] = (-3.0, -9.0)
    """Natural logarithms of noise over signal at caution 0: a squared cycle a pixel, and at any frequency."""
    chroma_caution: float = 0.4
    """Caution added for what the colours differ by from the luma, in half natural logarithms of noise."""
    variant_cautions: tuple[float, ...] = (-0.7, 0.5)
    """Caution added to what was read, in half natural logarithms of noise: sharper first, then calmer."""
    splitting_iterations: int = 3
    """Iterations of half-quadratic splitting, in the luma."""
    edge_threshold: float = 0.06
    """Slope, a pixel, below which there is no edge in the first iteration; half of that in each further one."""
    edge_weight: float = 0.05
    """Pull of the edges over the noise in the first iteration; twice that in each further one."""
    overshoot_slope: float = 0.02
    """Slope of the result beyond [0, 1], so that training finds the way back."""


SETTINGS = Deconvolution()
"""The defaults."""
