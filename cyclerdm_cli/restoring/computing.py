"""Computing tiles on a device, and computing them again where the device or the precision fails."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Findings, Network, Place, cycle
from cyclerdm_cli.cycle.shorter import keep_first
from cyclerdm_cli.cycle.view import to_tensor, view_of
from cyclerdm_cli.device import Engine, computing_in
from cyclerdm_cli.errors import PictureError, RestoringWarning
from cyclerdm_cli.restoring.planning import RestoreOptions

Pixels = NDArray[Any]
"""(..., 3) uint8 or uint16."""


class Computer:
    """One network on one device."""

    def __init__(self, network: Network, engine: Engine, options: RestoreOptions) -> None:
        """Bring the network to the device."""
        self.engine, self.options = engine, options
        self.network: Network = network.to(engine.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]

    def look(self, pictures: Sequence[Pixels]) -> Findings:
        """Let the network look at whole pictures, one after the other: each is seen as if it were alone."""
        found = []
        for picture in pictures:
            try:  # in float32: it costs little, and all tiles hang on it
                found.append(self._look(picture, self.engine.device))
            except NotImplementedError:  # a device that lacks an operation
                found.append(self._look(picture, torch.device("cpu")).to(self.engine.device))
        return type(found[0]).join(found)

    def _look(self, picture: Pixels, place: torch.device) -> Findings:
        with self._network_at(place), torch.inference_mode():
            return self.network.look(view_of(picture, place), self.options.steps)

    def restore(
        self,
        tiles: Pixels,
        masks: NDArray[np.bool_] | None,
        findings: Findings,
        place: Place,
        generator: torch.Generator,
        batch: int,
    ) -> NDArray[np.float32]:
        """Run the cycle on tiles, in float32 where the chosen precision breaks down.

        Args:
            tiles: (B, h, w, 3).
            masks: (B, h, w), True where the picture is missing; None where nothing is.
            findings: of one picture, or of B.
            place: of the tiles in their pictures.
            generator: for networks that draw noise.
            batch: where B is less, the last tile is repeated: a GPU's libraries round otherwise for each size of
                batch, and a tile must come out the same whatever shares its batch.

        Returns:
            (B, h, w, 3) in [0, 1], not clipped.

        Raises:
            PictureError: the result is not finite, even in float32.
        """
        count, peak = len(tiles), float(np.iinfo(tiles.dtype).max)
        room = count if self.network.draws_noise else max(batch, count)
        degraded = _filled_up(to_tensor(tiles, peak, self.engine.device), room)
        missing = torch.zeros_like(degraded[:, :1])
        if masks is not None:
            given = torch.from_numpy(np.ascontiguousarray(masks)).to(self.engine.device)
            missing = _filled_up(given.unsqueeze(1).float(), room)
        place = Place(_filled_up(place.corners, room), place.size)
        start = generator.get_state()
        for device, precision in self._attempts(tiles.dtype.itemsize):
            generator.set_state(start)
            restored = self._try_cycle(
                device, precision, degraded, missing, findings.expand(room), place, generator
            )
            if restored is not None:
                return restored[:count].permute(0, 2, 3, 1).contiguous().cpu().numpy()
        raise PictureError("the result is not finite, even in float32: the weights do not suit this picture")

    def _attempts(self, bytes_of_a_sample: int) -> dict[tuple[torch.device, torch.dtype], None]:
        """Return where and how a tile is tried, one after the other: as chosen, in float32, on the processor."""
        chosen, processor = self.engine.device, torch.device("cpu")
        precision = self.engine.precision_for(bytes_of_a_sample)
        return dict.fromkeys(((chosen, precision), (chosen, torch.float32), (processor, torch.float32)))

    def _try_cycle(
        self, device: torch.device, precision: torch.dtype, degraded: Tensor, missing: Tensor,
        findings: Findings, place: Place, generator: torch.Generator,
    ) -> Tensor | None:  # fmt: skip
        """Return what the cycle makes of tiles, in float32, or None, with a warning, where it cannot be used."""
        try:
            restored = self._cycle(device, precision, degraded, missing, findings, place, generator).float()
        except NotImplementedError as fault:  # a device, or a precision there, that lacks an operation
            if (device.type, precision) == ("cpu", torch.float32):
                raise
            reason = str(fault).partition("\n")[0]
            warnings.warn(
                RestoringWarning(f"a tile cannot be computed on {device} in {precision}: {reason}"),
                stacklevel=3,
            )
            return None
        if bool(torch.isfinite(restored).all()):
            return restored
        if precision != torch.float32:
            warnings.warn(
                RestoringWarning(f"a tile broke down in {precision}: repeated in float32"), stacklevel=3
            )
        return None

    def _cycle(
        self, device: torch.device, precision: torch.dtype, degraded: Tensor, missing: Tensor,
        findings: Findings, place: Place, generator: torch.Generator,
    ) -> Tensor:  # fmt: skip
        """Run the cycle; where that is not the network's own device, it goes there and comes back."""
        with self._network_at(device), torch.inference_mode(), computing_in(device, precision):
            there = Place(place.corners.to(device), place.size)
            stages = self.network.bind(
                findings.to(device), there, missing.to(device), self.options.steps, generator
            )
            if precision == torch.int8:
                stages = stages.in_integers()
            return cycle(
                keep_first(stages, self.options.stages_of(self.network)), degraded.to(device)
            ).restored

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


def _filled_up(tiles: Tensor, count: int) -> Tensor:
    """Repeat the last of (B, ...) until there are so many."""
    if len(tiles) >= count:
        return tiles
    return torch.cat([tiles, tiles[-1:].expand(count - len(tiles), *tiles.shape[1:])])
