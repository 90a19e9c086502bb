"""The network of the stages that see pixels: a U-Net of convolutions, rectifiers and additions.

Plain residual blocks without normalisation or attention: a tile is restored as it would be inside the picture, and
everything that a processor is slow at is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + convolution(rectifier(convolution(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if torch.is_grad_enabled():
            return x + self.second(F.relu(self.first(x)))
        return _add(self.second(F.relu_(self.first(x))), x)


class UpConvolution(nn.Conv2d):
    """The convolution before a pixel-shuffle."""

    def forward(self, x: Tensor, by_pixel: bool = False) -> Tensor:
        """Map (B, C, H, W) to (B, 4D, H, W).

        Args:
            x: the input.
            by_pixel: whether all channels of a pixel stand next to each other, as `add_shuffled` takes them,
                instead of all pixels of a channel.
        """
        if not by_pixel:
            return super().forward(x)
        return F.conv2d(x, *side_by_side(self))


class UNet(nn.Module):
    """Residual blocks at falling and rising resolution, with shortcuts between equal ones."""

    def __init__(
        self,
        given: int,
        made: int,
        widths: Sequence[int],
        down_blocks: Sequence[int],
        up_blocks: Sequence[int],
    ) -> None:
        """Build the network.

        Args:
            given: channels of the input.
            made: channels of the output, which is 0 before anything is learned.
            widths: channels at each resolution, the finest first; each is half as fine as the one before.
            down_blocks: residual blocks at each resolution on the way down, the coarsest included.
            up_blocks: residual blocks at each resolution but the coarsest on the way up, in the order of widths.
        """
        super().__init__()
        self.head = nn.Conv2d(given, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(_chain(*pair) for pair in zip(down_blocks, widths, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, 2) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(UpConvolution(coarse, 4 * fine, 1) for fine, coarse in pairwise(widths))
        self.up_blocks = nn.ModuleList(_chain(*pair) for pair in zip(up_blocks, widths, strict=False))
        self.tail = nn.Conv2d(widths[0], made, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the network.

        Args:
            x: (B, given, H, W); H and W are multiples of 2 to the power of the number of halvings.
            added: to the first convolution's output, in its shape or broadcast to it.

        Returns:
            (B, made, H, W), and the features that it was made of, (B, widths[0], H, W).
        """
        x = self.head(x.contiguous(memory_format=torch.channels_last))
        if added is not None:
            x = _add(x, added)
        shortcuts = []
        for blocks, down in zip(self.down_blocks, self.down, strict=False):
            x = blocks(x)
            shortcuts.append(x)
            x = down(x)
        x = self.down_blocks[-1](x)
        for up, blocks in zip(reversed(self.up), reversed(self.up_blocks), strict=True):
            if torch.is_grad_enabled():
                x = F.pixel_shuffle(up(x), 2) + shortcuts.pop()
            else:
                x = add_shuffled(shortcuts.pop(), up(x, by_pixel=True))
            x = blocks(x)
        return self.tail(x), x


def side_by_side(up: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution before a pixel-shuffle, with all channels of a pixel next to each
    other."""
    assert isinstance(up, nn.Conv2d)
    assert up.bias is not None
    parts = torch.unflatten(up.weight, 0, (-1, 4)).transpose(0, 1).flatten(0, 1)
    return parts, up.bias.view(-1, 4).transpose(0, 1).flatten()


def add_shuffled(shortcut: Tensor, made: Tensor) -> Tensor:
    """Add the pixel-shuffle of what `side_by_side` made, (B, 4C, H, W), to (B, C, 2H, 2W), in its memory.

    Whole pixels are moved, and only once: `pixel_shuffle` moves single numbers, into a copy.
    """
    batch, channels, height, width = shortcut.shape
    by_pixel = made.permute(0, 2, 3, 1).view(batch, height // 2, width // 2, 2, 2, channels)
    cells = shortcut.permute(0, 2, 3, 1).view(batch, height // 2, 2, width // 2, 2, channels)
    cells.add_(by_pixel.transpose(2, 3))
    return shortcut


def _add(x: Tensor, other: Tensor) -> Tensor:
    """Return x + other; in the memory of x where nothing is learned: a copy costs as much as the addition."""
    if torch.is_grad_enabled():
        return x + other
    return x.add_(other)


def _chain(blocks: int, width: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
