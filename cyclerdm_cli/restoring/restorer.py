"""A network at work on pictures of any size: tiles in, tiles out, checked and blended."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cyclerdm_cli.cycle.cycle import STAGES, THUMBNAIL, WINDOW, Network, Whole, cycle
from cyclerdm_cli.cycle.shorter import first
from cyclerdm_cli.errors import DeviceError, PictureError, UsageError
from cyclerdm_cli.restoring.device import Engine
from cyclerdm_cli.restoring.memory import MemoryModel, Room, in_words, model_of
from cyclerdm_cli.restoring.tiling import Blender, Grid, cut, places, plan_grid

SMALLEST_TILE = 128
OVERLAP = 128
"""Pixels that tiles share where nothing else is asked for, half a tile at most; less shows in heavy haze."""
TOGETHER_PIXELS = 1 << 20
"""Pixels that a GPU computes at once where nothing else is asked for: enough to keep it busy."""
MOST_TOGETHER = 16
Pixels = NDArray[Any]
"""(..., 3) uint8 or uint16."""


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
    """Network evaluations a stage; 0: the architecture's own number."""
    strength: float = 1.0
    """1 the result, 0 the input, between them a blend."""
    seed: int = 0
    memory: int | None = None
    """Bytes to stay within: the process's, or those of a graphics card with memory of its own."""
    stages: int = STAGES
    """How many of the three stages are run."""


class Restorer:
    """Restores pictures with one network on one device."""

    def __init__(self, network: nn.Module, engine: Engine, options: RestoreOptions) -> None:
        """Bring the network, one that follows `Network`, to the device."""
        self.engine = engine
        self.options = options
        self.network = network.to(engine.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if not isinstance(getattr(self.network, "multiple", None), int):
            raise TypeError(f"{type(network).__name__} does not follow cycle.Network")
        self._bound: Network = self.network
        self._model = None if options.memory is None else self._measured(options.memory)

    def _measured(self, limit: int) -> MemoryModel:
        """Return what the network takes of memory. Raises UsageError where the limit is too low for any picture."""
        model = model_of(self.network, self.engine.device, self.engine.precision)
        least = model.whole(self.plan((SMALLEST_TILE, SMALLEST_TILE)), 1, 0, 0)
        if limit < least:
            raise UsageError(
                f"--memory {in_words(limit)}: too little for any picture", hint=f"{in_words(least)} or more"
            )
        return model

    def plan(self, size: tuple[int, int]) -> Grid:
        """Return the tiles that a picture of (height, width) will be cut into.

        Where memory is limited and no size of tile was asked for: the largest that fits, or else the smallest.
        """
        tile = self.options.tile
        if tile is not None:
            return self._grid(size, tile)
        grid = self._grid(size, self._bound.tile)
        while (smaller := self._smaller(grid)) and not self._fits(grid):
            grid = self._grid(size, smaller)
        return grid

    def _grid(self, size: tuple[int, int], tile: int) -> Grid:
        return plan_grid(size, tile, self._overlap(tile), self._bound.multiple)

    def _overlap(self, tile: int) -> int:
        """Return what tiles of such a side share, a multiple of the network's."""
        if self.options.overlap is None:
            return min(OVERLAP, self._half(tile))
        return math.ceil(self.options.overlap / self._bound.multiple) * self._bound.multiple

    def _half(self, tile: int) -> int:
        return tile // 2 // self._bound.multiple * self._bound.multiple

    def _smaller(self, grid: Grid) -> int | None:
        """Return the next smaller side of a tile, None where there is none."""
        side = max(grid.rows.tile, grid.columns.tile) - self._bound.multiple
        least = max(SMALLEST_TILE, 2 * self._overlap(SMALLEST_TILE))
        return side if side >= least else None

    def _fits(self, grid: Grid) -> bool:
        if self._model is None or self.options.memory is None:
            return True
        # As if it had 16 bits a channel: a picture is cut alike whatever file it came in.
        held = 6 * grid.rows.length * grid.columns.length
        return self._model.whole(grid, 1, held, 0) <= self.options.memory

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
        return 1 if self._bound.draws_noise or len(grid) > 1 else self._batch(grid)

    def _batch(self, grid: Grid) -> int:
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

    def restore_together(
        self,
        pictures: Sequence[Pixels],
        task: str,
        masks: Sequence[NDArray[np.bool_]] | None = None,
        tile_done: Callable[[], None] = lambda: None,
        in_place: bool = False,
    ) -> list[Pixels]:
        """Undo one kind of damage in pictures of one size and type, no more than `pictures_together` allows.

        Each comes out as `restore` would return it alone, which says the rest.
        """
        missing: Sequence[NDArray[np.bool_] | None] = [None] * len(pictures) if masks is None else masks
        if len(pictures) > 1:
            try:
                return self._restore_single_tiles(pictures, task, masks, tile_done)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as fault:
                if not _is_out_of_memory(fault):
                    raise
        return [
            self.restore(pixels, task, mask, tile_done, in_place=in_place)
            for pixels, mask in zip(pictures, missing, strict=True)
        ]

    def restore(
        self,
        pixels: Pixels,
        task: str,
        mask: NDArray[np.bool_] | None = None,
        tile_done: Callable[[], None] = lambda: None,
        *,
        in_place: bool = False,
    ) -> Pixels:
        """Undo one kind of damage.

        Args:
            pixels: (H, W, 3) uint8 or uint16, sRGB; left unchanged unless `in_place`.
            task: name of the damage.
            mask: (H, W), True where the picture is missing; only there is it changed.
            tile_done: called after each tile.
            in_place: let the result take the place of `pixels`, row by row as it is finished.

        Returns:
            The same shape and type.

        Raises:
            DeviceError: memory ran out even for the smallest tile.
            PictureError: the result is not finite, even in float32.
            WeightsError: the weights were not trained for the task.
        """
        grid = self.plan(pixels.shape[:2])
        while True:
            result = pixels if in_place else np.empty_like(pixels)
            done = 0
            try:
                for rows, values in self._strips(pixels, task, mask, grid, tile_done):
                    result[rows] = values
                    done = rows.stop
                return result
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as fault:
                if not _is_out_of_memory(fault):
                    raise
            if in_place and done:  # what it was is gone
                raise DeviceError(
                    f"out of memory on {self.engine.device} after {done} rows", hint="--tile 256"
                )
            tile = max(grid.rows.tile, grid.columns.tile) // 2
            if tile < SMALLEST_TILE:
                raise DeviceError(
                    f"out of memory on {self.engine.device}, even for tiles of {2 * tile} pixels"
                )
            if self.engine.device.type == "cuda":
                torch.cuda.empty_cache()
            warnings.warn(f"out of memory: going on with tiles of {tile} pixels", stacklevel=2)
            overlap = min(self._overlap(tile), self._half(tile))
            grid = plan_grid(pixels.shape[:2], tile, overlap, self._bound.multiple)

    def _strips(
        self,
        pixels: Pixels,
        task: str,
        mask: NDArray[np.bool_] | None,
        grid: Grid,
        tile_done: Callable[[], None],
    ) -> Iterator[tuple[slice, Pixels]]:
        """Yield the result from top to bottom: which rows, and their values. `pixels` are not read there again."""
        peak = float(np.iinfo(pixels.dtype).max)
        source = _blanked(pixels, mask)
        whole = self._whole([source], peak, task)
        generator = torch.Generator().manual_seed(self.options.seed)
        blender = Blender(grid, 3)
        batch = self._batch(grid)
        finished: list[tuple[slice, Pixels]] = []
        for group in places(grid, batch):
            tiles = np.stack([cut(source, grid, *place) for place in group])
            masks = None if mask is None else np.stack([cut(mask, grid, *place) for place in group])
            restored = self._restore_tiles(tiles, peak, masks, whole, task, generator, batch)
            for place, tile in zip(group, restored, strict=True):
                blender.add(*place, tile)
                tile_done()
            if group[-1][1] == grid.columns.count - 1:
                rows, values = blender.finish_row()
                missing = None if mask is None else mask[rows]
                yield from finished  # not before: the last tiles see rows of the strip above theirs
                finished = [(rows, self._finished(values, pixels[rows], missing, peak))]
        yield from finished

    def _restore_single_tiles(
        self,
        pictures: Sequence[Pixels],
        task: str,
        masks: Sequence[NDArray[np.bool_]] | None,
        tile_done: Callable[[], None],
    ) -> list[Pixels]:
        height, width = pictures[0].shape[:2]
        peak = float(np.iinfo(pictures[0].dtype).max)
        grid = self.plan((height, width))
        missing: Sequence[NDArray[np.bool_] | None] = [None] * len(pictures) if masks is None else masks
        sources = [_blanked(pixels, mask) for pixels, mask in zip(pictures, missing, strict=True)]
        tiles = np.stack([cut(source, grid, 0, 0) for source in sources])
        mask_tiles = None if masks is None else np.stack([cut(mask, grid, 0, 0) for mask in masks])
        whole = self._whole(sources, peak, task)
        generator = torch.Generator().manual_seed(self.options.seed)
        restored = self._restore_tiles(tiles, peak, mask_tiles, whole, task, generator, self._batch(grid))
        results = []
        for values, pixels, mask in zip(restored, pictures, missing, strict=True):
            results.append(self._finished(values[:height, :width], pixels, mask, peak))
            tile_done()
        return results

    def _whole(self, sources: Sequence[Pixels], peak: float, task: str) -> Whole:
        """Let the network look at whole pictures, one after the other: each is seen as if it were alone."""
        found = []
        for source in sources:
            small = cv2.resize(source, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
            thumbnail = _to_tensor(small[None], peak, self.engine.device)
            windows = _to_tensor(_windows(source), peak, self.engine.device)[None]
            try:  # in float32: it costs little, and all tiles hang on it
                found.append(self._looked(self.engine.device, task, thumbnail, windows))
            except NotImplementedError:  # a device that lacks an operation
                found.append(self._looked(torch.device("cpu"), task, thumbnail, windows))
        return Whole(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _looked(self, place: torch.device, task: str, thumbnail: Tensor, windows: Tensor) -> Whole:
        with self._network_at(place), torch.inference_mode():
            whole = self._bound.look(task, thumbnail.to(place), windows.to(place))
        return Whole(*(part.to(self.engine.device) for part in whole))

    def _restore_tiles(
        self,
        tiles: Pixels,
        peak: float,
        masks: NDArray[np.bool_] | None,
        whole: Whole,
        task: str,
        generator: torch.Generator,
        batch: int,
    ) -> NDArray[np.float32]:
        """Run the cycle on (B, h, w, 3), in float32 where the chosen precision breaks down.

        Where B is less than `batch`, the last tile is repeated: a GPU's libraries, too, round otherwise for each
        size of batch, and a tile must come out the same whatever shares its batch.
        """
        device, count = self.engine.device, len(tiles)
        room = count if self._bound.draws_noise else batch
        degraded = _filled_up(_to_tensor(tiles, peak, device), room)
        missing = (
            torch.zeros_like(degraded[:, :1])
            if masks is None
            else _filled_up(_mask_tensor(masks, device), room)
        )
        wholes = [_filled_up(part.expand(count, *part.shape[1:]), room) for part in whole]
        start = generator.get_state()
        for place, precision in self._attempts():
            generator.set_state(start)
            inputs = [tensor.to(place) for tensor in (degraded, missing, *wholes)]
            try:
                restored = self._cycled(place, precision, inputs, task, generator)[:count].float()
            except NotImplementedError as fault:  # a device, or a precision there, that lacks an operation
                if (place.type, precision) == ("cpu", torch.float32):
                    raise
                reason = str(fault).partition("\n")[0]
                warnings.warn(f"a tile cannot be computed on {place} in {precision}: {reason}", stacklevel=2)
                continue
            if bool(torch.isfinite(restored).all()):
                return restored.permute(0, 2, 3, 1).contiguous().cpu().numpy()
            if precision != torch.float32:
                warnings.warn(f"a tile broke down in {precision}: repeated in float32", stacklevel=2)
        raise PictureError("the result is not finite, even in float32: the weights do not suit this picture")

    def _attempts(self) -> dict[tuple[torch.device, torch.dtype], None]:
        """Return where and how a tile is tried, one after the other: as chosen, in float32, on the processor."""
        chosen, processor = self.engine.device, torch.device("cpu")
        return dict.fromkeys(
            ((chosen, self.engine.precision), (chosen, torch.float32), (processor, torch.float32))
        )

    def _cycled(
        self,
        place: torch.device,
        precision: torch.dtype,
        inputs: Sequence[Tensor],
        task: str,
        generator: torch.Generator,
    ) -> Tensor:
        """Run the cycle; where that is not the network's own device, it goes there and comes back."""
        degraded, missing, *wholes = inputs
        with (
            self._network_at(place),
            torch.inference_mode(),
            torch.autocast(place.type, precision, enabled=precision != torch.float32),
        ):
            stages = self._bound.bind(task, Whole(*wholes), missing, self.options.steps, generator)
            return cycle(first(stages, self.options.stages), degraded).restored

    @contextmanager
    def _network_at(self, place: torch.device) -> Iterator[None]:
        """Have the network elsewhere for a while."""
        own = self.engine.device
        if place != own:
            self.network.to(place)
        try:
            yield
        finally:
            if place != own:
                self.network.to(own)

    def _finished(
        self, values: NDArray[np.float32], pixels: Pixels, mask: NDArray[np.bool_] | None, peak: float
    ) -> Pixels:
        """Clip, blend by the strength, round; known pixels of a masked picture stay as they are.

        The values are used up: copies of them would be the largest thing in memory beside the picture.
        """
        np.clip(values, 0, 1, out=values)
        values *= peak
        if self.options.strength < 1:
            values -= pixels
            values *= self.options.strength
            values += pixels
        rounded = np.rint(values, out=values).astype(pixels.dtype)
        return rounded if mask is None else np.where(mask[:, :, None], rounded, pixels)


def _blanked(pixels: Pixels, mask: NDArray[np.bool_] | None) -> Pixels:
    """Return a picture with what is missing made white."""
    if mask is None:
        return pixels
    return np.where(mask[:, :, None], np.array(np.iinfo(pixels.dtype).max, pixels.dtype), pixels)


def _windows(source: Pixels) -> Pixels:
    """Cut windows of one size from all over a picture: (n, h, w, 3), h and w at most WINDOW, n 1, 2 or 4."""
    height, width = (min(side, WINDOW) for side in source.shape[:2])
    tops, lefts = (
        [0] if side <= WINDOW else [(side - WINDOW) // 4, side - WINDOW - (side - WINDOW) // 4]
        for side in source.shape[:2]
    )
    return np.stack([source[top : top + height, left : left + width] for top in tops for left in lefts])


def _filled_up(tiles: Tensor, count: int) -> Tensor:
    """Repeat the last of (B, ...) until there are so many."""
    if len(tiles) >= count:
        return tiles
    return torch.cat([tiles, tiles[-1:].expand(count - len(tiles), *tiles.shape[1:])])


def _to_tensor(pixels: Pixels, peak: float, device: torch.device) -> Tensor:
    """Bring (B, h, w, 3) integers to the device as (B, 3, h, w) float32 in [0, 1], channels_last."""
    whole = pixels.astype(np.int32) if pixels.dtype == np.uint16 else pixels  # torch lacks much of uint16
    return torch.from_numpy(np.ascontiguousarray(whole)).to(device).permute(0, 3, 1, 2).float().div_(peak)


def _mask_tensor(masks: NDArray[np.bool_], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(masks)).to(device).unsqueeze(1).float()


def _is_out_of_memory(fault: Exception) -> bool:
    if isinstance(fault, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(fault).lower()
    return "out of memory" in words or "can't allocate memory" in words
