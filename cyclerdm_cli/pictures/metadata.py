"""EXIF and XMP from file to file: what stays true of the result is kept, what does not is left out."""

from __future__ import annotations

import re
from typing import Any

from PIL import ExifTags, Image

EXIF_HEADER = b"Exif\0\0"

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

ORIENTATION = 274
# Each run of spaces is looked at once, from its beginning: a packet may hold a million of them.
ORIENTATION_IN_XMP = re.compile(
    rb'(?<!\s)\s*+tiff:Orientation\s*+=\s*+"[0-9]"|<tiff:Orientation>\s*+[0-9]\s*+</tiff:Orientation>'
)


def upright_exif(exif: Image.Exif) -> tuple[int, bytes | None]:
    """Return the orientation (1 to 8), and the EXIF without it (None where nothing is left).

    Raises whatever Pillow raises over damaged EXIF; the caller decides what that means.
    """
    # The image's own tags stay as they are: what Pillow does on loading depends on them.
    left_out = {ORIENTATION, *LAYOUT_TAGS, *ELSEWHERE_TAGS}
    kept = Image.Exif()
    orientation = _known(exif.get(ORIENTATION, 1))
    for tag, value in exif_directories(exif).items():
        if tag not in left_out:
            kept[tag] = _sides_swapped(value) if tag == ExifTags.IFD.Exif and orientation >= 5 else value
    return orientation, kept.tobytes() if len(kept) else None


def _sides_swapped(camera: dict[int, Any]) -> dict[int, Any]:
    """Return the camera's directory with width and height as they are once the picture has been turned."""
    width, height = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight
    if width in camera and height in camera:
        return {**camera, width: camera[height], height: camera[width]}
    return camera


def _known(orientation: Any) -> int:
    return orientation if orientation in range(1, 9) else 1


def exif_directories(exif: Image.Exif) -> dict[int, Any]:
    """Return EXIF as tag -> value, with the camera's and the GPS directory as dictionaries inside."""
    tags = dict(exif.items())
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        inner = dict(exif.get_ifd(directory))
        if directory == ExifTags.IFD.Exif and ExifTags.IFD.Interop in inner:
            inner[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
        tags.pop(directory, None)
        if inner:
            tags[directory] = inner
    return tags


def upright_xmp(image: Image.Image) -> bytes | None:
    """Return the XMP packet of an opened image without any orientation; None where there is none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    return ORIENTATION_IN_XMP.sub(b"", packet) if packet else None
