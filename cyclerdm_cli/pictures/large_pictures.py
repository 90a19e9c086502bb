"""Large pictures decoded straight into their samples: beside them would stand the four bytes a pixel of Pillow.

What is not plain about a file is left to the usual way, which also says what is wrong with it.
"""

from __future__ import annotations

import numpy as np

from cyclerdm_cli.pictures import tiff_reading
from cyclerdm_cli.pictures.completeness import has_end
from cyclerdm_cli.pictures.opening import Opened, size_of
from cyclerdm_cli.pictures.picture import Pixels

LARGE = 64_000_000
"""Pixels from which a picture is decoded like this."""
FILL_ORDER, ORIENTATION = 266, 274


def is_large(opened: Opened) -> bool:
    """Tell whether a file holds a large picture."""
    width, height = size_of(opened.image)
    return width * height >= LARGE


def in_plain_strips(opened: Opened) -> bool:
    """Tell whether a large TIFF holds RGB of 8 or 16 bits, upright and in strips that are read here."""
    if opened.kind.name != "tiff" or opened.layout is not None or not is_large(opened):
        return False
    tags = opened.image.tag_v2  # type: ignore[attr-defined]
    return (
        tags.get(tiff_reading.BITS) in ((8, 8, 8), (16, 16, 16))
        and tags.get(tiff_reading.CHANNELS) == 3
        and tags.get(tiff_reading.PHOTOMETRIC) == tiff_reading.RGB
        and set(tags.get(tiff_reading.SAMPLE_FORMAT, (1,))) == {1}
        and tags.get(FILL_ORDER, 1) == 1
        and tags.get(ORIENTATION, 1) == 1
        and tags.get(tiff_reading.PREDICTOR, 1) in (1, 2)
        and tiff_reading.is_in_strips(tags)
    )


def samples_of(opened: Opened, data: bytes, frame: int) -> Pixels | None:
    """Return the (H, W, 3) samples of a large and plain picture as they are stored; None for any other.

    Raises ValueError where a TIFF's strips are incomplete.
    """
    if in_plain_strips(opened):
        return tiff_reading.from_strips(data, opened.image.tag_v2)  # type: ignore[attr-defined]
    if frame or opened.layout is not None or not is_large(opened) or opened.image.mode != "RGB":
        return None
    kind = opened.kind.name
    is_plain_png = kind == "png" and data[24] == 8 and "transparency" not in opened.image.info
    if not is_plain_png and not (kind == "jpg" and has_end(data)):
        return None
    found = _by_imagecodecs(data, kind)
    width, height = opened.image.size
    if found is None or found.dtype != np.uint8 or found.shape != (height, width, 3):
        return None
    return found


def _by_imagecodecs(data: bytes, kind: str) -> Pixels | None:
    """Return the samples of a JPEG or PNG, which the same libraries as Pillow's decode into their place; None where
    imagecodecs is not installed, or finds fault."""
    try:
        import imagecodecs  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return np.asarray(imagecodecs.jpeg8_decode(data) if kind == "jpg" else imagecodecs.png_decode(data))
    except (ImportError, RuntimeError, ValueError, TypeError, MemoryError):
        return None
