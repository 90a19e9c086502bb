"""The metadata that goes into a file, as far as its format has room."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from cyclerdm_cli.pictures.exif import fitted
from cyclerdm_cli.pictures.picture import Beside, Picture
from cyclerdm_cli.pictures.write_options import WriteOptions, format_of

JPEG_EXIF_BYTES, JPEG_XMP_BYTES = 65533, 65504
"""The longest blocks that a JPEG holds: a segment's length is a 16-bit number that counts itself."""


@dataclass(frozen=True)
class FileMetadata:
    """What goes into a file beside its pixels."""

    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    beside: Beside = field(default_factory=Beside)

    def for_pillow(self) -> dict[str, Any]:
        """Return what there is of it, under Pillow's names."""
        blocks = {"icc_profile": self.icc_profile, "exif": self.exif, "xmp": self.xmp}
        return {name: block for name, block in blocks.items() if block}


def metadata_of(picture: Picture, options: WriteOptions) -> FileMetadata:
    """Return what a file of that picture keeps beside the pixels, as far as its format has room."""
    target = format_of(picture, options)
    if options.strip_metadata or not target.metadata:
        beside = Beside() if options.strip_metadata else picture.beside
        return FileMetadata(beside=beside)
    exif = exif_for_jpeg(picture.exif)[0] if target.name == "jpg" else picture.exif
    said = picture.said_by == "exif" and exif is not None
    said |= picture.said_by == "floats" or (picture.said_by == "chunks" and target.name == "png")
    return FileMetadata(None if said else picture.icc_profile, exif, picture.xmp, picture.beside)


def exif_for_jpeg(block: bytes | None) -> tuple[bytes | None, list[int]]:
    """Return what a JPEG has room for of EXIF, and the tags that are left out for it."""
    if block is None or len(block) <= JPEG_EXIF_BYTES:
        return block, []
    try:
        return fitted(block, JPEG_EXIF_BYTES)
    except (ValueError, struct.error):
        return None, []
