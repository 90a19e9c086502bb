"""Ranges of what flows in networks, by which they run in 8-bit integers: in a file's header, or for the package's
files that lack them in `ranges.json`, by the sha256 of the file. Free of torch."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclerdm_cli.weights.checking import sha256_of

if TYPE_CHECKING:
    from cyclerdm_cli.weights.file import Header

PACKAGE = Path(__file__).parent
TABLE = PACKAGE / "ranges.json"

Parts = dict[str, dict[str, tuple[float, float]]]
"""Lowest and highest number by part of the network, `detail` or `calibration`, and place in it."""


def ranges_of(path: Path, header: Header) -> Parts:
    """Return the ranges for a file of weights; none where nobody has measured them.

    Raises:
        ValueError: those in the header are damaged.
    """
    if header.ranges:
        return read_ranges(header.ranges)
    return shipped_ranges(sha256_of(path)) if path.parent == PACKAGE else {}


@cache
def _table() -> dict[str, Any]:
    return dict(json.loads(TABLE.read_text(encoding="utf-8")))


def shipped_ranges(sha256: str) -> Parts:
    """Return the ranges for a file of the package; none where nobody has measured them."""
    return read_ranges(_table().get(sha256, {}))


def read_ranges(values: Any) -> Parts:
    """Check ranges as JSON gives them. Raises ValueError."""
    try:
        found = {
            str(part): {str(name): (float(low), float(high)) for name, (low, high) in places.items()}
            for part, places in values.items()
        }
    except (AttributeError, TypeError, ValueError) as fault:
        raise ValueError("ranges: tables of pairs of numbers are wanted") from fault
    for places in found.values():
        for low, high in places.values():
            if not -math.inf < low <= high < math.inf:
                raise ValueError("ranges: a range ends before it begins, or is not finite")
    return found
