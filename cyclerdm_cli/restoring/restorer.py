"""A network at work on pictures of any size: tiles in, strips of the result out, blended."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from cyclerdm_cli.cycle.compact import CompactFindings
from cyclerdm_cli.cycle.cycle import Findings, Network, Place
from cyclerdm_cli.cycle.filling import fill
from cyclerdm_cli.cycle.light import Light
from cyclerdm_cli.cycle.steady import Seen, mirrored, see
from cyclerdm_cli.cycle.view import to_tensor
from cyclerdm_cli.device import Engine
from cyclerdm_cli.errors import DeviceError, RestoringWarning
from cyclerdm_cli.restoring.computing import Computer, Pixels
from cyclerdm_cli.restoring.detail import bring_back
from cyclerdm_cli.restoring.mirroring import TURNED, Mirror
from cyclerdm_cli.restoring.planning import Planner, RestoreOptions
from cyclerdm_cli.restoring.tiling import Blender, Floats, Grid, cut, places

Mask = NDArray[np.bool_]


class Restorer:
    """Restores pictures with one network on one device."""

    def __init__(self, network: Network, engine: Engine, options: RestoreOptions) -> None:
        """Bring the network to the device.

        Raises:
            UsageError: the limit of memory is too low, the network has no such step, or there is no such effort.
        """
        if not isinstance(network, Network):
            raise TypeError(f"{type(network).__name__} does not follow cycle.Network")
        self.engine, self.options, self.mirrors = engine, options, options.mirrors
        self.computer = Computer(network, engine, options)
        self.network = self.computer.network
        self.planner = Planner(self.network, engine, options)
        self.light: Light | None = None
        """Of the next pictures, instead of what the network finds in them."""

    def with_shares(self, strength: float, detail: float) -> Restorer:
        """Return a restorer with the same network and plans that keeps other shares of its results, 0 to 1.

        Args:
            strength: of the result.
            detail: of what the network took; 0 where the plans leave no room for it.
        """
        if (strength, detail) == (self.options.strength, self.options.detail):
            return self
        other = copy(self)
        other.options = replace(self.options, strength=strength, detail=detail)
        return other

    def with_light(self, light: Light) -> Restorer:
        """Return a restorer with the same network that gives pictures a light that was found already."""
        other = copy(self)
        other.light = light
        return other

    def see(self, small: Pixels, sample: Pixels) -> Seen:
        """Return what the network, which looks for light, sees in a picture.

        Args:
            small: the picture shrunk.
            sample: single pixels of it, of the same type.
        """
        findings = self.computer.look([small]).to(torch.device("cpu"))
        assert isinstance(findings, CompactFindings)
        assert findings.light is not None
        with torch.inference_mode():
            return see(sample, findings.light)

    def restore_together(
        self,
        pictures: Sequence[Pixels],
        masks: Sequence[Mask] | None = None,
        tile_done: Callable[[], None] = lambda: None,
        in_place: bool = False,
    ) -> list[Pixels]:
        """Restore pictures of one size and type, no more than `Planner.pictures_together` allows.

        Each comes out as `restore` would return it alone, which says the rest.
        """
        missing: Sequence[Mask | None] = [None] * len(pictures) if masks is None else masks
        if len(pictures) > 1:
            try:
                return self._restore_single_tiles(pictures, missing, tile_done)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as fault:
                if not _is_out_of_memory(fault):
                    raise
        return [
            self.restore(pixels, mask, tile_done, in_place=in_place)
            for pixels, mask in zip(pictures, missing, strict=True)
        ]

    def restore(
        self,
        pixels: Pixels,
        mask: Mask | None = None,
        tile_done: Callable[[], None] = lambda: None,
        *,
        in_place: bool = False,
    ) -> Pixels:
        """Restore one picture.

        Args:
            pixels: (H, W, 3) uint8 or uint16, sRGB; left unchanged unless `in_place`.
            mask: (H, W), True where the picture is missing; only there is it changed.
            tile_done: called after each tile, those of mirror images too.
            in_place: let the result take the place of `pixels`, row by row as it is finished.

        Returns:
            The same shape and type.

        Raises:
            DeviceError: memory ran out even for the smallest tile.
            PictureError: the result is not finite, even in float32.
        """
        if not self.options.detail:
            return self._restore(pixels, mask, tile_done, in_place)
        before = pixels.copy() if in_place else pixels
        result = self._restore(pixels, mask, tile_done, in_place)
        bring_back(before, result, self.options.detail)
        return result

    def _restore(
        self, pixels: Pixels, mask: Mask | None, tile_done: Callable[[], None], in_place: bool
    ) -> Pixels:
        """Do as `restore` says, but for the detail that comes back."""
        grid: Grid | None = self.planner.plan(pixels.shape[:2])
        while grid is not None:
            result, done = pixels if in_place else np.empty_like(pixels), 0
            try:
                for rows, values in self._strips(pixels, mask, grid, tile_done):
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
            grid = self.planner.halve(grid, pixels.shape[:2])
            if self.engine.device.type == "cuda":
                torch.cuda.empty_cache()
            if grid is not None:
                tile = max(grid.rows.tile, grid.columns.tile)
                warnings.warn(
                    RestoringWarning(f"out of memory: going on with tiles of {tile} pixels"), stacklevel=2
                )
        raise DeviceError(f"out of memory on {self.engine.device}, even for the smallest tiles")

    def _strips(
        self, pixels: Pixels, mask: Mask | None, grid: Grid, tile_done: Callable[[], None]
    ) -> Iterator[tuple[slice, Pixels]]:
        """Yield the result from top to bottom: which rows, and their values. `pixels` are not read there again."""
        width, strip = pixels.shape[1], pixels[:0]
        waiting: list[tuple[slice, Pixels]] = []
        for rows, columns, values in self._mean(pixels, mask, grid, tile_done):
            if columns.start == 0:
                strip = np.empty((rows.stop - rows.start, width, 3), pixels.dtype)
            missing = None if mask is None else mask[rows, columns]
            strip[:, columns] = self._finished(values, pixels[rows, columns], missing)
            if columns.stop < width:
                continue
            yield from waiting  # not before: the last tiles see rows of the strip above theirs
            done = grid.rows.seen_later(rows) - rows.start
            yield slice(rows.start, rows.start + done), strip[:done]
            waiting = [(slice(rows.start + done, rows.stop), strip[done:])]
        yield from waiting

    def _mean(
        self, pixels: Pixels, mask: Mask | None, grid: Grid, tile_done: Callable[[], None]
    ) -> Iterator[tuple[slice, slice, Floats]]:
        """Yield the mean of the mirror images' results, turned back, as `_values` yields that of one.

        What is above white or below black stays so in the mean, which is clipped and rounded once, at the end.
        """
        if len(self.mirrors) == 1:
            yield from self._values(pixels, mask, self.mirrors[0], grid, tile_done)
            return
        mean = np.zeros(pixels.shape, np.float32)
        for mirror in self.mirrors:
            turned_back = mean[mirror]
            for *place, values in self._values(*_mirrored(pixels, mask, mirror), mirror, grid, tile_done):
                turned_back[tuple(place)] += values
        mean /= len(self.mirrors)
        height, width = pixels.shape[:2]
        for top in range(0, height, grid.rows.stride):
            rows = slice(top, min(top + grid.rows.stride, height))
            yield rows, slice(0, width), mean[rows]

    def _values(
        self, pixels: Pixels, mask: Mask | None, mirror: Mirror, grid: Grid, tile_done: Callable[[], None]
    ) -> Iterator[tuple[slice, slice, Floats]]:
        """Yield what the network makes of a picture, block by block, row by row of them: which rows, which columns,
        and (h, w, 3), about [0, 1].

        It is a mirror image already, if it shall be one.

        The values are the caller's to change.
        """
        source = self._prepared(pixels, mask)
        findings = self._look(source, mirror)
        generator = torch.Generator().manual_seed(self.options.seed)
        blender, batch = Blender(grid, 3), self.planner.tiles_together(grid)
        for group in places(grid, batch):
            tiles = np.stack([cut(source, grid, *place) for place in group])
            masks = None if mask is None else np.stack([cut(mask, grid, *place) for place in group])
            where = _place_of(group, grid)
            restored = self.computer.restore(tiles, masks, findings, where, generator, batch)
            for place, tile in zip(group, restored, strict=True):
                yield blender.add(*place, tile)
                tile_done()

    def _look(self, source: Pixels, mirror: Mirror) -> Findings:
        """Look at a picture, or a mirror image; a light that was found already goes before its own."""
        findings = self.computer.look([source])
        if self.light is None:
            return findings
        assert isinstance(findings, CompactFindings)
        return replace(findings, light=mirrored(self.light, *(axis == TURNED for axis in mirror)))

    def _restore_single_tiles(
        self, pictures: Sequence[Pixels], masks: Sequence[Mask | None], tile_done: Callable[[], None]
    ) -> list[Pixels]:
        means = np.zeros((len(pictures), *pictures[0].shape), np.float32)
        for mirror in self.mirrors:
            images = [_mirrored(*pair, mirror) for pair in zip(pictures, masks, strict=True)]
            for mean, values in zip(means, self._single_values(*zip(*images, strict=True)), strict=True):
                mean[mirror] += values
                tile_done()
        means /= len(self.mirrors)
        results = [self._finished(*one) for one in zip(means, pictures, masks, strict=True)]
        if self.options.detail:
            for before, after in zip(pictures, results, strict=True):
                bring_back(before, after, self.options.detail)
        return results

    def _single_values(self, pictures: Sequence[Pixels], masks: Sequence[Mask | None]) -> Floats:
        """Return what the network makes of pictures that are one tile each: (B, H, W, 3), about [0, 1]."""
        height, width = pictures[0].shape[:2]
        grid = self.planner.plan((height, width))
        sources = [self._prepared(*pair) for pair in zip(pictures, masks, strict=True)]
        tiles = np.stack([cut(source, grid, 0, 0) for source in sources])
        given = [mask for mask in masks if mask is not None]
        mask_tiles = np.stack([cut(mask, grid, 0, 0) for mask in given]) if given else None
        generator = torch.Generator().manual_seed(self.options.seed)
        place = Place(torch.zeros((len(pictures), 2)), (height, width))
        findings, batch = self.computer.look(sources), self.planner.tiles_together(grid)
        restored = self.computer.restore(tiles, mask_tiles, findings, place, generator, batch)
        return restored[:, :height, :width]

    def _prepared(self, pixels: Pixels, mask: Mask | None) -> Pixels:
        """Return a picture as the cycle is given it: holes are filled, or white."""
        if mask is None:
            return pixels
        if not self.network.fills_holes:
            return np.where(mask[:, :, None], np.array(np.iinfo(pixels.dtype).max, pixels.dtype), pixels)
        missing = torch.from_numpy(mask)[None, None].float()
        filled = fill(
            to_tensor(pixels[None], float(np.iinfo(pixels.dtype).max), torch.device("cpu")), missing
        )
        values = filled[0].permute(1, 2, 0).numpy()[mask] * np.iinfo(pixels.dtype).max
        prepared = pixels.copy()
        prepared[mask] = np.rint(values).astype(pixels.dtype)
        return prepared

    def _finished(self, values: Floats, pixels: Pixels, mask: Mask | None) -> Pixels:
        """Clip, blend by the strength, round; known pixels of a masked picture stay as they are.

        The values are used up: copies of them would be the largest thing in memory beside the picture.
        """
        np.clip(values, 0, 1, out=values)
        values *= float(np.iinfo(pixels.dtype).max)
        if self.options.strength < 1:
            values -= pixels
            values *= self.options.strength
            values += pixels
        rounded = np.rint(values, out=values).astype(pixels.dtype)
        return rounded if mask is None else np.where(mask[:, :, None], rounded, pixels)


def _mirrored(pixels: Pixels, mask: Mask | None, mirror: Mirror) -> tuple[Pixels, Mask | None]:
    """Return a mirror image with its mask, both laid out in memory as any picture is."""
    return np.ascontiguousarray(pixels[mirror]), None if mask is None else np.ascontiguousarray(mask[mirror])


def _place_of(group: Sequence[tuple[int, int]], grid: Grid) -> Place:
    """Return where tiles lie in their picture."""
    corners = [(grid.rows.start(row), grid.columns.start(column)) for row, column in group]
    return Place(torch.tensor(corners, dtype=torch.float32), (grid.rows.length, grid.columns.length))


def _is_out_of_memory(fault: Exception) -> bool:
    if isinstance(fault, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(fault).lower()
    return "out of memory" in words or "can't allocate memory" in words
