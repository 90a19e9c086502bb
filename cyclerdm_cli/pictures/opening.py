"""A file's header: which format, how large, how many frames; nothing is decoded yet."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from PIL import Image, UnidentifiedImageError

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import tiff_other, tiff_reading
from cyclerdm_cli.pictures.formats import FORMATS, Format, format_of_pillow
from cyclerdm_cli.pictures.mapped import stream_over
from cyclerdm_cli.pictures.png_chunks import Chunks, is_png, parted
from cyclerdm_cli.pictures.tiff_layout import count_pages

PILLOW_FORMATS = [name for entry in FORMATS for name in entry.pillow if name != "MPO"]
DEEPEST_FRAME = 10_000
"""Frames that are gone through on the way to the one asked for."""
MOST_WARNINGS = 3
"""Of one step that are passed on: a damaged file may give thousands."""

# Pillow logs what it then raises; without a handler Python writes that to standard error.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# Python's warning filters belong to the whole program: one header is opened at a time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass
class Opened:
    """A file of which the header is read, and what is known of it so far."""

    image: Image.Image
    kind: Format
    data: bytes
    """The file; of a PNG, those chunks that its decoder needs."""
    chunks: Chunks | None = None
    """What the others say."""
    layout: tiff_other.Layout | None = None
    """Of a TIFF file that takes another reader than the usual ones."""
    notes: list[str] = field(default_factory=list)


class _AnySize:
    """Lets pictures of any size through Pillow while anyone is within; ours is checked instead."""

    def __init__(self) -> None:
        self._lock, self._within, self._limit = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self._lock:
            if self._within == 0:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                Image.MAX_IMAGE_PIXELS = self._limit


ANY_SIZE = _AnySize()


@contextmanager
def quiet_opening(notes: list[str]) -> Iterator[None]:
    """Let one header be opened at any size, Pillow's first warnings turned into notes."""
    with _ONE_AT_A_TIME, ANY_SIZE, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            said = list(dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught))
            notes += said[:MOST_WARNINGS]
            if len(said) > MOST_WARNINGS:
                notes.append(f"and {len(said) - MOST_WARNINGS} more warnings of the kind")


def open_picture(data: bytes, frame: int, limit_pixels: int) -> Opened:
    """Read the header and go to a frame, without decoding pixels. Raises PictureError, and what Pillow does."""
    notes: list[str] = []
    chunks = None
    if is_png(data):
        data, chunks = parted(data)
        notes += chunks.notes
    layout = tiff_other.layout_of(data, frame)
    with quiet_opening(notes):
        image = _open_header(data) if layout is None else tiff_other.stand_in(layout, data, frame)
        kind = format_of_pillow(image.format)
        if kind is None:
            raise UnidentifiedImageError(image.format)
        frames = _count_frames(image, kind, data) if layout is None or kind.name != "tiff" else frame + 1
        if not 0 <= frame < frames:
            raise PictureError(f"has no frame {frame}", hint=f"it has {frames}, counted from 0")
        if frame >= DEEPEST_FRAME:
            raise PictureError(f"frame {frame} lies too deep in the file", hint=f"up to {DEEPEST_FRAME - 1}")
        width, height = size_of(image)
        if 0 < width * height <= limit_pixels and frames > 1 and layout is None:
            image.seek(frame)
            width, height = size_of(image)
    if width * height > limit_pixels:
        raise PictureError(
            f"{width} x {height} pixels are more than the limit of {limit_pixels}", hint="see --limit-pixels"
        )
    if width < 1 or height < 1:
        raise PictureError("has no pixels")
    if kind.longest_side and max(width, height) > kind.longest_side:
        raise PictureError(
            f"is damaged: its header says {width} x {height} pixels, which {kind.title} cannot hold"
        )
    if frames > 1:
        notes.append(
            f"first frame of {frames} used" if frame == 0 else f"frame {frame} (from 0) of {frames} used"
        )
    if chunks is not None:
        blocks = {"icc_profile": chunks.icc_profile, "exif": chunks.exif, "xmp": chunks.xmp}
        image.info.update({name: block for name, block in blocks.items() if block})
    return Opened(image, kind, data, chunks, layout, notes)


def _count_frames(image: Image.Image, kind: Format, data: bytes) -> int:
    """Return how many frames there are, without going through them."""
    if kind.name == "jpg":  # its further pictures are a camera's previews and gain maps, not frames
        return 1
    if kind.name == "tiff":  # Pillow's own count takes the square of the pages' number
        return max(1, count_pages(data))
    frames: int = getattr(image, "n_frames", 1)
    return frames


def _open_header(data: bytes) -> Image.Image:
    formats = PILLOW_FORMATS
    try:
        import pillow_heif  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        formats = [name for name in PILLOW_FORMATS if name != "HEIF"]
    else:
        pillow_heif.register_heif_opener()
    try:
        return Image.open(stream_over(data), formats=formats)
    except UnidentifiedImageError:
        stand_in = tiff_reading.grey_alpha_image(data) if tiff_reading.is_tiff(data) else None
        if stand_in is None:
            raise
        return stand_in


def size_of(image: Image.Image) -> tuple[int, int]:
    """Return width and height, also of what stands in for a TIFF that Pillow cannot open."""
    tags = getattr(image, "tag_v2", None)
    return (tags[tiff_reading.WIDTH], tags[tiff_reading.HEIGHT]) if tags and not image.width else image.size
