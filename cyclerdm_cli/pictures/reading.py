"""A file -> a `Picture`: upright, sRGB, 8 or 16 bits exactly as stored; or one plain line why not."""

from __future__ import annotations

import logging
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import raw, said_colours, tiff_other, tiff_reading
from cyclerdm_cli.pictures.addresses import Address
from cyclerdm_cli.pictures.carrying import to_levels
from cyclerdm_cli.pictures.colour import ColourSpace, colour_space, to_srgb
from cyclerdm_cli.pictures.completeness import refuse_incomplete
from cyclerdm_cli.pictures.decoding import has_sixteen_bits, samples_of, split, turns_by_itself, upright
from cyclerdm_cli.pictures.footprint import Extent
from cyclerdm_cli.pictures.formats import FORMATS, TITLES, Format, format_of_pillow
from cyclerdm_cli.pictures.metadata import beside_pixels, upright_exif, upright_xmp
from cyclerdm_cli.pictures.picture import Mode, Picture, SaidBy
from cyclerdm_cli.pictures.png_chunks import Chunks, is_png, parted
from cyclerdm_cli.pictures.streams import read_address
from cyclerdm_cli.pictures.tiff_layout import count_pages

T = TypeVar("T")
DEFAULT_LIMIT_PIXELS = 500_000_000
PILLOW_FORMATS = [name for entry in FORMATS for name in entry.pillow if name != "MPO"]
STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"BM")
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

MOST_FRAMES = 10_000
"""That are gone through on the way to the one asked for."""
MOST_WARNINGS = 3
"""Of one step that are passed on: a damaged file may give thousands."""

# Pillow logs what it then raises; without a handler Python writes that to standard error.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# Python's warning filters belong to the whole program: one header is opened at a time.
_OPENING = threading.Lock()


def read_picture(
    source: str | os.PathLike[str] | bytes,
    *,
    frame: int = 0,
    limit_pixels: int = DEFAULT_LIMIT_PIXELS,
    name: str = "",
    develop: str = "srgb",
) -> Picture:
    """Return the picture in a file, or in the bytes of one.

    Args:
        source: a path, or a whole file's bytes (standard input, say).
        frame: which picture of an animated or many-paged file, counted from 0.
        limit_pixels: larger pictures are refused on the word of their header, before any decoding.
        name: what the error messages call the picture; by default the path.
        develop: the colours that a RAW file is developed into, one of `formats.DEVELOP_CHOICES`.

    Raises:
        PictureError: missing, unreadable, empty, no picture, damaged, cut short, too large, or of a kind that
            would lose values. No other exception leaves this function on account of the file.
    """

    def picture(data: bytes) -> Picture:
        if kind := raw.kind_of(data):
            return raw.developed(data, kind, develop, limit_pixels)
        return _decode(data, frame or tiff_other.main_page(data), limit_pixels)

    return _named_faults(source, name, picture)


def read_extent(
    source: str | os.PathLike[str] | bytes, *, frame: int = 0, limit_pixels: int = DEFAULT_LIMIT_PIXELS
) -> Extent:
    """Return what a file's header says of its size, without decoding anything.

    Raises:
        PictureError: as `read_picture`, as far as the header tells.
    """

    def extent(data: bytes) -> Extent:
        if kind := raw.kind_of(data):
            return Extent(*raw.size_of(data, kind, limit_pixels), 16, "tiff", own_depth=16)
        opened = _open(data, frame or tiff_other.main_page(data), limit_pixels)
        width, height = _size(opened.image)
        sixteen = opened.layout is not None or has_sixteen_bits(opened.image, opened.data, opened.kind)
        depth = 16 if sixteen else 8
        grey = opened.image.mode in ("1", "L", "LA", "I;16", "I")
        profile, _ = _said_colours(opened, opened.image.info.get("exif"), grey)
        own_depth = depth if profile and colour_space(profile).changes_pixels else 0
        if opened.layout is not None and opened.layout.floating:
            own_depth = 32
        return Extent(height, width, depth, opened.kind.name, own_depth)

    return _named_faults(source, "", extent)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return a file's bytes.

    Raises:
        PictureError: it is missing, a folder, a device, or not ours to read.
    """
    if isinstance(path, Address):
        return read_address(path, DEFAULT_LIMIT_PIXELS)
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            raise PictureError(f"{os.fspath(path)}: is a folder, not a picture")
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise PictureError(f"{os.fspath(path)}: is not a file")
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise PictureError(f"{os.fspath(path)}: no such file") from error
    except PermissionError as error:
        raise PictureError(f"{os.fspath(path)}: no permission to read it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"{os.fspath(path)}: cannot be read: {reason}") from error


def _named_faults(source: str | os.PathLike[str] | bytes, name: str, work: Callable[[bytes], T]) -> T:
    """Return what `work` makes of a file's bytes; all that it raises becomes a PictureError with the name."""
    name = name or ("standard input" if isinstance(source, bytes) else os.fspath(source))
    data = source if isinstance(source, bytes) else read_bytes(source)
    if not data:
        raise PictureError(f"{name}: the file is empty")
    try:
        return work(data)
    except PictureError as error:
        raise PictureError(f"{name}: {Exception.__str__(error)}", error.hint) from error
    except MemoryError as error:
        raise PictureError(f"{name}: not enough memory to decode it") from error
    except (
        Exception
    ) as error:  # Pillow's plugins raise a dozen types over damaged files, struct.error among them
        raise _plain(name, data, error) from error


def _plain(name: str, data: bytes, error: Exception) -> PictureError:
    """Turn what a decoder raised into one line for people."""
    words = " ".join(str(error).split())
    if isinstance(error, UnidentifiedImageError):
        if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS and find_spec("pillow_heif") is None:
            return PictureError(f"{name}: HEIC needs pillow-heif", hint="pip install pillow-heif")
        # What begins like a picture and is none to Pillow, is one no longer.
        if data.startswith(STARTS) or data[8:12] == b"WEBP" or data[4:8] == b"ftyp":
            return PictureError(f"{name}: the picture is damaged or cut short")
        return PictureError(f"{name}: not a picture of a format read here", hint=TITLES)
    short = data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)
    if short or any(word in words.lower() for word in ("truncated", "end of file", "not enough")):
        return PictureError(f"{name}: the picture is cut short")
    return PictureError(f"{name}: the picture is damaged: {words or type(error).__name__}")


@dataclass
class _Decoded:
    """What is known so far; filled in from the header to the pixels."""

    image: Image.Image
    kind: Format
    data: bytes
    """The file; of a PNG, those chunks that its decoder needs."""
    chunks: Chunks | None = None
    """What the others say."""
    layout: tiff_other.Layout | None = None
    """Of a TIFF file that takes another reader than the usual ones."""
    notes: list[str] = field(default_factory=list)


def _decode(data: bytes, frame: int, limit_pixels: int) -> Picture:
    decoded = _open(data, frame, limit_pixels)
    data, image, notes, kind = decoded.data, decoded.image, decoded.notes, decoded.kind
    if decoded.layout is None and (frame == 0 or kind.name == "tiff"):
        refuse_incomplete(kind.name, data, image)
    orientation, exif = _exif(decoded, data, frame)
    with _ANY_SIZE:
        if decoded.layout is None:
            pixels, alpha, mode = samples_of(image, data, kind, frame, notes)
        else:
            pixels, alpha, mode = split(tiff_other.samples_of(decoded.layout, data, frame))
    xmp = upright_xmp(image, orientation, notes)
    beside, progressive = beside_pixels(image, data, frame, kind, decoded.chunks, notes)
    image.close()  # its pixels are in ours: for a large picture that is a third of the memory
    profile, said_by, space = _colours(decoded, exif, mode)
    floating = pixels.dtype.kind == "f"
    own = pixels if floating or (space is not None and space.changes_pixels) else None
    pixels = to_levels(pixels) if space is None else to_srgb(to_levels(pixels), space)
    alpha = None if alpha is None else to_levels(alpha)
    beside = beside.turned() if orientation >= 5 else beside
    if decoded.layout is None and turns_by_itself(image, kind):
        orientation = 1
    is_jpeg = kind.name == "jpg" and mode != "cmyk"
    return Picture(
        pixels=upright(pixels, orientation),
        own=None if own is None else upright(own, orientation),
        mode=mode,
        alpha=None if alpha is None else upright(alpha, orientation),
        icc_profile=profile,
        said_by=said_by,
        exif=exif,
        xmp=xmp,
        beside=beside,
        format=kind.name,
        quantisation=getattr(image, "quantization", None) if is_jpeg else None,
        subsampling=_subsampling(image) if is_jpeg else None,
        progressive=is_jpeg and progressive,
        lossless=kind.name == "webp" and _webp_is_lossless(data),
        notes=tuple(dict.fromkeys(notes)),
    )


def _colours(
    decoded: _Decoded, exif: bytes | None, mode: Mode
) -> tuple[bytes | None, SaidBy, ColourSpace | None]:
    """Return the profile to write, what said it, and what it means for the pixels."""
    if mode == "cmyk":
        return None, "profile", None  # it described inks, and the pixels are sRGB now
    grey = mode in ("grey", "grey+alpha")
    profile, said_by = _said_colours(decoded, exif, grey)
    if not profile:
        return None, said_by, None
    space = colour_space(profile)
    if space.kind == "cmyk" or (space.kind == "grey" and not grey):
        decoded.notes.append("its colour profile is for another kind of picture and was left out")
        return None, said_by, None
    if space.kind == "unusable":
        decoded.notes.append("its colour profile cannot be used; the colours are taken for sRGB")
    return profile, said_by, space


def _said_colours(decoded: _Decoded, exif: bytes | None, grey: bool) -> tuple[bytes | None, SaidBy]:
    if decoded.chunks is not None and (profile := said_colours.of_png(decoded.chunks, grey)):
        return profile, "chunks"
    if profile := decoded.image.info.get("icc_profile"):
        return profile, "profile"
    if decoded.kind.name == "bmp" and (profile := said_colours.of_bmp(decoded.data)):
        return profile, "profile"
    if decoded.kind.name in ("avif", "heic") and (profile := said_colours.of_boxes(decoded.data)):
        return profile, "boxes"
    if decoded.layout is not None and decoded.layout.floating:
        return said_colours.linear(grey), "floats"
    srgb = decoded.chunks is not None and decoded.chunks.first(b"sRGB") is not None
    return (None if grey or srgb else said_colours.of_exif(exif)), "exif"


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


_ANY_SIZE = _AnySize()


@contextmanager
def _quiet_opening(notes: list[str]) -> Iterator[None]:
    """Let one header be opened at any size, Pillow's first warnings turned into notes."""
    with _OPENING, _ANY_SIZE, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            said = list(dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught))
            notes += said[:MOST_WARNINGS]
            if len(said) > MOST_WARNINGS:
                notes.append(f"and {len(said) - MOST_WARNINGS} more warnings of the kind")


def _open(data: bytes, frame: int, limit_pixels: int) -> _Decoded:
    notes: list[str] = []
    chunks = None
    if is_png(data):
        data, chunks = parted(data)
        notes += chunks.notes
    layout = tiff_other.layout_of(data, frame)
    with _quiet_opening(notes):
        image = _open_header(data) if layout is None else tiff_other.stand_in(layout, data, frame)
        kind = format_of_pillow(image.format)
        if kind is None:
            raise UnidentifiedImageError(image.format)
        frames = _count_frames(image, kind, data) if layout is None or kind.name != "tiff" else frame + 1
        if not 0 <= frame < frames:
            raise PictureError(f"has no frame {frame}", hint=f"it has {frames}, counted from 0")
        if frame >= MOST_FRAMES:
            raise PictureError(f"frame {frame} lies too deep in the file", hint=f"up to {MOST_FRAMES - 1}")
        width, height = _size(image)
        if 0 < width * height <= limit_pixels and frames > 1 and layout is None:
            image.seek(frame)
            width, height = _size(image)
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
    return _Decoded(image, kind, data, chunks, layout, notes)


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
        return Image.open(BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        stand_in = tiff_reading.grey_alpha_image(data) if tiff_reading.is_tiff(data) else None
        if stand_in is None:
            raise
        return stand_in


def _size(image: Image.Image) -> tuple[int, int]:
    tags = getattr(image, "tag_v2", None)
    return (tags[tiff_reading.WIDTH], tags[tiff_reading.HEIGHT]) if tags and not image.width else image.size


def _exif(decoded: _Decoded, data: bytes, frame: int) -> tuple[int, bytes | None]:
    try:
        with _quiet_opening(decoded.notes):
            known = decoded.layout.orientation if decoded.layout is not None else None
            return upright_exif(decoded.image, data, frame, decoded.notes, known)
    except Exception:  # the same dozen types; damaged EXIF is no reason to refuse the picture
        decoded.notes.append("its EXIF is damaged and was left out")
        return 1, None


def _subsampling(image: Image.Image) -> int | None:
    found = JpegImagePlugin.get_sampling(image)
    return found if found >= 0 else None


def _webp_is_lossless(data: bytes) -> bool:
    """Walk the chunks of a WebP file to its (first) pixels."""
    position = 12
    while position + 8 <= len(data):
        name, size = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        position += 24 if name == b"ANMF" else 8 + size + size % 2
    return False
