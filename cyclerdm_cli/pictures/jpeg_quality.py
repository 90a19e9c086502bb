"""Quantisation tables of JPEG: those of a quality, and the quality that tables stand for. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO

from PIL import Image


@lru_cache(maxsize=128)
def tables_of(quality: int) -> tuple[list[int], list[int]]:
    """Return the tables of brightness and colours, 64 numbers each, that libjpeg has for a quality, 1 to 100."""
    stream = BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", quality=quality)
    found: dict[int, list[int]] = Image.open(stream).quantization  # type: ignore[attr-defined]
    return found[0], found[1]


def quality_of(tables: Mapping[int, Sequence[int]]) -> int:
    """Return the quality, 1 to 100, at which libjpeg's table of brightness is as coarse altogether as a file's.

    Args:
        tables: by their numbers, the lowest for brightness; at least one.
    """
    coarseness = sum(tables[min(tables)])
    return min(range(1, 101), key=lambda quality: abs(sum(tables_of(quality)[0]) - coarseness))
