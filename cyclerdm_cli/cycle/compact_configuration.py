"""What the default network may be shaped like. Free of torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cyclerdm_cli.cycle.configuration import configuration_from_json
from cyclerdm_cli.errors import WeightsError


@dataclass(frozen=True)
class CompactConfig:
    """All that shapes the network."""

    task: str
    """Name of the task that it does."""
    light: bool = False
    """Whether stage 1 looks at the whole picture and transforms light and colour."""
    brightens: bool = False
    """Whether a power curve to a middle grey comes before that."""
    deblurs: bool = False
    """Whether stage 1 looks for the kernel of a blur and undoes it."""
    fills: bool = False
    """Whether the picture has holes, which are filled before stage 1."""
    most_steps: int = 1
    """Most evaluations of stage 1."""
    stages: int = 3
    """Stages that are run where nothing else is asked for."""
    light_widths: tuple[int, ...] = (32, 48, 64, 96)
    """Channels of stage 1 at 1/2, 1/4, 1/8 and 1/16 of the small picture."""
    widths: tuple[int, ...] = (64, 96, 128, 128)
    """Channels of stage 2 at 1/2, 1/4, 1/8, ... of the picture's resolution."""
    down_blocks: tuple[int, ...] = (1, 1, 1, 1)
    """Residual blocks of stage 2 at each resolution on the way down."""
    up_blocks: tuple[int, ...] = (1, 1, 1)
    """The same on the way up, without the coarsest."""
    calibration_widths: tuple[int, ...] = (64, 96)
    """Channels of stage 3 at 1/2, 1/4, ... of the picture's resolution."""
    calibration_down_blocks: tuple[int, ...] = (0, 1)
    """Residual blocks of stage 3 on the way down."""
    calibration_up_blocks: tuple[int, ...] = (1,)
    """The same on the way up."""
    wavelet: str = "haar"
    """Orthogonal wavelet of the third stage, by its PyWavelets name."""

    def __post_init__(self) -> None:
        rows = (
            (self.widths, self.down_blocks, self.up_blocks),
            (self.calibration_widths, self.calibration_down_blocks, self.calibration_up_blocks),
        )
        fitting = all(
            len(widths) >= 2 and len(widths) == len(down) == len(up) + 1 for widths, down, up in rows
        )
        if not self.task or not fitting or len(self.light_widths) != 4:
            raise WeightsError(
                f"compact network for {self.task!r}: its widths and blocks do not fit together",
                hint="two widths or more, as many numbers of blocks down, one fewer up; four widths of stage 1",
            )
        numbers = (*self.light_widths, *(number for row in rows for part in row for number in part))
        if max(numbers) > 1024 or min(numbers) < 0 or not 1 <= self.most_steps <= 16:
            raise WeightsError(f"compact network for {self.task!r}: a width, block or step is out of range")

    @property
    def multiple(self) -> int:
        """Sides of what the network is given are padded to this multiple: that of its coarsest grid."""
        return int(2 ** max(len(self.widths), len(self.calibration_widths)))

    @property
    def tile(self) -> int:
        """Side of the tiles, in pixels, that larger pictures are best cut into."""
        return 768

    @property
    def sees_degraded(self) -> bool:
        """Whether stage 2 is given the degraded picture beside the rough one: where the two differ."""
        return self.light or self.deblurs

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CompactConfig:
        """Rebuild from `to_json`'s result. Raises WeightsError for unknown or missing fields."""
        if "task" not in values:
            raise WeightsError("compact network: the configuration names no task")
        return configuration_from_json(cls, values, "compact")
