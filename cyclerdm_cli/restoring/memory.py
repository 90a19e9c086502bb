"""What restoring takes of memory, so that a limit can be kept: by smaller tiles, and by fewer pictures at once."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from cyclerdm_cli.cycle.cycle import Network, Place, cycle
from cyclerdm_cli.cycle.view import view_of_batch
from cyclerdm_cli.device import computing_in
from cyclerdm_cli.restoring.detail import STRIP_BYTES
from cyclerdm_cli.restoring.tiling import Grid

STATUS = Path("/proc/self/status")
LATER = 40 << 20
"""Bytes of what is only imported or allocated once pictures are read and written."""
STEP = 32 << 20
"""What the program holds is counted in steps of so many bytes: runs that differ a little plan alike."""
UNKNOWN_PROGRAM = 800 << 20
"""Bytes that the program is taken to hold on systems that do not tell."""
SCRATCH = 2.0
"""Measured memory over that of the tensors: copies in orders that suit the processor, and freed memory kept."""
SPECTRA = 1.5
"""The same once more for networks that deconvolve: spectra are copied by the library that makes them."""
FILLING = 96
"""Bytes a pixel of a whole picture while its holes are filled: it in float32, the result, six planes beside, and
what the allocator keeps of them."""
AVERAGING = 19
"""Bytes a pixel of a whole picture while its mirror images are averaged: the sum in float32, an image, its mask."""
COMPARING = 6
"""Bytes a pixel of a whole picture that is kept beside its result, at 16 bits, to see what was taken from it."""
LOOKS = 40 << 20
"""Bytes of what is known of the frames around one, and of working with it: of each that is still to come 1.6 MiB at
16 bits, of each that is done 0.2 MiB, and some planes of a sample's size."""
BLENDING = 40
"""Bytes a pixel of a tile on its way into the picture: its float32 result, the same weighted, the weights."""
FLOATS = 12
"""Bytes a pixel of what the next row of tiles adds to: three channels in float32."""
SAMPLES = 6
"""Bytes a pixel of the row of tiles that is being finished, at 16 bits."""


@dataclass(frozen=True)
class MemoryModel:
    """The memory that one network takes for its work."""

    fixed: int
    """Bytes that are there whatever the picture: the program and the weights."""
    a_pixel: float
    """Bytes a pixel of a tile while the network works on it."""
    together: bool
    """Whether tiles and pictures share one memory: all but graphics cards of their own."""
    a_whole_pixel: int = 0
    """Bytes a pixel of the whole picture before its tiles are cut, on the processor."""
    all_the_while: int = 0
    """Bytes a pixel of the whole picture that stay beside it until it is restored."""
    a_column: int = 0
    """Bytes a column of the whole picture once its tiles are done."""

    def tiles(self, grid: Grid, batch: int) -> int:
        """Return the bytes that restoring with such tiles takes beside the picture."""
        tile = grid.rows.tile * grid.columns.tile
        work = int(self.a_pixel * tile * batch)
        if not self.together:
            return work
        strips = FLOATS * grid.rows.overlap + SAMPLES * (grid.rows.stride + grid.rows.overlap)
        return work + BLENDING * tile * batch + strips * grid.columns.length

    def whole(self, grid: Grid, batch: int, held: int, coding: int) -> int:
        """Return the peak in bytes from reading one picture to writing it.

        Args:
            held: bytes of the decoded picture.
            coding: bytes while it is decoded or encoded, the picture included.
        """
        if not self.together:
            return self.fixed + self.tiles(grid, batch)
        area = grid.rows.length * grid.columns.length
        columns = self.a_column * grid.columns.length
        work = max(self.a_whole_pixel * area, self.tiles(grid, batch), columns) + self.all_the_while * area
        return self.fixed + max(coding, held + work)


def model_of(
    network: Network,
    device: torch.device,
    precision: torch.dtype,
    averages: bool = False,
    compares: bool = False,
    remembers: bool = False,
) -> MemoryModel:
    """Measure what a network takes, on two small tiles: beyond what is fixed, it grows with their area.

    Args:
        averages: whether results of mirror images are added up.
        compares: whether the picture is compared with its result.
        remembers: whether pictures are frames, and what is known of those around one is kept.
    """
    numbers = sum(parameter.numel() for parameter in network.parameters())
    separate = device.type == "cuda"
    multiple = network.multiple
    small, large = (_peak(network, sides * multiple, device, precision) for sides in (2, 4))
    area = (4 * multiple) ** 2 - (2 * multiple) ** 2
    # Now that the network has run once, all that the libraries need for it is in memory.
    program = 4 * numbers if separate else STEP * math.ceil((process_peak() + LATER) / STEP)
    fixed = program + 4 * numbers  # a copy on the way or in half precision
    fixed += LOOKS * (remembers and not separate)
    scratch = SCRATCH * (SPECTRA if network.deconvolves else 1)
    filling = FILLING if network.fills_holes else 0
    beside = AVERAGING * averages + COMPARING * compares
    return MemoryModel(
        fixed, scratch * (large - small) / area, not separate, filling, beside, STRIP_BYTES * compares
    )


def process_peak() -> int:
    """Return the most bytes that this process has held so far: the system's own count of resident memory."""
    if STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return int(found.group(1)) * 1024
    if sys.platform == "win32":
        return UNKNOWN_PROGRAM
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak(network: Network, side: int, device: torch.device, precision: torch.dtype) -> int:
    """Return the most bytes that tensors take at once while the cycle restores one square."""
    with torch.inference_mode(), computing_in(device, precision):
        picture = torch.zeros(1, 3, side, side, device=device)
        # Uncounted: a look takes the same whatever the tiles, and small ones would hide behind it.
        findings = network.look(view_of_batch(picture))
        with _LiveTensors() as living:
            missing = torch.zeros_like(picture[:, :1])
            stages = network.bind(findings, Place.whole(picture), missing, 1, torch.Generator())
            cycle(stages, picture)
    return living.peak


class _LiveTensors(TorchFunctionMode):
    """Adds up the memory of all tensors that were made and are still there.

    By torch's functions: below them, by its operations, torch imports 100 MB for the first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._sizes: MutableMapping[Any, int] = WeakIdKeyDictionary()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call a function, and count what it made."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._sizes[storage] = storage.nbytes()
        self.peak = max(self.peak, sum(self._sizes.values()))
        return result
