"""What the authors' network may be shaped like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cyclerdm_cli.cycle.configuration import Range, check_fields, configuration_from_json
from cyclerdm_cli.errors import WeightsError


@dataclass(frozen=True)
class PaperConfig:
    """All that shapes the network; the defaults are the authors'."""

    channels: int = 64
    """Channels at full resolution; group normalisation needs a multiple of 32."""
    multipliers: tuple[int, ...] = (1, 2, 3, 4)
    """Channels at 1, 1/2, 1/4, ... of the resolution, in units of `channels`."""
    blocks: int = 2
    """Residual blocks a level on the way down; one more on the way up."""
    attention_level: int = 2
    """The level with self-attention after each block; 0 is the finest."""
    gain_width: int = 64
    """Channels, and growth a layer, of the feature gain module."""

    def __post_init__(self) -> None:
        try:
            check_fields(self, RANGES)
        except ValueError as fault:
            raise WeightsError(f"paper network: {fault}") from None

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def multiple(self) -> int:
        """Sides are padded to this multiple: 32 by the authors, although stage 3 needs but 16."""
        return int(2 ** (len(self.multipliers) + 1))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PaperConfig:
        """Rebuild from the JSON values of the fields. Raises WeightsError naming the first that is wrong."""
        return configuration_from_json(cls, values, "paper", RANGES)


RANGES = {
    "channels": Range(32, 512, multiple=32),
    "multipliers": Range(1, 16, entries=(1, 8)),
    "blocks": Range(1, 16),
    "attention_level": Range(0, 8),
    "gain_width": Range(1, 512),
}
"""What each field may be."""
