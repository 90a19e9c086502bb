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
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairwise(widths))
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
            x = F.pixel_shuffle(up(x), 2)
            x = blocks(_add(x, shortcuts.pop()))
        return self.tail(x), x


def _add(x: Tensor, other: Tensor) -> Tensor:
    """Return x + other; in the memory of x where nothing is learned: a copy costs as much as the addition."""
    if torch.is_grad_enabled():
        return x + other
    return x.add_(other)


def _chain(blocks: int, width: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
