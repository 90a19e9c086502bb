"""The U-Net of the stages in 8-bit integers: the same weights, rounded, at half of the time of float32.

What flows along a resolution is the sum of residual blocks. It stays in float32, but in units of its codes: to
round it for a convolution it is cut to the range and changed in type. The first and the last convolution stay as
they are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cyclerdm_cli.cycle.unet import ResidualBlock, UNet, add_shuffled, side_by_side
from cyclerdm_cli.integers import STEPS, Codes, IntegerConvolution

KEPT = 0.9999
"""Share of the numbers that lies within a range; the few beyond would make all steps coarser."""

ROWS = 32
"""Rows that are rounded at a time."""

Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest number by where they flow: `level.N`, or the name of a residual block for what is in it."""


class IntegerUNet:
    """A U-Net whose blocks convolve integers."""

    def __init__(self, network: UNet, ranges: Ranges) -> None:
        """Pack a network.

        Args:
            network: in float32, on the processor.
            ranges: of all that flows in it, from `watch_ranges`.

        Raises:
            KeyError: a range is missing.
        """
        self._tail = network.tail
        levels = [Codes.of(*ranges[f"level.{level}"]) for level in range(len(network.down_blocks))]
        self._finest, self._coarser = levels[0], levels[1:]
        self._head = _in_units_of(network.head, levels[0])
        names = {block: name for name, block in network.named_modules() if isinstance(block, ResidualBlock)}

        def pack(blocks: nn.Module, level: Codes) -> list[_IntegerBlock]:
            return [
                _IntegerBlock(block, level, Codes.of(*ranges[names[block]]))
                for block in blocks.children()
                if isinstance(block, ResidualBlock)
            ]

        self._down_blocks = [pack(*pair) for pair in zip(network.down_blocks, levels, strict=True)]
        self._up_blocks = [pack(*pair) for pair in zip(network.up_blocks, levels, strict=False)]
        self._down = [
            IntegerConvolution(down, fine, scale=1 / coarse.step)  # type: ignore[arg-type]
            for down, fine, coarse in zip(network.down, levels, levels[1:], strict=False)
        ]
        self._up = [
            IntegerConvolution(_side_by_side(up), coarse, scale=1 / fine.step)
            for up, fine, coarse in zip(network.up, levels, levels[1:], strict=False)
        ]

    def __call__(self, x: Tensor, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the network; see `UNet.forward`. What is added may be used up."""
        finest = self._finest
        x = self._head(x.contiguous(memory_format=torch.channels_last))
        if added is not None:
            x = _sum(x, added, 1 / finest.step)
        shortcuts = []
        for blocks, down, coarse in zip(self._down_blocks, self._down, self._coarser, strict=False):
            for block in blocks:
                x = block(x)
            shortcuts.append(x)
            x = down(_codes(x)).add_(_offset(coarse))
        for block in self._down_blocks[-1]:
            x = block(x)
        for up, blocks in zip(reversed(self._up), reversed(self._up_blocks), strict=True):
            x = add_shuffled(shortcuts.pop(), up(_codes(x)))
            for block in blocks:
                x = block(x)
        x = x.sub_(_offset(finest)).mul_(finest.step)
        return self._tail(x), x


class _IntegerBlock:
    """x + convolution(rectifier(convolution(x)))."""

    def __init__(self, block: ResidualBlock, flow: Codes, within: Codes) -> None:
        self._first = IntegerConvolution(block.first, flow, within)
        self._second = IntegerConvolution(block.second, within, scale=1 / flow.step)

    def __call__(self, x: Tensor) -> Tensor:
        """Add to (B, C, H, W) in units of codes."""
        return self._second.add_to(self._first(_codes(x)), x)


def _in_units_of(head: nn.Conv2d, codes: Codes) -> nn.Conv2d:
    """Return the first convolution with its output in units of codes."""
    scaled = copy.deepcopy(head)
    assert scaled.bias is not None
    scaled.weight.data.div_(codes.step)
    scaled.bias.data.div_(codes.step).add_(_offset(codes))
    return scaled


def _side_by_side(up: nn.Module) -> nn.Conv2d:
    other = copy.deepcopy(up)
    assert isinstance(other, nn.Conv2d)
    weight, bias = side_by_side(up)
    other.weight, other.bias = (
        nn.Parameter(weight, requires_grad=False),
        nn.Parameter(bias, requires_grad=False),
    )
    return other


def _sum(x: Tensor, added: Tensor, share: float) -> Tensor:
    """Return x + share * added in the memory of one of the two: of `added` where it has that shape, since whoever
    handed it over still holds it."""
    alike = added.shape == x.shape and added.stride() == x.stride()
    return torch.add(x, added, alpha=share, out=added if alike else x)


def _offset(codes: Codes) -> float:
    """Return what stands for 0 in the sums: with a half, so that cutting off decimals rounds."""
    return codes.zero + 0.5


def _codes(x: Tensor) -> Tensor:
    """Return (B, C, H, W) numbers in units of codes as codes, some rows at a time: a whole copy in floats would be
    the largest thing in memory."""
    codes = torch.empty_like(x, dtype=torch.uint8)
    for top in range(0, x.shape[2], ROWS):
        rows = slice(top, top + ROWS)
        codes[:, :, rows] = x[:, :, rows].clamp(0, STEPS + 0.5)
    return codes


def range_names(network: UNet) -> set[str]:
    """Return the names of all ranges of a network."""
    return {name for _, name in _places(network)}


def _places(network: UNet) -> Iterator[tuple[nn.Module, str]]:
    """Yield each convolution that is run in integers, with the name of the range of its input."""
    for name, module in network.named_modules():
        kind, _, place = name.partition(".")
        if isinstance(module, ResidualBlock):
            yield module.first, f"level.{place.partition('.')[0]}"
            yield module.second, name
        elif kind == "down" and place:
            yield module, f"level.{place}"
        elif kind == "up" and place:
            yield module, f"level.{int(place) + 1}"


@contextmanager
def watch_ranges(network: UNet) -> Iterator[dict[str, tuple[float, float]]]:
    """Give the ranges of what flows in a network, as far as it has run since."""
    found: dict[str, tuple[float, float]] = {}

    def watch(convolution: nn.Module, name: str) -> None:
        def look(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            low, high = range_of(given[0])
            before = found.get(name, (0.0, 0.0))
            found[name] = min(before[0], low), max(before[1], high)

        hooks.append(convolution.register_forward_pre_hook(look))

    hooks: list[torch.utils.hooks.RemovableHandle] = []
    for convolution, name in _places(network):
        watch(convolution, name)
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def range_of(numbers: Tensor) -> tuple[float, float]:
    """Return the range that holds all but the outermost numbers."""
    ordered = numbers.detach().float().flatten().sort().values
    beyond = int((1 - KEPT) * len(ordered))
    return float(ordered[beyond]), float(ordered[-1 - beyond])
