"""Colours that a file says otherwise than by a profile, as a profile of the same meaning.

PNG: cICP before a profile before sRGB before gAMA and cHRM (PNG, third edition, section 4.3). AVIF and HEIC: the
`colr` box of kind nclx (ITU-T H.273). EXIF: the colour space of cameras (DCF 2.0, section 5.5). High dynamic range
(PQ, HLG) means light, which needs a display to become a picture: it is refused.
"""

from __future__ import annotations

import struct

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.exif import CAMERA, INTEROP, byte_order, entries_at, first_directory
from cyclerdm_cli.pictures.icc_making import (
    ADOBE_GAMMA,
    ADOBE_XY,
    D65,
    P3_XY,
    REC2020_XY,
    SRGB_CURVE,
    SRGB_XY,
    XY,
    grey_profile,
    rgb_profile,
)
from cyclerdm_cli.pictures.png_chunks import Chunks

UNSAID, BT709, DISPLAY_P3 = 2, 1, 12
PRIMARIES: dict[int, tuple[XY, XY, XY]] = {
    BT709: SRGB_XY,
    UNSAID: SRGB_XY,
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: REC2020_XY,
    DISPLAY_P3: P3_XY,
}
"""By their numbers in H.273, all for the white of daylight; the two of television stand for sRGB in pictures."""
CURVES: dict[int, tuple[float, ...]] = {4: (2.2,), 5: (2.8,), 8: (1.0,)} | dict.fromkeys(
    (1, 2, 6, 13, 14, 15), SRGB_CURVE
)
"""Television's curves are for cameras; what they show is looked at as sRGB is."""
LIGHT = {16: "PQ", 18: "HLG"}
NCLX = b"colrnclx"
BMP_HEADER = struct.pack("<I", 124)


def of_png(chunks: Chunks, grey: bool) -> bytes | None:
    """Return a profile of what a PNG's own chunks say of its colours; None where that is sRGB or nothing.

    Raises:
        PictureError: they are of high dynamic range.
    """
    code_points = chunks.first(b"cICP")
    if code_points is not None and len(code_points) == 4:
        return _of_code_points(code_points[0], code_points[1], grey)
    if chunks.icc_profile is not None:
        return chunks.icc_profile
    if chunks.first(b"sRGB") is not None:
        return None
    gamma, chromaticities = chunks.first(b"gAMA"), chunks.first(b"cHRM")
    curve: tuple[float, ...] = SRGB_CURVE
    if gamma is not None and len(gamma) == 4 and (value := int.from_bytes(gamma, "big")):
        curve = (min(max(100_000 / value, 0.1), 10.0),)
    elif chromaticities is None:
        return None
    if grey:
        return grey_profile("grey of its gamma", curve)
    white, primaries = D65, SRGB_XY
    if chromaticities is not None and len(chromaticities) == 32:
        numbers = [value / 100_000 for value in struct.unpack(">8I", chromaticities)]
        white, *rest = zip(numbers[::2], numbers[1::2], strict=True)
        primaries = (rest[0], rest[1], rest[2])
    try:
        return rgb_profile("RGB of its gamma and primaries", primaries, white, curve)
    except ValueError:
        chunks.notes.append("its primaries make no colour space; taken for those of sRGB")
        return rgb_profile("RGB of its gamma", SRGB_XY, D65, curve)


def of_boxes(data: bytes) -> bytes | None:
    """Return a profile of what an AVIF or HEIC file's nclx box says; None where that is sRGB or nothing.

    Raises:
        PictureError: it is of high dynamic range.
    """
    place = data.find(NCLX)
    if not 0 <= place <= len(data) - 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, place + 8)
    return _of_code_points(primaries, transfer, False)


def of_bmp(data: bytes) -> bytes | None:
    """Return the profile that a BMP file of the fifth version holds; None where it holds none."""
    if data[14:18] != BMP_HEADER or data[70:74] != b"DEBM":  # "embedded", turned around
        return None
    place, size = struct.unpack_from("<II", data, 126)
    return data[14 + place : 14 + place + size] or None


def of_exif(block: bytes | None) -> bytes | None:
    """Return the profile of Adobe RGB where a camera's EXIF says so: by number, or by the interoperability R03."""
    if block is None:
        return None
    body = block.removeprefix(b"Exif\0\0")
    try:
        order = byte_order(body)
        first = {one.tag: one.value for one in entries_at(body, first_directory(body))}
        (camera,) = struct.unpack(order + "I", first[CAMERA])
        inner = {one.tag: one.value for one in entries_at(body, camera)}
        (space,) = struct.unpack(order + "H", inner.get(0xA001, b"\xff\xff"))
        adobe = space == 2
        if space == 0xFFFF and INTEROP in inner:
            (place,) = struct.unpack(order + "I", inner[INTEROP])
            adobe = any(one.tag == 1 and one.value.startswith(b"R03") for one in entries_at(body, place))
    except (KeyError, ValueError, struct.error):
        return None
    return rgb_profile("compatible with Adobe RGB (1998)", ADOBE_XY, D65, (ADOBE_GAMMA,)) if adobe else None


def linear(grey: bool) -> bytes:
    """Return the profile of linear light in sRGB's primaries: what floating-point samples mean unless they say."""
    return grey_profile("linear grey", (1.0,)) if grey else rgb_profile("linear sRGB", SRGB_XY, D65, (1.0,))


def _of_code_points(primaries: int, transfer: int, grey: bool) -> bytes | None:
    if transfer in LIGHT:
        raise PictureError(
            f"its colours are of high dynamic range ({LIGHT[transfer]}), which is not read here",
            hint="convert it to a picture for ordinary displays first",
        )
    if primaries not in PRIMARIES or transfer not in CURVES:
        raise PictureError(f"its colours (numbers {primaries} and {transfer} of H.273) are not read here")
    curve = CURVES[transfer]
    if curve == SRGB_CURVE and (grey or primaries in (BT709, UNSAID, 5, 6)):
        return None
    if grey:
        return grey_profile(f"grey, H.273 number {transfer}", curve)
    return rgb_profile(f"RGB, H.273 numbers {primaries} and {transfer}", PRIMARIES[primaries], D65, curve)
