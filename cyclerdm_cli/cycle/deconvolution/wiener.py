"""Blur of a known kernel undone in the spectrum: the Wiener filter and half-quadratic splitting."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.cycle.deconvolution.blur import Blur
from cyclerdm_cli.cycle.deconvolution.settings import SETTINGS

NUMBER_OF_VARIANTS = len(SETTINGS.variant_cautions)
"""Pictures that `deconvolve_variants` makes of one."""


def deconvolve_variants(picture: Tensor, blur: Blur) -> Tensor:
    """Undo a blur with each of variant_cautions.

    Light is smeared before the tone curve, much of what is found blurred was smeared after it, and of which kind a
    picture is can't be told: halfway between, both come out well. Edges are drawn sharp in the luma alone.

    Args:
        picture: (B, 3, H, W) in [0, 1], sRGB-encoded.
        blur: of the pictures.

    Returns:
        (B, 3 * NUMBER_OF_VARIANTS, H, W), sRGB-encoded; a little beyond [0, 1] where the filter overshoots.
    """
    encoded = picture.float()
    light = encoded.clamp_min(0) ** SETTINGS.gamma
    luma = (light * light.new_tensor(SETTINGS.luma_weights).view(3, 1, 1)).sum(1, keepdim=True)
    chroma = wiener_filter(light - luma, blur._replace(caution=blur.caution + SETTINGS.chroma_caution))
    variants = []
    for caution in SETTINGS.variant_cautions:
        cautious = blur._replace(caution=blur.caution + caution)
        sharper = chroma + wiener_filter(luma, cautious, SETTINGS.splitting_iterations)
        undone = sharper.clamp(1e-5, 1) ** (1 / SETTINGS.gamma)
        overshoot = SETTINGS.overshoot_slope * (sharper - sharper.clamp(0, 1))
        variants.append(torch.lerp(encoded, undone + overshoot, blur.trust[:, :, None, None]))
    return torch.cat(variants, 1)


def wiener_filter(picture: Tensor, blur: Blur, splitting_iterations: int = 0) -> Tensor:
    """Divide pictures by the transfer function of their kernels wherever it stands out of the noise.

    The noise is relative to natural pictures, whose power falls with the square of the frequency. In each iteration
    the filter is run again towards those slopes of its result that are too strong to be ringing, weaker ones each
    time (half-quadratic splitting: Krishnan and Fergus, "Fast Image Deconvolution using Hyper-Laplacian Priors",
    NIPS 2009).

    Args:
        picture: (B, C, H, W).
        blur: of the pictures; its trust does not count.
        splitting_iterations: 0 or more.

    Returns:
        (B, C, H, W).
    """
    margin = SETTINGS.padding
    padded = F.pad(picture, (margin,) * 4, mode="reflect" if min(picture.shape[2:]) > margin else "replicate")
    height, width = padded.shape[2:]
    transfer, squared_frequency = transfer_function(blur.kernel, height, width)
    noise = torch.exp(2 * blur.caution + blur.caution.new_tensor(SETTINGS.noise_exponents))
    growing, even = noise[:, :, None, None, None].unbind(1)
    power = power_spectrum(transfer).unsqueeze(1) + even
    matched = (1 + even) * transfer.conj().unsqueeze(1) * torch.fft.rfft2(taper_edges(padded, transfer))
    result = torch.fft.irfft2(matched / (power + growing * squared_frequency), s=(height, width))
    laplacian = _laplacian_spectrum(padded)
    for iteration in range(splitting_iterations):
        edges = torch.fft.rfft2(_laplacian_of_edges(result, SETTINGS.edge_threshold / 2**iteration))
        pull = SETTINGS.edge_weight * 2**iteration * growing
        result = torch.fft.irfft2((matched + pull * edges) / (power + pull * laplacian), s=(height, width))
    return result[..., margin:-margin, margin:-margin]


def taper_edges(padded: Tensor, transfer: Tensor) -> Tensor:
    """Fade the padding, outwards, into the picture blurred once more as if it went on around its borders.

    So nothing at the borders contradicts the kernel: ringing from there otherwise costs half a decibel, or more.

    Args:
        padded: (B, C, H, W), with `padding` pixels on every side.
        transfer: (B, H, W // 2 + 1), see `transfer_function`.
    """
    height, width, margin = *padded.shape[2:], SETTINGS.padding
    periodic = torch.fft.irfft2(torch.fft.rfft2(padded) * transfer.unsqueeze(1), s=(height, width))
    rise = (torch.arange(margin, device=padded.device) + 0.5) / margin
    rows, columns = (
        torch.cat([rise, rise.new_ones(side - 2 * margin), rise.flip(0)]) for side in (height, width)
    )
    return torch.lerp(periodic, padded, rows[:, None] * columns)


def transfer_function(kernel: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the spectra of kernels with their centres of mass at the origin, and the squared frequencies.

    Args:
        kernel: (B, k, k), k odd, each of sum 1.
        height, width: of the pictures, at least k.

    Returns:
        (B, height, width // 2 + 1), complex; (height, width // 2 + 1) in cycles a pixel, squared.
    """
    side, device = kernel.shape[-1], kernel.device
    places = torch.arange(side, device=device) - side // 2.0
    down, across = ((kernel.sum(axis) * places).sum(1)[:, None, None] for axis in (2, 1))
    framed = F.pad(kernel, (0, width - side, 0, height - side))
    spectrum = torch.fft.rfft2(torch.roll(framed, (-(side // 2), -(side // 2)), (1, 2)))
    rows, columns = _frequencies(height, width, device)
    turned = 2 * math.pi * (rows * down + columns * across)
    return spectrum * torch.complex(turned.cos(), turned.sin()), rows.square() + columns.square()


def natural_power_spectrum(squared_frequency: Tensor) -> Tensor:
    """Return the power of natural pictures, without their mean, at squared frequencies, (H, W // 2 + 1)."""
    power = 1 / (squared_frequency + 1 / SETTINGS.window_side**2)
    power[0, 0] = 0
    return power


def power_spectrum(spectrum: Tensor) -> Tensor:
    """Return the squared magnitudes of a complex spectrum, of the same shape."""
    return spectrum.real.square() + spectrum.imag.square()


def _laplacian_of_edges(picture: Tensor, threshold: float) -> Tensor:
    """Return the negative Laplacian of (B, C, H, W), periodic, of slopes shrunk by a soft threshold."""
    across, down = (torch.roll(picture, -1, axis) - picture for axis in (3, 2))
    squared = (across.square() + down.square()).sum(1, keepdim=True)
    kept = (squared - threshold**2).clamp_min(0) / squared.clamp_min(1e-10)
    across, down = across * kept, down * kept
    return torch.roll(across, 1, 3) - across + torch.roll(down, 1, 2) - down


def _laplacian_spectrum(picture: Tensor) -> Tensor:
    """Return the spectrum of the negative Laplacian at the size of (B, C, H, W): (H, W // 2 + 1)."""
    height, width = picture.shape[2:]
    rows, columns = _frequencies(height, width, picture.device)
    return 4 - 2 * (2 * math.pi * rows).cos() - 2 * (2 * math.pi * columns).cos()


def _frequencies(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the frequencies of a real spectrum, in cycles a pixel: (height, 1) and (width // 2 + 1,)."""
    return torch.fft.fftfreq(height, device=device)[:, None], torch.fft.rfftfreq(width, device=device)
