"""A network at work on pictures of any size: tiles in, tiles out, checked and blended."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cyclerdm_cli.cycle.cycle import THUMBNAIL, Network, cycle
from cyclerdm_cli.errors import DeviceError, PictureError
from cyclerdm_cli.restoring.device import Engine
from cyclerdm_cli.restoring.tiling import Blender, Grid, cut, places, plan_grid

SMALLEST_TILE = 128
Pixels = NDArray[Any]
"""(..., 3) uint8 or uint16."""


@dataclass(frozen=True)
class RestoreOptions:
    """How a picture is restored; the same options give the same bytes."""

    tile: int | None = None
    """Side of a tile in pixels; None: by the device; 0: the whole picture at once."""
    overlap: int = 64
    """Pixels that neighbouring tiles share."""
    batch: int = 1
    """Tiles that are restored together on a GPU."""
    steps: int = 0
    """Network evaluations a stage; 0: the architecture's own number."""
    strength: float = 1.0
    """1 the result, 0 the input, between them a blend."""
    seed: int = 0


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

    def plan(self, size: tuple[int, int]) -> Grid:
        """Return the tiles that a picture of (height, width) will be cut into."""
        tile = self.options.tile
        if tile is None:
            tile = 1024 if self.engine.device.type == "cuda" else 512
        return plan_grid(size, tile, self.options.overlap, self._bound.multiple)

    def restore(
        self,
        pixels: Pixels,
        task: str,
        mask: NDArray[np.bool_] | None = None,
        tile_done: Callable[[], None] = lambda: None,
    ) -> Pixels:
        """Undo one kind of damage.

        Args:
            pixels: (H, W, 3) uint8 or uint16, sRGB; left unchanged.
            task: name of the damage.
            mask: (H, W), True where the picture is missing; only there is it changed.
            tile_done: called after each tile.

        Returns:
            The same shape and type.

        Raises:
            DeviceError: memory ran out even for the smallest tile.
            PictureError: the result is not finite, even in float32.
            WeightsError: the weights were not trained for the task.
        """
        grid = self.plan(pixels.shape[:2])
        while True:
            try:
                return self._restore(pixels, task, mask, grid, tile_done)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as fault:
                if not _is_out_of_memory(fault):
                    raise
            tile = max(grid.rows.tile, grid.columns.tile) // 2
            if tile < SMALLEST_TILE:
                raise DeviceError(
                    f"out of memory on {self.engine.device}, even for tiles of {2 * tile} pixels"
                )
            if self.engine.device.type == "cuda":
                torch.cuda.empty_cache()
            warnings.warn(f"out of memory: going on with tiles of {tile} pixels", stacklevel=2)
            overlap = min(self.options.overlap, tile // 2)
            grid = plan_grid(pixels.shape[:2], tile, overlap, self._bound.multiple)

    def _restore(
        self,
        pixels: Pixels,
        task: str,
        mask: NDArray[np.bool_] | None,
        grid: Grid,
        tile_done: Callable[[], None],
    ) -> Pixels:
        peak = float(np.iinfo(pixels.dtype).max)
        source = pixels if mask is None else np.where(mask[:, :, None], np.array(peak, pixels.dtype), pixels)
        thumbnail = self._thumbnail(source, peak)
        generator = torch.Generator().manual_seed(self.options.seed)
        result = np.empty_like(pixels)
        blender = Blender(grid, 3)
        # A processor gains nothing from batches, and its libraries round otherwise for each size of batch.
        batch = 1 if self.engine.device.type == "cpu" else self.options.batch
        for group in places(grid, batch):
            tiles = np.stack([cut(source, grid, *place) for place in group])
            masks = None if mask is None else np.stack([cut(mask, grid, *place) for place in group])
            restored = self._restore_tiles(tiles, peak, masks, thumbnail, task, generator)
            for place, tile in zip(group, restored, strict=True):
                blender.add(*place, tile)
                tile_done()
            if group[-1][1] == grid.columns.count - 1:
                rows, values = blender.finish_row()
                result[rows] = self._finished(
                    values, pixels[rows], None if mask is None else mask[rows], peak
                )
        return result

    def _thumbnail(self, source: Pixels, peak: float) -> Tensor:
        """Average the whole picture down to (1, 3, THUMBNAIL, THUMBNAIL) in [0, 1]."""
        small = cv2.resize(source, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        return _to_tensor(small[None], peak, self.engine.device)

    def _restore_tiles(
        self,
        tiles: Pixels,
        peak: float,
        masks: NDArray[np.bool_] | None,
        thumbnail: Tensor,
        task: str,
        generator: torch.Generator,
    ) -> NDArray[np.float32]:
        """Run the cycle on (B, h, w, 3), in float32 where the chosen precision breaks down."""
        device = self.engine.device
        degraded = _to_tensor(tiles, peak, device)
        missing = torch.zeros_like(degraded[:, :1]) if masks is None else _mask_tensor(masks, device)
        summary = thumbnail.expand(len(degraded), -1, -1, -1)
        start = generator.get_state()
        for precision in dict.fromkeys((self.engine.precision, torch.float32)):
            generator.set_state(start)
            with (
                torch.inference_mode(),
                torch.autocast(device.type, precision, enabled=precision != torch.float32),
            ):
                stages = self._bound.bind(task, summary, missing, self.options.steps, generator)
                restored = cycle(stages, degraded).restored.float()
            if bool(torch.isfinite(restored).all()):
                return restored.permute(0, 2, 3, 1).contiguous().cpu().numpy()
            if precision != torch.float32:
                warnings.warn(f"a tile broke down in {precision}: repeated in float32", stacklevel=2)
        raise PictureError("the result is not finite, even in float32: the weights do not suit this picture")

    def _finished(
        self, values: NDArray[np.float32], pixels: Pixels, mask: NDArray[np.bool_] | None, peak: float
    ) -> Pixels:
        """Clip, blend by the strength, round; known pixels of a masked picture stay as they are."""
        values = np.clip(values, 0, 1) * peak
        if self.options.strength < 1:
            values = pixels + self.options.strength * (values - pixels)
        rounded = np.rint(values).astype(pixels.dtype)
        return rounded if mask is None else np.where(mask[:, :, None], rounded, pixels)


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
