"""What cameras and files do to light: transfer curve, optics, sensor noise, quantisation, JPEG.

Degradations are built from these; each works on a batch, with one strength a picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.luma import LUMA
from cyclerdm_cli.tasks.draw import normal


def per_picture(values: Tensor) -> Tensor:
    """Shape one number a picture, (B,), so that it broadcasts over (B, C, H, W)."""
    return values.reshape(-1, 1, 1, 1)


def convolve(picture: Tensor, kernels: Tensor) -> Tensor:
    """Blur each picture with its own kernel, the border reflected (replicated where it does not fit).

    Args:
        picture: (B, C, H, W).
        kernels: (B, k, k), k odd, each summing to 1.
    """
    batch, channels, height, width = picture.shape
    size = kernels.shape[-1]
    reach = size // 2
    mode = "reflect" if reach < min(height, width) else "replicate"
    padded = F.pad(picture, (reach,) * 4, mode=mode)
    weight = kernels.to(picture.dtype).repeat_interleave(channels, 0).unsqueeze(1)
    if size <= 9:
        blurred = F.conv2d(
            padded.reshape(1, batch * channels, *padded.shape[2:]), weight, groups=batch * channels
        )
        return blurred.reshape(batch, channels, height, width)
    rows, columns = padded.shape[2:]  # large kernels: the product of the spectra costs less
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels.flip(1, 2), s=(rows, columns)).unsqueeze(1)
    return torch.fft.irfft2(spectrum, s=(rows, columns))[..., 2 * reach :, 2 * reach :].to(picture.dtype)


def gaussian_blur(picture: Tensor, sigma: Tensor) -> Tensor:
    """Blur each picture by its own sigma, (B,), in pixels; border reflected, separable."""
    reach = max(1, int(3 * float(sigma.max()) + 0.5))
    batch, channels, height, width = picture.shape
    offsets = torch.arange(-reach, reach + 1, device=picture.device)
    profile = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3).unsqueeze(1)) ** 2)
    profile = (profile / profile.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = picture.reshape(1, batch * channels, height, width)
    vertical = F.pad(flat, (0, 0, reach, reach), mode="reflect" if reach < height else "replicate")
    flat = F.conv2d(vertical, profile[:, None, :, None], groups=batch * channels)
    horizontal = F.pad(flat, (reach, reach, 0, 0), mode="reflect" if reach < width else "replicate")
    return F.conv2d(horizontal, profile[:, None, None, :], groups=batch * channels).reshape(picture.shape)


def sensor_noise(linear: Tensor, shot: Tensor, read: Tensor, generator: torch.Generator) -> Tensor:
    """Add Poisson-Gaussian noise, approximated as Gaussian with variance shot * signal + read^2.

    Source: Foi et al., "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008.

    Args:
        linear: (B, C, H, W) linear light in [0, 1].
        shot: (B,) variance a unit of signal. read: (B,) standard deviation in the dark.
    """
    variance = per_picture(shot) * linear.clamp_min(0) + per_picture(read) ** 2
    return linear + variance.sqrt() * normal(tuple(linear.shape), generator)


def stored(picture: Tensor, worst: float, share: float, generator: torch.Generator) -> Tensor:
    """Round to 8 bits as files do; a share of the pictures is also compressed as JPEG.

    Args:
        picture: (B, 3, H, W), clipped to [0, 1].
        worst: lowest JPEG quality drawn; the highest is 100.
        share: of the pictures that are compressed.
        generator: the source of chance.
    """
    batch = picture.shape[0]
    qualities = worst + (100 - worst) * torch.rand(batch, generator=generator, device=generator.device)
    chosen = torch.rand(batch, generator=generator, device=generator.device) < share
    result = quantise(picture)
    if bool(chosen.any()):
        result[chosen] = jpeg(result[chosen], qualities[chosen])
    return result


def quantise(picture: Tensor) -> Tensor:
    """Round to 8 bits and clip, as every stored picture is."""
    return (picture.clamp(0, 1) * 255).round() / 255


_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_TO_YCBCR = (LUMA, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def jpeg(picture: Tensor, quality: Tensor) -> Tensor:
    """Compress and decompress as baseline JPEG does, chroma at half size (ITU-T T.81, annex K tables).

    Args:
        picture: (B, 3, H, W) in [0, 1], any size.
        quality: (B,) 1 to 100, on the scale of the Independent JPEG Group.
    """
    device, (height, width) = picture.device, picture.shape[2:]
    padded = F.pad(picture, (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = torch.einsum("dc,bchw->bdhw", torch.tensor(_TO_YCBCR, device=device), padded * 255 - 128)
    ycc[:, 1:] -= ycc.new_tensor(_TO_YCBCR)[1:].sum(1).view(1, 2, 1, 1) * -128
    scale = torch.where(quality < 50, 5000 / quality.clamp_min(1), 200 - 2 * quality) / 100
    luma = _requantise(ycc[:, :1], torch.tensor(_LUMINANCE, device=device), scale)
    chroma = _requantise(F.avg_pool2d(ycc[:, 1:], 2), torch.tensor(_CHROMINANCE, device=device), scale)
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    rgb = torch.einsum("dc,bchw->bdhw", torch.tensor(_TO_RGB, device=device), torch.cat([luma, chroma], 1))
    return quantise((rgb + 128)[:, :, :height, :width] / 255)


def _requantise(plane: Tensor, table: Tensor, scale: Tensor) -> Tensor:
    """Round the 8x8 DCT coefficients of (B, C, H, W), H and W multiples of 8, to the table times scale (B,)."""
    batch, channels, height, width = plane.shape
    position = torch.arange(8, device=plane.device)
    basis = torch.cos((2 * position + 1) * position.unsqueeze(1) * torch.pi / 16) / 2
    basis[0] /= 2**0.5
    blocks = plane.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = (table * scale.view(-1, 1, 1)).round().clamp(1, 255).view(batch, 1, 1, 1, 8, 8)
    coefficients = (basis @ blocks @ basis.T / steps).round() * steps
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(batch, channels, height, width)
