"""ICC profiles made of primaries and a curve (ICC.1:2022), for colours that a file says in other words."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

XY = tuple[float, float]
D50 = np.array((0.9642, 1.0, 0.8249))
D65: XY = (0.3127, 0.3290)
D50_XY: XY = (0.3457, 0.3585)
BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
"""To the responses in which white is adapted (ICC.1:2022, annex E)."""
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Of a parametric curve of type 3: IEC 61966-2-1."""
ADOBE_GAMMA = 563 / 256
SRGB_XY: tuple[XY, XY, XY] = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_XY: tuple[XY, XY, XY] = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
P3_XY: tuple[XY, XY, XY] = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
REC2020_XY: tuple[XY, XY, XY] = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
PROPHOTO_XY: tuple[XY, XY, XY] = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))


@lru_cache(maxsize=32)
def rgb_profile(name: str, primaries: tuple[XY, XY, XY], white: XY, curve: tuple[float, ...]) -> bytes:
    """Return a profile of RGB.

    Args:
        name: what programs show.
        primaries: x and y of red, green and blue.
        white: x and y.
        curve: parameters of a `para` curve to linear light: a gamma, or the five of type 3.

    Raises:
        ValueError: these primaries make no colour space.
    """
    columns = _adapted(primaries, white)
    tags = {
        name: b"XYZ \0\0\0\0" + _fixed(columns[:, at]) for at, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
    }
    return _profile(b"RGB ", name, {**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _para(curve))})


@lru_cache(maxsize=32)
def grey_profile(name: str, curve: tuple[float, ...]) -> bytes:
    """Return a profile of grey; the arguments are those of `rgb_profile`."""
    return _profile(b"GRAY", name, {b"kTRC": _para(curve)})


def _adapted(primaries: Sequence[XY], white: XY) -> NDArray[np.float64]:
    """Return linear RGB -> XYZ of the white of profiles, (3, 3)."""
    if any(y <= 0 for _, y in (*primaries, white)):
        raise ValueError("primaries without light")
    columns = np.stack([_xyz(xy) for xy in primaries], axis=1)
    try:
        columns = columns * np.linalg.solve(columns, _xyz(white))
    except np.linalg.LinAlgError as error:
        raise ValueError("primaries in a line") from error
    scale = (BRADFORD @ D50) / (BRADFORD @ _xyz(white))
    adapted = np.linalg.inv(BRADFORD) @ np.diag(scale) @ BRADFORD @ columns
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 4:
        raise ValueError("primaries far from any colour")
    return np.asarray(adapted)


def _xyz(xy: XY) -> NDArray[np.float64]:
    x, y = xy
    return np.array((x / y, 1.0, (1 - x - y) / y))


def _fixed(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _para(curve: tuple[float, ...]) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", {1: 0, 5: 3}[len(curve)], 0) + _fixed(curve)


def _text(words: str) -> bytes:
    encoded = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": _text(name), b"cprt": _text("CC0"), b"wtpt": b"XYZ \0\0\0\0" + _fixed(D50), **tags}
    offset, table, body = 132 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(body), bytes(4), 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
