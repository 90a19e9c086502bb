"""How a picture is cut into tiles, how many of them are computed together, and what that takes of memory.

Free of torch, but where memory is limited: what a network takes of it must be measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.restoring.mirroring import Mirror, mirrors_of
from cyclerdm_cli.restoring.room import Room, in_words
from cyclerdm_cli.restoring.tiling import Grid, plan_grid

if TYPE_CHECKING:
    from cyclerdm_cli.cycle.cycle import Network
    from cyclerdm_cli.device import Engine
    from cyclerdm_cli.restoring.memory import MemoryModel

SMALLEST_TILE = 128
OVERLAP = 128
"""Pixels that tiles share where nothing else is asked for, half a tile at most."""
TOGETHER_PIXELS = 1 << 20
"""Pixels that a GPU computes at once where nothing else is asked for: enough to keep it busy."""
MOST_TOGETHER = 16


@dataclass(frozen=True)
class RestoreOptions:
    """How a picture is restored; the same options give the same bytes."""

    tile: int | None = None
    """Side of a tile in pixels; None: the network's own; 0: the whole picture at once."""
    overlap: int | None = None
    """Pixels that neighbouring tiles share; None: OVERLAP, or half a tile where that is less."""
    batch: int | None = None
    """Tiles that are restored together on a GPU; None: by their size."""
    steps: int = 0
    """Evaluations of stage 1; 0: what the weights were trained for."""
    strength: float = 1.0
    """1 the result, 0 the input, between them a blend."""
    seed: int = 0
    memory: int | None = None
    """Bytes to stay within: the process's, or those of a graphics card with memory of its own."""
    stages: int = 0
    """How many of the three stages are run; 0: as many as these weights profit from."""
    effort: str = "normal"
    """A word of `mirroring.EFFORTS`: which mirror images are restored, too, and averaged with the picture."""
    detail: float = 0.0
    """How much of the fine detail that the network took and that stands out of the noise comes back, 0 to 1."""
    sequence: bool = False
    """Whether pictures are frames: what is known of those around one counts where memory is limited."""

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        """The mirror images whose results are averaged. Raises UsageError for an unknown effort."""
        return mirrors_of(self.effort)

    def stages_of(self, network: Network) -> int:
        """Return how many stages of a network are run."""
        return self.stages or network.stages_by_default


class Shape(Protocol):
    """What tiles and steps depend on: of a network, or of its configuration."""

    @property
    def multiple(self) -> int:
        """Sides of tiles are multiples of it."""

    @property
    def tile(self) -> int:
        """Side of the tiles, in pixels, that larger pictures are best cut into."""

    @property
    def most_steps(self) -> int:
        """Most evaluations of stage 1."""


class Cutter:
    """Cuts pictures into tiles for networks of one shape."""

    def __init__(self, shape: Shape, options: RestoreOptions) -> None:
        """Begin without a limit of memory. Raises UsageError where such a network has no such step."""
        if options.steps > shape.most_steps:
            raise UsageError(
                f"--steps {options.steps}: these weights were trained for {shape.most_steps} at most"
            )
        self.shape, self.options = shape, options
        self._model: MemoryModel | None = None

    def plan(self, size: tuple[int, int]) -> Grid:
        """Return the tiles that a picture of (height, width) will be cut into.

        Where memory is limited and no size of tile was asked for: the largest that fits, or else the smallest.
        """
        tile = self.options.tile
        if tile is not None:
            return self._grid(size, tile)
        grid = self._grid(size, self.shape.tile)
        while (smaller := self._smaller(grid)) and not self._fits(grid):
            grid = self._grid(size, smaller)
        return grid

    def halve(self, grid: Grid, size: tuple[int, int]) -> Grid | None:
        """Return tiles half as large for the same picture; None where they would be too small."""
        tile = max(grid.rows.tile, grid.columns.tile) // 2
        if tile < SMALLEST_TILE:
            return None
        return plan_grid(size, tile, min(self._overlap(tile), self._half(tile)), self.shape.multiple)

    def _grid(self, size: tuple[int, int], tile: int) -> Grid:
        return plan_grid(size, tile, self._overlap(tile), self.shape.multiple)

    def _overlap(self, tile: int) -> int:
        """Return what tiles of such a side share, a multiple of the network's."""
        if self.options.overlap is None:
            return min(OVERLAP, self._half(tile))
        return math.ceil(self.options.overlap / self.shape.multiple) * self.shape.multiple

    def _half(self, tile: int) -> int:
        return tile // 2 // self.shape.multiple * self.shape.multiple

    def _smaller(self, grid: Grid) -> int | None:
        """Return the next smaller side of a tile, None where there is none."""
        side = max(grid.rows.tile, grid.columns.tile) - self.shape.multiple
        least = max(SMALLEST_TILE, 2 * self._overlap(SMALLEST_TILE))
        return side if side >= least else None

    def _fits(self, grid: Grid) -> bool:
        if self._model is None or self.options.memory is None:
            return True
        # As if it had 16 bits a channel: a picture is cut alike whatever file it came in.
        held = 6 * grid.rows.length * grid.columns.length
        return self._model.whole(grid, 1, held, 0) <= self.options.memory


class Planner(Cutter):
    """Plans the work of one network on one device."""

    def __init__(self, network: Network, engine: Engine, options: RestoreOptions) -> None:
        """Measure what the network takes of memory, where that is limited.

        Raises:
            UsageError: the limit is too low for any picture, or the network has no such step.
        """
        super().__init__(network, options)
        self.network, self.engine = network, engine
        if options.memory is not None:
            from cyclerdm_cli.restoring.memory import model_of  # which needs torch

            self._model = model_of(
                network, engine.device, engine.precision,
                averages=len(options.mirrors) > 1, compares=options.detail > 0, remembers=options.sequence,
            )  # fmt: skip
            least = self._model.whole(self.plan((SMALLEST_TILE, SMALLEST_TILE)), 1, 0, 0)
            if options.memory < least:
                raise UsageError(
                    f"--memory {in_words(options.memory)}: too little for any picture",
                    hint=f"{in_words(least)} or more",
                )

    @property
    def room(self) -> Room:
        """Where the pictures that are in memory at once are counted."""
        if self._model is None or self.options.memory is None or not self._model.together:
            return Room(None)
        return Room(self.options.memory - self._model.fixed)

    def needs(self, size: tuple[int, int], held: int, coding: int) -> int:
        """Return the most bytes from reading one picture to writing it, without the program; 0: no matter how many.

        Raises:
            PictureError: it is more than the limit.
        """
        if self._model is None or self.options.memory is None:
            return 0
        grid = self.plan(size)
        peak = self._model.whole(grid, 1, held, coding)
        if peak > self.options.memory:
            height, width = size
            raise PictureError(
                f"{width} x {height} pixels need {in_words(peak)} of memory,"
                f" more than --memory {in_words(self.options.memory)}",
                hint="a smaller --tile needs less" if self.options.tile is not None else "",
            )
        return peak - self._model.fixed

    def pictures_together(self, size: tuple[int, int]) -> int:
        """Return how many pictures of (height, width) share a batch: more than one only if each is a single tile.

        Noise is drawn tile after tile, so networks that draw some get their pictures one by one.
        """
        grid = self.plan(size)
        return 1 if self.network.draws_noise or len(grid) > 1 else self.tiles_together(grid)

    def tiles_together(self, grid: Grid) -> int:
        """Return how many tiles are computed together: always the same for a grid, so that the bytes are."""
        # A processor gains nothing from batches, and its libraries round otherwise for each size of batch.
        if self.engine.device.type == "cpu":
            return 1
        if self.options.batch is not None:
            return self.options.batch
        most = min(max(1, TOGETHER_PIXELS // (grid.rows.tile * grid.columns.tile)), MOST_TOGETHER)
        if self._model is not None and self.options.memory is not None:
            most = min(most, max(1, self.options.memory // self._model.tiles(grid, 1)))
        return most
