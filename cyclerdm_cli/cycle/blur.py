"""Blur as one kernel for the whole picture: found from its slopes, then undone in the spectrum.

To tell which of all kernels it was that blurred a picture is what a small convolutional network does not
learn, so it is asked apart. The correlations of the slopes hold how much each frequency was weakened
(Goldstein and Fattal, "Blur-Kernel Estimation from Spectral Irregularities", ECCV 2012), those of strong
slopes with all others hold the shape; and if edges were steps before, as a shock filter makes them again,
least squares between their slopes and those that are there give the kernel, from coarse to fine (Cho and Lee,
"Fast Motion Deblurring", SIGGRAPH Asia 2009). None of it is exact: a small network reads all of it, as pictures
of the kernel, in all ways to mirror and turn them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.cycle import WINDOW

SIDE = 65
"""Of a kernel, in pixels."""
MARGIN = 64
"""Pixels mirrored around a picture before it is sharpened."""
WIDTHS = (24, 40, 56)
"""Channels of the network that reads correlations, at 1, 1/2 and 1/4 of a kernel's resolution."""
ACROSS, DOWN, FALLING, RISING = (0, 1), (1, 0), (1, 1), (1, -1)
STRONGEST, STRONG = 0.03, (0.15, 0.05)
"""Shares of the slopes: those that trigger the correlations, and those that least squares trust."""
READ = 5
"""Pictures of what is always the same that the network is given beside the correlations: places and distances."""
SCALES = (1, 2, 4)
"""How often pictures are shrunk before kernels are fitted."""
CORRELATIONS, MATCHES = 13, (len(SCALES) + 1) * len(STRONG)
CLUES = CORRELATIONS + MATCHES
AROUND = 135
"""Side of the spectra in which kernels are laid on one another: odd, so that no frequency is its own opposite."""
WAYS = 8
"""To mirror and turn a picture onto the grid of its pixels."""
APART = 0.1
"""How far the kernels read in all ways lie apart, of what their mean blurs, where only a third is trusted."""
DISTRUST = -3.0
"""The logarithm of the odds of a kernel to be right before anything is learned: wrong ones do harm."""
SMALLEST = 16
"""Side of a picture in pixels below which no kernel is looked for."""
HALFWAY = 1.5
"""To this power sRGB-encoded pictures are raised before blur is undone."""
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue (ITU-R BT.601)."""
DULL = 0.4
"""How much more cautious Wiener's filter is with what the colours differ by from the luma."""
ATTEMPTS = (-0.7, 0.5)
"""How much more cautious than what was read blur is undone, in half logarithms: once sharper, once calmer."""
BLENDING = 32
"""Channels of the network that blends the attempts."""
KNOWN = 4
"""Numbers about a blur that it is told."""
SPLITS, FAINT, PULL = 3, 0.06, 0.05
"""Times that the luma's edges are told from ringing; the slopes, at first, below which they are none; how strongly
the result is pulled towards them, at first."""
SHOCKS, SHOCK = 6, 0.45
"""Steps of the shock filter, and their length in pixels, at most 0.5."""


class Blur(NamedTuple):
    """What is known of the blur of pictures."""

    kernel: Tensor
    """(B, SIDE, SIDE), each of sum 1: where the light of one point went. Where it lies does not count:
    its centre of mass is taken for the middle."""
    caution: Tensor
    """(B, 2): half the logarithms of what Wiener's filter takes for noise, growing with the frequency and even."""
    trust: Tensor
    """(B, 1) in [0, 1]: how much of what the filter changes is kept."""

    def packed(self) -> Tensor:
        """Return all as one row of numbers a picture, (B, SIDE^2 + 3)."""
        return torch.cat([self.kernel.flatten(1), self.caution, self.trust], 1)

    @classmethod
    def unpacked(cls, numbers: Tensor) -> Blur:
        """Return what `packed` made a row of."""
        return cls(numbers[:, :-3].view(-1, SIDE, SIDE), numbers[:, -3:-1], numbers[:, -1:])


def sharp(batch: int, device: torch.device) -> Tensor:
    """Return the kernels of no blur at all, (B, SIDE, SIDE)."""
    kernel = torch.zeros((batch, SIDE, SIDE), device=device)
    kernel[:, SIDE // 2, SIDE // 2] = 1
    return kernel


def framed(kernel: Tensor) -> Tensor:
    """Bring kernels, (B, k, k), k odd and at most SIDE, to (B, SIDE, SIDE)."""
    return F.pad(kernel, ((SIDE - kernel.shape[-1]) // 2,) * 4)


def attempts(picture: Tensor, blur: Blur) -> Tensor:
    """Undo a blur in several ways: (B, 3, H, W) in [0, 1], sRGB-encoded, to (B, 3 len(ATTEMPTS), H, W).

    Light is smeared before the tone curve, much of what is found blurred was smeared after it, and of which kind a
    picture is can't be told: halfway between, both come out well. Edges are drawn sharp in the luma alone.

    Beyond [0, 1] the result goes on, faintly, so that training finds the way back.
    """
    given = picture.float().clamp_min(0) ** HALFWAY
    luma = (given * given.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    colours = sharpened(given - luma, blur._replace(caution=blur.caution + DULL))
    made = []
    for more in ATTEMPTS:
        sharper = colours + sharpened(luma, blur._replace(caution=blur.caution + more), SPLITS)
        undone = sharper.clamp(1e-5, 1) ** (1 / HALFWAY) + 0.02 * (sharper - sharper.clamp(0, 1))
        made.append(torch.lerp(picture.float(), undone, blur.trust[:, :, None, None]))
    return torch.cat(made, 1)


def sharpened(picture: Tensor, blur: Blur, splits: int = 0) -> Tensor:
    """Run Wiener's filter over (B, C, H, W): what stands out of the noise is divided by the kernel's spectrum.

    Natural pictures weaken with the square of the frequency, so what counts as noise grows with it. Then, as often
    as `splits` says, the filter is run again towards those slopes of its result that are not so faint that they may
    be ringing, fainter ones each time (half-quadratic splitting: Krishnan and Fergus, "Fast Image Deconvolution
    using Hyper-Laplacian Priors", NIPS 2009).
    """
    padded = F.pad(picture, (MARGIN,) * 4, mode="reflect" if min(picture.shape[2:]) > MARGIN else "replicate")
    height, width = padded.shape[2:]
    spectrum, frequency = spectrum_of(blur.kernel, height, width)
    noise = torch.exp(2 * blur.caution - blur.caution.new_tensor((3, 9)))
    growing, even = noise[:, :, None, None, None].unbind(1)
    strength = power(spectrum).unsqueeze(1) + even
    seen = (1 + even) * spectrum.conj().unsqueeze(1) * torch.fft.rfft2(_tapered(padded, spectrum))
    result = torch.fft.irfft2(seen / (strength + growing * frequency), s=(height, width))
    roughness = _roughness(padded)
    for split in range(splits):
        towards, pull = torch.fft.rfft2(_edges(result, FAINT / 2**split)), PULL * 2**split * growing
        result = torch.fft.irfft2((seen + pull * towards) / (strength + pull * roughness), s=(height, width))
    return result[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _edges(picture: Tensor, faint: float) -> Tensor:
    """Return the Laplacian, negative, of (B, C, H, W), of its slopes only those that are not faint."""
    across, down = (torch.roll(picture, -1, axis) - picture for axis in (3, 2))
    size = (across.square() + down.square()).sum(1, keepdim=True)
    kept = (size - faint**2).clamp_min(0) / size.clamp_min(1e-10)
    across, down = across * kept, down * kept
    return torch.roll(across, 1, 3) - across + torch.roll(down, 1, 2) - down


def _roughness(picture: Tensor) -> Tensor:
    """Return the spectrum of what `_edges` does where no slope is faint, (H, W // 2 + 1)."""
    height, width = picture.shape[2:]
    rows = torch.fft.fftfreq(height, device=picture.device)[:, None]
    columns = torch.fft.rfftfreq(width, device=picture.device)
    return 4 - 2 * (2 * math.pi * rows).cos() - 2 * (2 * math.pi * columns).cos()


def _tapered(padded: Tensor, spectrum: Tensor) -> Tensor:
    """Fade the margin, outwards, into the picture blurred once more as if it went on around its borders.

    So nothing at the borders contradicts the kernel: ringing from there otherwise costs half a decibel, or more.
    """
    height, width = padded.shape[2:]
    around = torch.fft.irfft2(torch.fft.rfft2(padded) * spectrum.unsqueeze(1), s=(height, width))
    rise = (torch.arange(MARGIN, device=padded.device) + 0.5) / MARGIN
    rows, columns = (
        torch.cat([rise, rise.new_ones(side - 2 * MARGIN), rise.flip(0)]) for side in (height, width)
    )
    return torch.lerp(around, padded, rows[:, None] * columns)


def spectrum_of(kernel: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
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
    rows = torch.fft.fftfreq(height, device=device)[:, None]
    columns = torch.fft.rfftfreq(width, device=device)
    turned = 2 * math.pi * (rows * down + columns * across)
    return spectrum * torch.complex(turned.cos(), turned.sin()), rows.square() + columns.square()


def natural(frequency: Tensor) -> Tensor:
    """Return how strong natural pictures are at squared frequencies, (H, W // 2 + 1); nothing for their mean."""
    strength = 1 / (frequency + 1 / WINDOW**2)
    strength[0, 0] = 0
    return strength


def power(spectrum: Tensor) -> Tensor:
    """Return the squared amplitudes."""
    return spectrum.real.square() + spectrum.imag.square()


def correlations(lumas: Tensor) -> tuple[Tensor, Tensor]:
    """Describe blur by the slopes of windows.

    Args:
        lumas: (B, n, h, w) windows of each picture, h and w at most WINDOW.

    Returns:
        (B, CORRELATIONS, SIDE, SIDE): of the slopes in four directions with themselves, each and all together; of
        the strongest with all others, and how much these differ from themselves turned by half; (B, 1) the
        logarithm of the slopes' strength.
    """
    slopes = _slopes(lumas, (ACROSS, DOWN, FALLING, RISING))  # (B, n, 4, h, w)
    strength = slopes.square().mean((1, 2, 3, 4), keepdim=True).sqrt() + 1e-4
    slopes = slopes / strength
    spectra = torch.fft.rfft2(slopes, s=(WINDOW, WINDOW))
    alike = _lags(power(spectra).sum(1))  # (B, 4, SIDE, SIDE)
    size = slopes.abs()
    trigger = slopes * (size / (_least_of(size, STRONGEST) + 1e-6)).clamp(0, 1).square()
    shaped = _lags((torch.fft.rfft2(trigger, s=(WINDOW, WINDOW)).conj() * spectra).sum(1))
    shaped = shaped / (trigger.abs() * size).sum((1, 3, 4)).clamp_min(1e-6)[..., None, None]
    together = alike.sum(1, keepdim=True)
    found = [_to_middle(alike), _to_middle(together), shaped, shaped.flip(2, 3) - shaped]
    return torch.cat(found, 1), strength.flatten(1).log()


def matches(lumas: Tensor) -> Tensor:
    """Fit kernels between the strong slopes of windows, taken for sharp, and all slopes.

    Args:
        lumas: (B, n, h, w) windows of each picture, h and w at most WINDOW.

    Returns:
        (B, MATCHES, SIDE, SIDE), the largest value of each 1: for the STRONG slopes as they are, and for steps,
        these at each of SCALES: of what a long kernel smeared the shock filter makes steps only once it is shrunk.
    """
    found = []
    for scale in SCALES:
        shrunk, side = F.avg_pool2d(lumas, scale), WINDOW // scale
        given = torch.fft.rfft2(_slopes(shrunk, (ACROSS, DOWN)), s=(side, side))
        for sharper, ease in ((shrunk, 0.02), (shocked(shrunk), 0.1))[scale > 1 :]:
            slopes = _slopes(sharper, (ACROSS, DOWN))
            size = slopes.square().sum(2, keepdim=True).sqrt()
            for share in STRONG:
                edges = torch.fft.rfft2(slopes * (size >= _least_of(size, share)), s=(side, side))
                strength = power(edges).sum((1, 2))
                noise = ease * strength.mean((1, 2), keepdim=True) + 1e-6
                fitted = _lags((edges.conj() * given).sum((1, 2)) / (strength + noise), scale)
                found.append(
                    F.interpolate(fitted[:, None], (SIDE, SIDE), mode="bilinear", align_corners=True)
                )
    fitted = torch.cat(found, 1)
    return fitted / fitted.abs().amax((2, 3), keepdim=True).clamp_min(1e-6)


def shocked(lumas: Tensor) -> Tensor:
    """Turn the slopes of edges into steps, (B, n, h, w) to the same.

    Source: Osher and Rudin, "Feature-Oriented Image Enhancement Using Shock Filters", SIAM J. Numer. Anal. 1990:
    along the gradient, what curves upwards is lowered and what curves downwards is raised, after some smoothing.
    """
    binomial = lumas.new_tensor((1, 4, 6, 4, 1)) / 16
    x = F.pad(lumas.flatten(0, 1).unsqueeze(1), (2,) * 4, mode="replicate")
    x = F.conv2d(F.conv2d(x, binomial.view(1, 1, 1, 5)), binomial.view(1, 1, 5, 1))
    for _ in range(SHOCKS):
        around = F.pad(x, (1,) * 4, mode="replicate")
        left, right = x - around[..., 1:-1, :-2], around[..., 1:-1, 2:] - x
        above, below = x - around[..., :-2, 1:-1], around[..., 2:, 1:-1] - x
        across, down = left + right, above + below
        mixed = around[..., 2:, 2:] + around[..., :-2, :-2] - around[..., 2:, :-2] - around[..., :-2, 2:]
        curve = across.square() * (right - left) + down.square() * (below - above) + across * down * mixed / 2
        slope = (_least(left, right).square() + _least(above, below).square()).sqrt()
        x = x - SHOCK * curve.sign() * slope
    return x.view(lumas.shape)


def _least(one: Tensor, other: Tensor) -> Tensor:
    """Return the smaller size of two slopes, 0 where they point apart."""
    return torch.minimum(one.abs(), other.abs()) * (one * other > 0)


def _slopes(lumas: Tensor, directions: tuple[tuple[int, int], ...]) -> Tensor:
    """Return the differences to a neighbour, without their mean: (B, n, len(directions), h - 2, w - 2)."""
    inside = lumas[..., 1:-1, 1:-1]
    found = [inside - torch.roll(lumas, step, (-2, -1))[..., 1:-1, 1:-1] for step in directions]
    slopes = torch.stack(found, 2)
    return slopes - slopes.mean((1, 3, 4), keepdim=True)


def _least_of(size: Tensor, share: float) -> Tensor:
    """Return from where on the largest `share` of (B, n, C, h, w) begin, by every fifth: (B, 1, C, 1, 1)."""
    ordered = size.transpose(1, 2).flatten(2)[:, :, ::5].sort(2).values
    return ordered[:, None, :, int((1 - share) * (ordered.shape[2] - 1)), None, None]


def _lags(spectra: Tensor, scale: int = 1) -> Tensor:
    """Return correlations, as products of spectra, for lags up to half of SIDE before shrinking: (..., n, n)."""
    window, reach = WINDOW // scale, SIDE // 2 // scale
    lags = torch.fft.irfft2(spectra, s=(window, window))
    return torch.roll(lags, (reach, reach), (-2, -1))[..., : 2 * reach + 1, : 2 * reach + 1]


def _to_middle(maps: Tensor) -> Tensor:
    """Scale maps so that they are 1 in the middle."""
    middle = SIDE // 2
    return maps / maps[..., middle, middle].clamp_min(1e-6)[..., None, None]


def clues_mirrored(maps: Tensor, way: int) -> Tensor:
    """Return the clues of pictures as they are if these are mirrored or turned.

    Args:
        maps: (B, CLUES, SIDE, SIDE), see `clues`.
        way: see `mirrored`.
    """
    across, down, falling, rising = range(4)  # as in `correlations`
    if way & 4:
        across, down = down, across
    if (way & 1) ^ (way >> 1 & 1):
        falling, rising = rising, falling
    directions = [across, down, falling, rising]
    together, shaped, shifts, rest = 4, 5, 9, range(CORRELATIONS, CLUES)
    order = [*directions, together, *(start + one for start in (shaped, shifts) for one in directions), *rest]
    return mirrored(maps[:, order], way)


def mirrored(planes: Tensor, way: int) -> Tensor:
    """Mirror and turn (..., S, S): 1 exchanges left and right, 2 top and bottom, 4 rows and columns; sums both."""
    if way & 1:
        planes = planes.flip(-1)
    if way & 2:
        planes = planes.flip(-2)
    return planes.transpose(-1, -2) if way & 4 else planes


def _mirrored_back(planes: Tensor, way: int) -> Tensor:
    if way & 4:
        planes = planes.transpose(-1, -2)
    return mirrored(planes, way & 3)


class Residual(nn.Module):
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


class Blend(nn.Module):
    """Tells where which attempt to undo a blur came out best, and where none did.

    A kernel that is nearly right rings, one of a subject that moved alone rings all around it, noise is sharpened
    with the rest: how cautious to be is seen from the results (Vasu, Maligireddy and Rajagopalan, "Non-Blind
    Deblurring: Handling Kernel Uncertainty with CNNs", CVPR 2018). Starts as the attempts' mean.
    """

    def __init__(self) -> None:
        super().__init__()
        seen = 1 + len(ATTEMPTS)
        self.first, self.about = nn.Conv2d(4 * seen, BLENDING, 3, padding=1), nn.Linear(KNOWN, BLENDING)
        self.near, self.far = (
            nn.Sequential(
                nn.Conv2d(BLENDING, BLENDING, 3, padding=wide, dilation=wide),
                nn.SiLU(),
                nn.Conv2d(BLENDING, BLENDING, 3, padding=1),
            )
            for wide in (2, 4)
        )
        self.last = nn.Conv2d(BLENDING, 4 * seen, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.last.bias[:4] = -4  # type: ignore[index]

    def forward(self, picture: Tensor, made: Tensor, about: Tensor) -> Tensor:
        """Blend.

        Args:
            picture: (B, 3, H, W) in [0, 1], as it is.
            made: (B, 3 len(ATTEMPTS), H, W), see `attempts`.
            about: (B, KNOWN), see `known`.

        Returns:
            (B, 3, H, W), between them at every pixel.
        """
        choices = torch.cat([picture, made.to(picture.dtype)], 1)
        choices = choices.view(len(picture), -1, 3, *picture.shape[2:])  # (B, choices, 3, H, W)
        lumas = (choices * choices.new_tensor(LUMA).view(3, 1, 1)).sum(2)
        changes = torch.cat([lumas[:, :1] - 0.5, 4 * (lumas[:, 1:] - lumas[:, :1])], 1)
        height, width = picture.shape[2:]
        changes = F.pad(changes, (0, width % 2, 0, height % 2), mode="replicate")
        x = F.pixel_unshuffle(changes, 2).contiguous(memory_format=torch.channels_last)
        x = F.silu(self.first(x) + self.about(about)[:, :, None, None])
        x = x + self.near(x)
        x = x + self.far(x)
        shares = F.pixel_shuffle(self.last(x).float(), 2).softmax(1)[..., :height, :width]
        return (choices * shares[:, :, None]).sum(1)


def known(blur: Blur) -> Tensor:
    """Return what a blend is told of a blur, (B, KNOWN): its trust, its caution, and how far light went."""
    places = torch.arange(SIDE, device=blur.kernel.device) - SIDE // 2.0
    spread = sum((blur.kernel.sum(axis) * places.square()).sum(1, keepdim=True) for axis in (1, 2))
    return torch.cat([blur.trust, blur.caution / 4, spread.clamp_min(0).sqrt() / 8], 1)  # type: ignore[union-attr]


class KernelReader(nn.Module):
    """A U-Net from correlations to a kernel, and how far it is to be trusted."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.first = nn.Conv2d(CLUES + READ, fine, 5, padding=2)
        self.down_fine, self.to_middle = Residual(fine), nn.Conv2d(fine, middle, 3, 2, 1)
        self.down_middle, self.to_coarse = _chain(middle), nn.Conv2d(middle, coarse, 3, 2, 1)
        self.bottom = _chain(coarse)
        self.whole = nn.Sequential(nn.Linear(2 * coarse + 1, 96), nn.SiLU(), nn.Linear(96, coarse + 3))
        self.from_coarse, self.up_middle = nn.Conv2d(coarse, middle, 1), _chain(middle)
        self.from_middle, self.up_fine = nn.Conv2d(middle, fine, 1), _chain(fine)
        self.last = nn.Conv2d(fine, 1, 3, padding=1)
        nn.init.zeros_(self.whole[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.last.weight)
        nn.init.constant_(self.whole[2].bias[2], DISTRUST)  # type: ignore[index]
        places = torch.arange(SIDE) - SIDE // 2.0
        rows, columns = places[:, None].expand(SIDE, SIDE), places.expand(SIDE, SIDE)
        far = (rows.square() + columns.square()).sqrt()
        near = [torch.exp(-far / 2), torch.exp(-far / 6), torch.log1p(far) / 4]
        self.register_buffer("places", torch.stack([rows / 32, columns / 32, *near])[None], persistent=False)
        # Before anything is learned, hardly a blur.
        self.register_buffer("start", 10 * torch.exp(-far / 1.5) - 0.08 * far, persistent=False)

    def forward(self, maps: Tensor, strength: Tensor) -> Blur:
        """Read a kernel.

        Args:
            maps: (B, CLUES, SIDE, SIDE), see `clues`.
            strength: (B, 1), see `clues`.
        """
        x = torch.cat([maps, self.places.expand(len(maps), -1, -1, -1)], 1)  # type: ignore[operator]
        fine = self.down_fine(self.first(x.contiguous(memory_format=torch.channels_last)))
        middle = self.down_middle(self.to_middle(fine))
        coarse = self.bottom(self.to_coarse(middle))
        whole = self.whole(torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3)), strength], 1))
        coarse = coarse + whole[:, 3:, None, None]
        middle = self.up_middle(middle + _enlarged(self.from_coarse(coarse), middle))
        fine = self.up_fine(fine + _enlarged(self.from_middle(middle), fine))
        likely = 4 * self.last(fine)[:, 0].float() + self.start
        kernel = likely.flatten(1).softmax(1).unflatten(1, (SIDE, SIDE))
        whole = whole.float()
        return Blur(kernel, whole[:, :2].clamp(-5, 5), whole[:, 2:3].sigmoid())


def _chain(width: int) -> nn.Sequential:
    return nn.Sequential(Residual(width), Residual(width))


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def clues(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Gather what a kernel is read from.

    Args:
        windows: (B, n, 3, h, w) in [0, 1] from all over each picture, h and w from SMALLEST to WINDOW.

    Returns:
        (B, CLUES, SIDE, SIDE), see `correlations` and `matches`; (B, 1), the logarithm of the slopes' strength.
    """
    with torch.autocast(windows.device.type, enabled=False):
        lumas = torch.einsum("c,bnchw->bnhw", windows.new_tensor(LUMA), windows.float())
        described, strength = correlations(lumas)
        return torch.cat([described, matches(lumas)], 1), strength


def read_blur(reader: KernelReader, maps: Tensor, strength: Tensor) -> Blur:
    """Read clues in all WAYS, and return the mean: what was a guess in one of them is rarely one in the others.

    The kernels lie on one another by their centres of mass, which fall between pixels: a kernel may come out
    faintly negative beside sharp lines. Where they disagree they are not trusted.
    """
    ways = torch.cat([clues_mirrored(maps, way) for way in range(WAYS)])
    kernels, caution, trust = (
        values.unflatten(0, (WAYS, -1)) for values in reader(ways, strength.repeat(WAYS, 1))
    )
    kernels = torch.cat([_mirrored_back(one, way) for way, one in enumerate(kernels)])
    spectra, frequency = spectrum_of(kernels, AROUND, AROUND)
    spectra, weight = spectra.view(WAYS, -1, *spectra.shape[1:]), natural(frequency)
    mean = spectra.mean(0)
    apart = ((power(spectra).mean(0) - power(mean)) * weight).sum((1, 2))
    blurring = (((1 - mean.real).square() + mean.imag.square()) * weight).sum((1, 2)) + 1e-2 * weight.sum()
    trust = trust.mean(0) * torch.exp(apart / (-APART * blurring))[:, None]
    kernel = torch.fft.irfft2(mean, s=(AROUND, AROUND))
    kernel = torch.roll(kernel, (SIDE // 2, SIDE // 2), (1, 2))[:, :SIDE, :SIDE]
    return Blur(kernel / kernel.sum((1, 2), keepdim=True), caution.mean(0), trust)


def find_blur(reader: KernelReader, windows: Tensor) -> Blur:
    """Find the blur of whole pictures.

    Args:
        reader: the network.
        windows: (B, n, 3, h, w) in [0, 1] from all over each picture, h and w at most WINDOW.
    """
    if min(windows.shape[3:]) < SMALLEST:
        nothing = windows.new_zeros((len(windows), 3))
        return Blur(sharp(len(windows), windows.device), nothing[:, :2], nothing[:, 2:])
    return read_blur(reader, *clues(windows))
