"""AVIF and HEIC of 10 and 12 bits a channel, which Pillow gives as 8: read whole by the libraries of two extras."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO

import numpy as np
from PIL import Image

from cyclerdm_cli.pictures.picture import Pixels

CONFIGURATION = b"av1C"
DEEP, TWELVE = 0x40, 0x20
"""Flags of an AV1 configuration: more than 8 bits, and 12 of them (AV1 in ISOBMFF, section 2.3)."""
READERS = {"avif": "imagecodecs", "heic": "pillow_heif"}
"""The module that reads all bits of a format."""


def bits_of(image: Image.Image, data: bytes, kind: str) -> int:
    """Return the bits a channel that an opened AVIF or HEIC file says it has; 8 for any other format."""
    if kind == "heic":
        return int(image.info.get("bit_depth") or 8)
    place = data.find(CONFIGURATION) if kind == "avif" else -1
    if not 0 <= place < len(data) - 6 or not data[place + 6] & DEEP:
        return 8
    return 12 if data[place + 6] & TWELVE else 10


def can_read(kind: str) -> bool:
    """Tell whether the library is installed that reads all bits of a format, "avif" or "heic"."""
    return find_spec(READERS[kind]) is not None


def samples_of(image: Image.Image, data: bytes, kind: str, frame: int) -> Pixels:
    """Return (H, W) or (H, W, C) uint16 samples, all bits stretched to 0 to 65535; as stored, where Pillow does so.

    Args:
        image: as opened by Pillow, nothing decoded yet.
        frame: counted from 0.

    Raises ValueError, and whatever the libraries raise over damaged files.
    """
    levels = _levels_of_avif(data, frame) if kind == "avif" else _levels_of_heic(data, frame)
    bits = bits_of(image, data, kind)
    if levels.shape[:2] != (image.height, image.width) or levels.dtype != np.uint16:
        raise ValueError("its size or depth is not what its header says")
    stretched = np.rint(np.arange(1 << bits) * (65535 / ((1 << bits) - 1))).astype(np.uint16)
    return stretched.take(levels)


def _levels_of_avif(data: bytes, frame: int) -> Pixels:
    import imagecodecs  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return np.asarray(imagecodecs.avif_decode(data, index=frame, numthreads=1))


def _levels_of_heic(data: bytes, frame: int) -> Pixels:
    import pillow_heif  # type: ignore[import-not-found, import-untyped, unused-ignore]

    file = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    return np.array(file[frame])  # a copy: the memory is the file's, and goes with it


def encode_heic(samples: Pixels, quality: int, blocks: dict[str, bytes]) -> bytes:
    """Return a HEIC file of 10 bits a channel.

    Args:
        samples: (H, W, C) uint16; C = 3 RGB, 4 RGBA.
        quality: 1 to 100.
        blocks: EXIF, XMP and ICC profile, each where there is one, under Pillow's names.
    """
    import pillow_heif

    stream = BytesIO()
    height, width, channels = samples.shape
    mode = {3: "RGB;16", 4: "RGBA;16"}[channels]
    data = np.ascontiguousarray(samples).tobytes()
    pillow_heif.encode(mode, (width, height), data, stream, quality=quality, **blocks)
    return stream.getvalue()
