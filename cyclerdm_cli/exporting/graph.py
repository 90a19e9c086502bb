"""The cycle as one function of tensors, in operations that every runtime has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.compact import CompactFindings, CompactNetwork, CompactStages
from cyclerdm_cli.cycle.cycle import SMALL_SIDE, STAGES, Network, Place, cycle
from cyclerdm_cli.cycle.light import GRID_CELLS, GRID_LEVELS, Light, guide_of
from cyclerdm_cli.cycle.shorter import keep_first
from cyclerdm_cli.errors import UsageError

RESULTS = ("rough", "normal", "restored")
"""What the stages leave, by their number."""


class ExportedCycle(nn.Module):
    """A compact network as a function of a picture and of what it needs beside.

    Its inputs, in this order:
        picture: (1, 3, H, W) in [0, 1], a tile or a whole picture; its sides are multiples of the network's.
        view: of tasks of light, (1, 3, SMALL_SIDE, SMALL_SIDE) in [0, 1], the whole picture made small.
        place: of tasks of light, (4,): top and left of the tile, height and width of the whole picture, in pixels.
        mask: of tasks that fill in, (1, 1, H, W), 1 where the picture is missing. The holes of `picture` are to be
            filled before.
    """

    def __init__(self, network: Network, stages: int, each: bool) -> None:
        """Take the network.

        Args:
            network: compact, float32, on the processor.
            stages: how many are run; 0: as many as its weights profit from.
            each: whether what the earlier stages leave is returned too.

        Raises:
            UsageError: this network cannot be exported.
        """
        super().__init__()
        if not isinstance(network, CompactNetwork):
            raise UsageError("only networks of the architecture compact are exported")
        if network.deconvolves:
            raise UsageError(
                f"{network.config.task} cannot be exported: its first stage looks for a blur in spectra",
                hint="every other task can",
            )
        self.network, self.each = network, each
        self.stages = stages or min(network.stages_by_default, STAGES)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Return the names of the inputs with an example's shape."""
        side = 4 * self.network.multiple
        shapes: dict[str, tuple[int, ...]] = {"picture": (1, 3, side, side + self.network.multiple)}
        if self.network.light is not None:
            shapes |= {"view": (1, 3, SMALL_SIDE, SMALL_SIDE), "place": (4,)}
        if self.network.fills_holes:
            shapes["mask"] = (1, 1, *shapes["picture"][2:])
        return shapes

    @property
    def outputs(self) -> Sequence[str]:
        """Return the names of the outputs: `restored`, or first what each stage before the last one left."""
        return [*(RESULTS[: self.stages - 1] if self.each else ()), RESULTS[-1]]

    def forward(self, picture: Tensor, *beside: Tensor) -> tuple[Tensor, ...]:
        """Restore; see the class."""
        network, given = self.network, dict(zip(list(self.inputs)[1:], beside, strict=True))
        light = None
        if network.light is not None:
            light = network.light(given["view"], network.most_steps)[-1]
        mask = given.get("mask", torch.zeros_like(picture[:, :1]))
        findings = CompactFindings(light)
        bound = _ExportedStages(network, findings, Place.whole(picture), mask, given.get("place"))
        result = cycle(keep_first(bound, self.stages), picture)
        left = [result.rough, result.normal][: self.stages - 1] if self.each else []
        found = [one.clamp(0, 1) for one in (*left, result.restored)]
        return (
            tuple(torch.where(mask > 0, one, picture) for one in found) if "mask" in given else tuple(found)
        )


class _ExportedStages(CompactStages):
    """The stages, with the grid of light sliced by products of matrices instead of a sampler."""

    def __init__(
        self,
        network: CompactNetwork,
        findings: CompactFindings,
        place: Place,
        mask: Tensor,
        where: Tensor | None,
    ) -> None:
        """Take what `CompactStages` takes, and the input `place`."""
        super().__init__(network, findings, place, mask)
        self.where = where

    def _transform(self, picture: Tensor) -> Tensor:
        light = self.findings.light
        if light is None or self.where is None:
            return picture
        if self.network.config.brightens:
            picture = picture.clamp_min(1e-4) ** light.power[:, :, None, None]
        return transformed(picture, light, self.where)


def transformed(lit: Tensor, light: Light, where: Tensor) -> Tensor:
    """Do what `light.apply_light` does after the power curve, for one picture.

    Args:
        lit: (1, 3, H, W), after the curve.
        light: of one picture.
        where: (4,), see `ExportedCycle`.
    """
    top, left, high, wide = where.unbind(0)
    rows = _shares(torch.arange(lit.shape[2], device=lit.device) + top, high)
    columns = _shares(torch.arange(lit.shape[3], device=lit.device) + left, wide)
    depth = (guide_of(lit, light.curve) * GRID_LEVELS - 0.5).clamp(0, GRID_LEVELS - 1)  # (1, 1, H, W)
    coefficients = torch.zeros_like(lit[:, :1])
    for level in range(GRID_LEVELS):
        plane = rows @ light.grid[:, :, level] @ columns.transpose(0, 1)  # (1, COEFFICIENTS, H, W)
        coefficients = coefficients + plane * F.relu(1 - (depth - level).abs())
    red, green, blue = lit[:, :1], lit[:, 1:2], lit[:, 2:]
    return torch.cat(
        [
            lit[:, row : row + 1]
            + coefficients[:, 3 * row : 3 * row + 1] * red
            + coefficients[:, 3 * row + 1 : 3 * row + 2] * green
            + coefficients[:, 3 * row + 2 : 3 * row + 3] * blue
            + coefficients[:, 9 + row : 10 + row]
            for row in range(3)
        ],
        1,
    )


def _shares(pixels: Tensor, length: Tensor) -> Tensor:
    """Return the share of each cell of the grid in pixels along a side of some length: (pixels, GRID_CELLS)."""
    at = ((pixels + 0.5) / length * GRID_CELLS - 0.5).clamp(0, GRID_CELLS - 1)
    return F.relu(1 - (at[:, None] - torch.arange(GRID_CELLS, device=at.device)).abs())
