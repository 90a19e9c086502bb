"""What a file of weights says of tiles and steps, by its header. Free of torch."""

from __future__ import annotations

from pathlib import Path

from cyclerdm_cli.cycle.compact_configuration import CompactConfig
from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.file import read_header


def shape_of(path: Path) -> CompactConfig | None:
    """Return the configuration of a default network; None for another one, which must be loaded to be asked.

    Raises:
        WeightsError: missing, damaged, or a configuration that makes no network.
    """
    header = read_header(path)
    if header.architecture != "compact":
        return None
    try:
        return CompactConfig.from_json(header.config)
    except WeightsError as fault:
        raise WeightsError(f"{path}: {fault}") from fault
