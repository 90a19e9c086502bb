"""A kernel read from the clues to it, in all symmetries.

To tell which of all kernels it was that blurred a picture is what a small convolutional network does not learn by
itself. None of the clues is exact: this one reads all of them, as pictures of the kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.deconvolution.blur import Blur, sharp_kernel
from cyclerdm_cli.cycle.deconvolution.kernel_search import NUMBER_OF_CLUES, clues
from cyclerdm_cli.cycle.deconvolution.settings import SETTINGS
from cyclerdm_cli.cycle.deconvolution.symmetries import NUMBER_OF_SYMMETRIES, clues_mirrored, mirror_back
from cyclerdm_cli.cycle.deconvolution.wiener import natural_power_spectrum, power_spectrum, transfer_function

NUMBER_OF_PLACE_MAPS = 5
"""Maps of rows, columns and distances, always the same, that are read beside the clues."""


class ResidualBlock(nn.Module):
    """x + conv(SiLU(conv(normalised x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, width)
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + self.conv2(F.silu(self.conv1(self.norm(x))))


class KernelReader(nn.Module):
    """A U-Net from clues to a kernel, the noise it is undone with, and how far it is to be trusted."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = SETTINGS.reader_widths
        self.first = nn.Conv2d(NUMBER_OF_CLUES + NUMBER_OF_PLACE_MAPS, fine, 5, padding=2)
        self.down_fine, self.to_middle = ResidualBlock(fine), nn.Conv2d(fine, middle, 3, 2, 1)
        self.down_middle, self.to_coarse = _two_blocks(middle), nn.Conv2d(middle, coarse, 3, 2, 1)
        self.bottom = _two_blocks(coarse)
        self.whole = nn.Sequential(nn.Linear(2 * coarse + 1, 96), nn.SiLU(), nn.Linear(96, coarse + 3))
        self.from_coarse, self.up_middle = nn.Conv2d(coarse, middle, 1), _two_blocks(middle)
        self.from_middle, self.up_fine = nn.Conv2d(middle, fine, 1), _two_blocks(fine)
        self.last = nn.Conv2d(fine, 1, 3, padding=1)
        nn.init.zeros_(self.whole[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.last.weight)
        nn.init.constant_(self.whole[2].bias[2], SETTINGS.initial_trust_logit)  # type: ignore[index]
        places, start = _place_maps()
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("start", start, persistent=False)

    def forward(self, maps: Tensor, strength: Tensor) -> Blur:
        """Read a kernel.

        Args:
            maps: (B, NUMBER_OF_CLUES, kernel_side, kernel_side), see `clues`.
            strength: (B, 1), see `clues`.
        """
        x = torch.cat([maps, self.places.expand(len(maps), -1, -1, -1)], 1)  # type: ignore[operator]
        fine = self.down_fine(self.first(x.contiguous(memory_format=torch.channels_last)))
        middle = self.down_middle(self.to_middle(fine))
        coarse = self.bottom(self.to_coarse(middle))
        whole = self.whole(torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3)), strength], 1))
        coarse = coarse + whole[:, 3:, None, None]
        middle = self.up_middle(middle + _enlarge(self.from_coarse(coarse), middle))
        fine = self.up_fine(fine + _enlarge(self.from_middle(middle), fine))
        logits = 4 * self.last(fine)[:, 0].float() + self.start
        kernel = logits.flatten(1).softmax(1).view(logits.shape)
        whole = whole.float()
        return Blur(kernel, whole[:, :2].clamp(-5, 5), whole[:, 2:3].sigmoid())


def _two_blocks(width: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(width), ResidualBlock(width))


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def _place_maps() -> tuple[Tensor, Tensor]:
    """Return what a kernel looks like from its middle, and as hardly a blur, before anything is learned.

    Returns:
        (1, NUMBER_OF_PLACE_MAPS, kernel_side, kernel_side); (kernel_side, kernel_side) logits.
    """
    side = SETTINGS.kernel_side
    places = torch.arange(side) - side // 2.0
    rows, columns = places[:, None].expand(side, side), places.expand(side, side)
    distance = (rows.square() + columns.square()).sqrt()
    near = [torch.exp(-distance / 2), torch.exp(-distance / 6), torch.log1p(distance) / 4]
    start = 10 * torch.exp(-distance / 1.5) - 0.08 * distance
    return torch.stack([rows / 32, columns / 32, *near])[None], start


def find_blur(reader: KernelReader, windows: Tensor) -> Blur:
    """Find the blur of whole pictures; of those smaller than smallest_side, none.

    Args:
        reader: the network.
        windows: (B, n, 3, h, w) in [0, 1] from all over each picture, h and w at most window_side.
    """
    if min(windows.shape[3:]) < SETTINGS.smallest_side:
        nothing = windows.new_zeros((len(windows), 3))
        return Blur(sharp_kernel(len(windows), windows.device), nothing[:, :2], nothing[:, 2:])
    return read_blur(reader, *clues(windows))


def read_blur(reader: KernelReader, maps: Tensor, strength: Tensor) -> Blur:
    """Read clues in all symmetries and return the mean: a guess in one of them is rarely one in the others.

    Args:
        reader: the network.
        maps: (B, NUMBER_OF_CLUES, kernel_side, kernel_side), see `clues`.
        strength: (B, 1), see `clues`.

    Returns:
        Kernels that may be faintly negative beside sharp lines; less trust where the readings disagree.
    """
    turned = torch.cat([clues_mirrored(maps, symmetry) for symmetry in range(NUMBER_OF_SYMMETRIES)])
    readings = reader(turned, strength.repeat(NUMBER_OF_SYMMETRIES, 1))
    kernels, caution, trust = (one.unflatten(0, (NUMBER_OF_SYMMETRIES, -1)) for one in readings)
    kernels = torch.stack([mirror_back(one, symmetry) for symmetry, one in enumerate(kernels)])
    kernel, agreement = _average_kernels(kernels)
    return Blur(kernel, caution.mean(0), trust.mean(0) * agreement)


def _average_kernels(kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Average readings of the same kernels, laid on one another by their centres of mass, between pixels.

    Args:
        kernels: (NUMBER_OF_SYMMETRIES, B, kernel_side, kernel_side), each of sum 1.

    Returns:
        (B, kernel_side, kernel_side), each of sum 1; (B, 1) in (0, 1]: how far the readings agree.
    """
    side, around = SETTINGS.kernel_side, SETTINGS.alignment_side
    transfers, squared_frequency = transfer_function(kernels.flatten(0, 1), around, around)
    weight = natural_power_spectrum(squared_frequency)
    transfers = transfers.view(*kernels.shape[:2], *transfers.shape[1:])
    mean = transfers.mean(0)
    variance = ((power_spectrum(transfers).mean(0) - power_spectrum(mean)) * weight).sum((1, 2))
    lost = (((1 - mean.real).square() + mean.imag.square()) * weight).sum((1, 2)) + 1e-2 * weight.sum()
    agreement = torch.exp(variance / (-SETTINGS.disagreement_scale * lost))[:, None]
    kernel = torch.fft.irfft2(mean, s=(around, around))
    kernel = torch.roll(kernel, (side // 2, side // 2), (1, 2))[:, :side, :side]
    return kernel / kernel.sum((1, 2), keepdim=True), agreement
