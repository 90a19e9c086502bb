"""What stands beside the pixels, from file to file: what stays true of the result is kept, the rest is left out."""

from __future__ import annotations

import re
from typing import Any

from PIL import Image

from cyclerdm_cli.pictures import exif

# How the pixels lie in the file: true of one file only, and wrong in the next. Embedded previews (330) too.
LAYOUT_TAGS = frozenset(
    {254, 255, 262, 263, 264, 265, 266, 273, 284, 301, 330, 512, 513, 514, 515}
    | set(range(256, 260))
    | set(range(277, 282))
    | set(range(288, 294))
    | set(range(317, 326))
    | set(range(332, 343))
    | {347, 517, 518, 519, 520, 521, 529, 530, 531, 532}
)
# Kept by other roads: XMP and the ICC profile.
ELSEWHERE_TAGS = frozenset((700, 34675))

ORIENTATION_IN_XMP = re.compile(
    rb'\s*tiff:Orientation\s*=\s*"[0-9]"|<tiff:Orientation>\s*[0-9]\s*</tiff:Orientation>'
)


def upright_exif(image: Image.Image, data: bytes, frame: int, notes: list[str]) -> tuple[int, bytes | None]:
    """Return the orientation (1 to 8) of an opened file, and its EXIF without it (None where nothing is left).

    The block comes out as it is in the file, to the byte, where the format has one; the directory of a TIFF file is
    put together anew, with types and values as they are.

    Raises whatever Pillow and `exif` raise over damaged EXIF; the caller decides what that means.
    """
    orientation = _known(image.getexif().get(exif.ORIENTATION, 1))
    if image.format == "TIFF":
        directory, big = exif.page(data, frame)
        left_out = LAYOUT_TAGS | ELSEWHERE_TAGS
        block, moved = exif.rebuilt(data, directory, lambda entry: entry.tag not in left_out, big=big)
        if moved:
            notes.append(
                "its maker notes are kept, but lie elsewhere in the file; some programs will not read them"
            )
    else:
        block = _block(image)
    if block is None:
        return orientation, None
    block, thumbnail = exif.upright(block, orientation)
    if thumbnail:
        notes.append("its embedded thumbnail shows it as it was; left out")
    return orientation, block


def _block(image: Image.Image) -> bytes | None:
    """Return the EXIF of an opened file that is no TIFF file, as it is."""
    block = image.info.get("exif")
    if block is None and "Raw profile type exif" in image.info:  # how ImageMagick writes it into PNG
        block = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return block or None


def _known(orientation: Any) -> int:
    return orientation if orientation in range(1, 9) else 1


def upright_xmp(image: Image.Image) -> bytes | None:
    """Return the XMP packet of an opened image without any orientation; None where there is none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    return ORIENTATION_IN_XMP.sub(b"", packet) if packet else None
