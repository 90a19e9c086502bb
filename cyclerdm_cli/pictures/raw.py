"""RAW files of cameras: told by their contents, and developed by LibRaw where the extra is installed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import exif, icc_making
from cyclerdm_cli.pictures.metadata import ELSEWHERE_TAGS, LAYOUT_TAGS, ORIENTATION_IN_XMP, photoshop_of_tiff
from cyclerdm_cli.pictures.picture import Beside, Picture
from cyclerdm_cli.pictures.tiff_reading import XMP

STARTS = {
    b"II*\0\x10\0\0\0CR": "CR2",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"IIU\0": "RW2",
    b"FUJIFILMCCD-RAW": "RAF",
    b"\0MRM": "MRW",
    b"FOVb": "X3F",
}
"""What files begin with."""
MAKERS = {b"NIKON": "NEF", b"SONY": "ARW", b"PENTAX": "PEF", b"SAMSUNG": "SRW", b"Canon": "CR2"}
MAKE, SUBDIRECTORIES, PHOTOMETRIC, DNG_VERSION = 271, 330, 262, 50706
COLOUR_FILTERS = (32803, 34892)
"""Photometric interpretations of what a sensor saw."""
DNG_TAGS = range(50706, 52600)
PANASONIC_TAGS = frozenset(range(254))
"""Of the first directory of an RW2 file: of the sensor, under numbers that mean other things in TIFF."""
DEVELOPMENT = b"crs:"
"""With which the names of Camera Raw's settings begin."""
MOST_DIRECTORIES = 16


@dataclass(frozen=True)
class Space:
    """Colours that a RAW file can be developed into."""

    rawpy: str
    gamma: tuple[float, float]
    """Power and slope at black, as LibRaw wants them."""
    profile: bytes | None


SPACES = {
    "srgb": Space("sRGB", (2.4, 12.92), None),
    "p3": Space(
        "P3D65",
        (2.4, 12.92),
        icc_making.rgb_profile("Display P3", icc_making.P3_XY, icc_making.D65, icc_making.SRGB_CURVE),
    ),
    "adobe-rgb": Space(
        "Adobe",
        (icc_making.ADOBE_GAMMA, 0),
        icc_making.rgb_profile(
            "compatible with Adobe RGB (1998)", icc_making.ADOBE_XY, icc_making.D65, (icc_making.ADOBE_GAMMA,)
        ),
    ),
    "prophoto": Space(
        "ProPhoto",
        (1.8, 0),
        icc_making.rgb_profile("ProPhoto primaries", icc_making.PROPHOTO_XY, icc_making.D50_XY, (1.8,)),
    ),
}


def kind_of(data: bytes) -> str | None:
    """Return what a camera's RAW file is called, whatever its name; None for any other file."""
    for start, kind in STARTS.items():
        if data.startswith(start):
            return kind
    if data[4:12] == b"ftypcrx ":
        return "CR3"
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    try:
        return _kind_of_tiff(data)
    except (ValueError, struct.error):
        return None


def _kind_of_tiff(data: bytes) -> str | None:
    first = {
        one.tag: one.value
        for one in exif.entries_at(data, exif.first_directory(data))
        if len(one.value) < 256
    }
    if DNG_VERSION in first:
        return "DNG"
    if not any(photometric in COLOUR_FILTERS for photometric in _photometrics(data, first)):
        return None
    make = first.get(MAKE, b"")
    return next((kind for maker, kind in MAKERS.items() if make.startswith(maker)), "RAW")


def _photometrics(data: bytes, first: dict[int, bytes]) -> Iterator[int]:
    order = exif.byte_order(data)
    inner = first.get(SUBDIRECTORIES, b"")
    places = struct.unpack(f"{order}{len(inner) // 4}I", inner[: len(inner) // 4 * 4])
    for place in (exif.first_directory(data), *places[:MOST_DIRECTORIES]):
        for entry in exif.entries_at(data, place):
            if entry.tag == PHOTOMETRIC and len(entry.value) == 2:
                yield struct.unpack(order + "H", entry.value)[0]
                break


def size_of(data: bytes, kind: str, limit_pixels: int) -> tuple[int, int]:
    """Return height and width of what will come of a RAW file. Raises PictureError: it is too large."""
    with _opened(data, kind) as raw:
        height, width = raw.sizes.height, raw.sizes.width
        turned = raw.sizes.flip in (5, 6)
    if height * width > limit_pixels:
        raise PictureError(
            f"{width} x {height} pixels are more than the limit of {limit_pixels}", hint="see --limit-pixels"
        )
    return (width, height) if turned else (height, width)


def developed(data: bytes, kind: str, space: str, limit_pixels: int) -> Picture:
    """Return the picture in a RAW file: 16 bits, upright, the camera's white balance, never its preview.

    Args:
        space: a key of `SPACES`.
        limit_pixels: larger ones are refused before any work.

    Raises:
        PictureError: the extra is missing, or the picture is too large.
    """
    from cyclerdm_cli.pictures.colour import colour_space, to_srgb

    size_of(data, kind, limit_pixels)
    wanted = SPACES[space]
    with _opened(data, kind) as raw:
        import rawpy

        own = np.ascontiguousarray(
            raw.postprocess(
                use_camera_wb=True,
                output_bps=16,
                output_color=rawpy.ColorSpace[wanted.rawpy],
                gamma=wanted.gamma,
            )
        )
    notes = [f"{kind} developed to 16 bits, {space}"]
    block, packet, photoshop = _beside(data, kind, notes)
    pixels = own if wanted.profile is None else to_srgb(own, colour_space(wanted.profile))
    return Picture(
        pixels,
        own=None if wanted.profile is None else own,
        icc_profile=wanted.profile,
        exif=block,
        xmp=packet,
        beside=Beside(photoshop=photoshop),
        format="tiff",
        notes=tuple(notes),
    )


def _beside(data: bytes, kind: str, notes: list[str]) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return EXIF, XMP and Photoshop's blocks of a RAW file that is laid out like TIFF.

    Args:
        notes: gets a line for what is left out.
    """
    left_out = LAYOUT_TAGS | ELSEWHERE_TAGS | {exif.ORIENTATION, *DNG_TAGS}
    if kind == "RW2":
        left_out |= PANASONIC_TAGS
    try:
        place = exif.first_directory(data)
        block, moved = exif.rebuilt(data, place, lambda entry: entry.tag not in left_out)
        packet = next((one.value for one in exif.entries_at(data, place) if one.tag == XMP), None)
    except (ValueError, struct.error):
        notes.append(f"what a {kind} file says beside its picture (EXIF, XMP) is not read; left out")
        return None, None, None
    if moved:
        notes.append(
            "its maker notes are kept, but lie elsewhere in the file; some programs will not read them"
        )
    if packet is not None and DEVELOPMENT in packet:
        packet = None
        notes.append("its XMP holds settings for developing it, which would be applied again; left out")
    return block, packet and ORIENTATION_IN_XMP.sub(b"", packet), photoshop_of_tiff(data, 0)


def _opened(data: bytes, kind: str):  # type: ignore[no-untyped-def]  # rawpy has no types
    try:
        import rawpy
    except ImportError as error:
        raise PictureError(
            f"is a camera's RAW file ({kind}), which needs rawpy", hint="pip install rawpy"
        ) from error
    try:
        return rawpy.imread(BytesIO(data))
    except rawpy.LibRawError as error:
        words = error.args[0] if error.args else "unknown"
        reason = words.decode("ascii", "replace") if isinstance(words, bytes) else str(words)
        raise PictureError(f"LibRaw cannot read this {kind} file: {reason}") from error
