"""What stands beside the pixels, from file to file: what stays true of the result is kept, the rest is left out."""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

from cyclerdm_cli.pictures import exif, xmp
from cyclerdm_cli.pictures.formats import Format
from cyclerdm_cli.pictures.jpeg_segments import segments_of
from cyclerdm_cli.pictures.photoshop import PREVIEWS, in_order, with_iptc, without
from cyclerdm_cli.pictures.picture import Beside
from cyclerdm_cli.pictures.png_chunks import Chunks

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
IPTC_TAG, PHOTOSHOP_TAG = 33723, 34377
# Kept by other roads: XMP, IPTC, Photoshop's blocks and the ICC profile.
ELSEWHERE_TAGS = frozenset((700, IPTC_TAG, PHOTOSHOP_TAG, 34675))
DESCRIPTION = 270
FALSE_TAGS = {
    330: "smaller copies and previews in its file show it as it was; left out",
    37724: "Photoshop's layers show it as it was; left out",
    50838: "what ImageJ says of the other pages is left out",
    50839: "what ImageJ says of the other pages is left out",
}
"""Tags of a TIFF file that would be false of the result, with what is said of them."""
DESCRIPTIONS = {
    rb"ImageJ=": "what ImageJ says of the pages is left out",
    rb"\s*(<\?xml[^>]{0,200}>)?\s*(<!--.{0,2000}?-->)?\s*<OME": "what OME says of the pages is left out",
    rb'\{"shape":': "what tifffile says of the pages is left out",
}
"""Beginnings of descriptions that are for programs, likewise."""
INCH = 0.0254
"""Metres."""

# Each run of spaces is looked at once, from its beginning: a packet may hold a million of them.
ORIENTATION_IN_XMP = re.compile(
    rb'(?<!\s)\s*+tiff:Orientation\s*+=\s*+"[0-9]"|<tiff:Orientation>\s*+[0-9]\s*+</tiff:Orientation>'
)


def upright_exif(
    image: Image.Image, data: bytes, frame: int, notes: list[str], known: int | None = None
) -> tuple[int, bytes | None]:
    """Return the orientation (1 to 8) of an opened file, and its EXIF without it (None where nothing is left).

    The block comes out as it is in the file, to the byte, where the format has one; the directory of a TIFF file is
    put together anew, with types and values as they are.

    Raises whatever Pillow and `exif` raise over damaged EXIF; the caller decides what that means.
    """
    # Pillow's own for PNG decodes all of it, in search of a block that `png_chunks` has found already.
    tags = Image.Image.getexif(image) if image.format == "PNG" else image.getexif()
    orientation = _known(tags.get(exif.ORIENTATION, 1) if known is None else known)
    if image.format == "TIFF":
        directory, big = exif.page(data, frame)
        false: list[str] = []
        block, moved = exif.rebuilt(data, directory, lambda entry: _stays(entry, false), big=big)
        notes += dict.fromkeys(false)
        if moved:
            notes.append(
                "its maker notes are kept, but lie elsewhere in the file; some programs will not read them"
            )
    else:
        block = image.info.get("exif") or None
    if block is None:
        return orientation, None
    block, thumbnail = exif.upright(block, orientation)
    if thumbnail:
        notes.append("its embedded thumbnail shows it as it was; left out")
    return orientation, block


def _stays(entry: exif.Entry, notes: list[str]) -> bool:
    """Tell whether an entry of a TIFF file's directory is to be kept; note down what would be false."""
    words = FALSE_TAGS.get(entry.tag, "")
    if entry.tag == DESCRIPTION:
        words = next((said for start, said in DESCRIPTIONS.items() if re.match(start, entry.value)), "")
    if words:
        notes.append(words)
    return not words and entry.tag not in LAYOUT_TAGS and entry.tag not in ELSEWHERE_TAGS


def beside_pixels(
    image: Image.Image, data: bytes, frame: int, kind: Format, chunks: Chunks | None, notes: list[str]
) -> tuple[Beside, bool]:
    """Return what an opened file says beside its pixels, and whether it is a progressive JPEG.

    Args:
        notes: gets a line for what would be false of the result, and is left out.
    """
    photoshop, segments, progressive = None, [], False
    if kind.name == "jpg":
        found = segments_of(data)
        photoshop, segments, progressive = found.photoshop, found.kept, found.progressive
        notes += found.notes
    elif kind.name == "tiff":
        photoshop = photoshop_of_tiff(data, frame)
        if _has_further_bands(getattr(image, "tag_v2", {})):
            notes.append("bands beyond its colours and transparency are left out")
    elif chunks is not None:
        photoshop = with_iptc(None, chunks.iptc)
    kept = without(photoshop, PREVIEWS)
    if kept != photoshop:
        notes.append("Photoshop's preview shows it as it was; left out")
    beside = Beside(
        _resolution(image, kind, chunks), kept, tuple(segments), tuple(chunks.kept if chunks else ())
    )
    return beside, progressive


def photoshop_of_tiff(data: bytes, frame: int) -> bytes | None:
    """Return Photoshop's blocks of a TIFF file's page, IPTC among them; None where it has none or is damaged."""
    try:
        directory, big = exif.page(data, frame)
        entries = exif.entries_at(data, directory, big=big)
        found = {entry.tag: entry.value for entry in entries if entry.tag in (IPTC_TAG, PHOTOSHOP_TAG)}
    except (ValueError, struct.error):
        return None
    iptc = found.get(IPTC_TAG)
    return with_iptc(found.get(PHOTOSHOP_TAG), in_order(iptc) if iptc else None)


def _has_further_bands(tags: Any) -> bool:
    """Tell whether a TIFF file has bands that are neither colour nor transparency: infrared, masks, spots."""
    colours = {2: 3, 5: 4, 6: 3, 8: 3}.get(tags.get(262), 1)
    further = tags.get(277, 1) - colours
    extra = tags.get(338) or ()
    return bool(further > 1 or (further == 1 and (not extra or extra[0] not in (1, 2))))


def _resolution(image: Image.Image, kind: Format, chunks: Chunks | None) -> tuple[float, float] | None:
    """Return dots per inch, where the file says them and no decoder made them up."""
    if chunks is not None:
        size = chunks.first(b"pHYs")
        if size is None or len(size) != 9 or size[8] != 1:
            return None
        across, down = struct.unpack(">II", size[:8])
        return (across * INCH, down * INCH) if across and down else None
    if kind.name == "jpg" and image.info.get("jfif_unit") not in (1, 2):
        return None
    if kind.name == "tiff" and exif.X_RESOLUTION not in getattr(image, "tag_v2", {}):
        return None
    across, down = image.info.get("dpi") or (0, 0)
    return (float(across), float(down)) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _known(orientation: Any) -> int:
    return orientation if orientation in range(1, 9) else 1


def upright_xmp(image: Image.Image, orientation: int, notes: list[str]) -> bytes | None:
    """Return the XMP packet of an opened image as it is true of it turned upright; None where there is none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    if not packet:
        return None
    alone = xmp.without_what_lay_behind(packet)
    if alone != packet:
        notes.append("what its XMP says of a video or gain map behind it is left out")
    return xmp.turned(ORIENTATION_IN_XMP.sub(b"", alone), orientation)
