"""ICC profiles made of curves and a matrix, in floating point (ICC.1:2022, sections 10.6, 10.18 and F.3).

Little CMS, as Pillow offers it, converts RGB with 8 bits only and grey not at all. Nearly every profile that
16-bit photographs carry (Adobe RGB, Display P3, ProPhoto, Rec. 2020) is three curves and a matrix, and every
grey one is a curve, so these are computed here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SRGB_TO_XYZ = np.array(
    [[0.4360303, 0.3851019, 0.1430678], [0.2224385, 0.7169427, 0.0606188], [0.0138974, 0.0970764, 0.7139263]]
)
"""Linear sRGB -> XYZ; its rows add up to the white of ICC profiles, (0.9642, 1, 0.8249)."""

LEVELS = np.linspace(0.0, 1.0, 65536)
STEPS_OF_8_BITS = 4096
"""Of light, in tables for results of 8 bits: so few that they stay in the processor's innermost cache."""


def srgb_to_linear(encoded: Floats) -> Floats:
    """Undo the sRGB curve (IEC 61966-2-1): any shape, float, [0, 1] -> [0, 1] linear light."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Floats) -> Floats:
    """Apply the sRGB curve (IEC 61966-2-1): any shape, float, clipped to [0, 1] first -> [0, 1]."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


@dataclass(frozen=True)
class ShapedProfile:
    """Curves to linear light, one a channel, and a matrix to linear sRGB; a grey profile has one curve."""

    curves: tuple[Floats, ...]
    """Each (65536,) float32, rising: linear light at the channel values 0/65535 ... 65535/65535."""
    to_linear_srgb: Floats | None = None
    """(3, 3) float32; None for grey."""

    @cached_property
    def inward(self) -> Conversion:
        """To sRGB."""
        if self.to_linear_srgb is None:
            return Conversion((linear_to_srgb(self.curves[0]).astype(np.float32),))
        return Conversion(
            self.curves, self.to_linear_srgb, (linear_to_srgb(LEVELS**2).astype(np.float32),) * 3
        )

    @cached_property
    def outward(self) -> Conversion:
        """From sRGB."""
        light = srgb_to_linear(LEVELS)
        if self.to_linear_srgb is None:
            return Conversion((np.interp(light, self.curves[0], LEVELS).astype(np.float32),))
        turned_around = tuple(np.interp(LEVELS**2, curve, LEVELS).astype(np.float32) for curve in self.curves)
        matrix = np.linalg.inv(self.to_linear_srgb)
        return Conversion((light.astype(np.float32),) * 3, matrix, turned_around)


@dataclass(frozen=True)
class Conversion:
    """From one colour space to another by tables; the same colour gives the same bits wherever it stands."""

    curves: tuple[NDArray[Any], ...]
    """Each (65536,), or (256,) for 8 bits: of every value the linear light, float32; for grey, the result."""
    matrix: Floats | None = None
    """(3, 3) float32, from linear light to linear light; None for grey."""
    encoded: tuple[NDArray[Any], ...] = ()
    """Each (N,): the result at the squares of even steps of light, which lie close where it is dark."""

    def in_levels(self, dtype: np.dtype[Any], *, whole: bool) -> Conversion:
        """Return the same for pixels of that type, uint8 or uint16, with results up to its maximum instead of 1.

        Args:
            whole: whether these are rounded to numbers of that type; else they are float32.
        """
        most = np.float32(np.iinfo(dtype).max)
        curves, encoded = self.curves, self.encoded
        if dtype == np.uint8:
            few = np.rint(np.linspace(0, len(LEVELS) - 1, STEPS_OF_8_BITS)).astype(np.intp)
            curves = tuple(np.ascontiguousarray(curve[::257]) for curve in curves)
            encoded = tuple(table[few] for table in encoded)
        results = [table * most for table in encoded or curves]
        tables = tuple(np.rint(table).astype(dtype) if whole else table for table in results)
        return Conversion(curves, self.matrix, tables) if encoded else Conversion(tables)

    def __call__(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return (H, W, 3) uint8 or uint16 pixels, or (H, W, any) of grey, converted."""
        if self.matrix is None:
            return _looked_up(self.curves[0], pixels)
        red, green, blue = map(_looked_up, self.curves, cv2.split(pixels))
        most = np.float32((len(self.encoded[0]) - 1) ** 2)
        results = []
        # Products and sums one after the other: fused ones round otherwise at the end of an array than within it.
        for weights, table in zip(self.matrix * most, self.encoded, strict=True):
            light = red * weights[0]
            light += green * weights[1]
            light += blue * weights[2]
            np.clip(light, 0, most, out=light)
            np.sqrt(light, out=light)
            light += np.float32(0.5)
            results.append(table.take(light.astype(np.uint16)))
        return np.asarray(cv2.merge(results))


def _looked_up(table: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return what a table says of uint8 or uint16 values."""
    if values.dtype == np.uint8:
        return np.asarray(cv2.LUT(values, table)).reshape(values.shape)
    return table.take(values)


def shaped_profile(profile: bytes) -> ShapedProfile | None:
    """Return the curves and matrix of an ICC profile; None if it has none, is a table, or is damaged."""
    try:
        space, connection, tags = profile[16:20], profile[20:24], _tags(profile)
        if connection != b"XYZ ":
            return None
        if space == b"GRAY":
            return ShapedProfile((_curve(tags[b"kTRC"]),))
        if space == b"RGB " and b"A2B0" not in tags:
            curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
            columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
            matrix = np.linalg.inv(SRGB_TO_XYZ) @ np.stack(columns, axis=1)
            np.linalg.inv(matrix)  # a flat matrix cannot be undone on the way back
            return ShapedProfile(curves, matrix.astype(np.float32))
    except (KeyError, struct.error, ValueError, np.linalg.LinAlgError):
        return None
    return None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, 200)))
    return {name: profile[offset : offset + size] for name, offset, size in entries}


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Floats:
    """Sample a `curv` or `para` tag at all 65536 values of 16 bits."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            curve = LEVELS
        elif count == 1:
            curve = LEVELS ** (struct.unpack_from(">H", tag, 12)[0] / 256)
        else:
            nodes = np.frombuffer(tag, ">u2", count, 12) / 65535
            curve = np.interp(LEVELS, np.linspace(0, 1, count), nodes)
    elif tag[:4] == b"para":
        curve = _parametric(tag)
    else:
        raise ValueError(f"curve of unknown type {tag[:4]!r}")
    curve = np.maximum.accumulate(np.clip(curve, 0, 1))
    if not curve[-1] > curve[0]:
        raise ValueError("a flat curve cannot be undone")
    return curve.astype(np.float32)


def _parametric(tag: bytes) -> NDArray[np.float64]:
    """Evaluate the five function types of section 10.18, all of them cases of the last."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError(f"parametric curve of unknown type {kind}")
    count = (1, 3, 4, 5, 7)[kind]
    given = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
    g, a, b, c, d, e, f = given[0], 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if kind >= 1:
        a, b = given[1:3]
        if kind <= 2:
            d = -b / a if a else 0.0
            e = f = given[3] if kind == 2 else 0.0
    if kind >= 3:
        c, d = given[3:5]
    if kind == 4:
        e, f = given[5:7]
    return np.where(d <= LEVELS, np.maximum(a * LEVELS + b, 0) ** g + e, c * LEVELS + f)
