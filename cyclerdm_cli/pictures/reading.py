"""A file -> a `Picture`: upright, sRGB, 8 or 16 bits exactly as stored; or one plain line why not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from PIL import Image, JpegImagePlugin

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import large_pictures, raw, said_colours, tiff_other
from cyclerdm_cli.pictures.addresses import Address
from cyclerdm_cli.pictures.carrying import to_levels
from cyclerdm_cli.pictures.colour import ColourSpace, colour_space, to_srgb
from cyclerdm_cli.pictures.completeness import refuse_incomplete
from cyclerdm_cli.pictures.decoding import has_sixteen_bits, samples_of, split, turns_by_itself, upright
from cyclerdm_cli.pictures.footprint import Extent
from cyclerdm_cli.pictures.mapped import mapped
from cyclerdm_cli.pictures.metadata import beside_pixels, upright_exif, upright_xmp
from cyclerdm_cli.pictures.opening import ANY_SIZE, Opened, open_picture, quiet_opening, size_of
from cyclerdm_cli.pictures.picture import Mode, Picture, SaidBy
from cyclerdm_cli.pictures.read_faults import with_plain_faults
from cyclerdm_cli.pictures.streams import read_address

T = TypeVar("T")
DEFAULT_LIMIT_PIXELS = 500_000_000


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
            return raw.developed(data[:], kind, develop, limit_pixels)
        return _decode(data, frame or tiff_other.main_page(data), limit_pixels)

    return _worked_on(source, name, picture)


def read_extent(
    source: str | os.PathLike[str] | bytes, *, frame: int = 0, limit_pixels: int = DEFAULT_LIMIT_PIXELS
) -> Extent:
    """Return what a file's header says of its size, without decoding anything.

    Raises:
        PictureError: as `read_picture`, as far as the header tells.
    """

    def extent(data: bytes) -> Extent:
        if kind := raw.kind_of(data):
            return Extent(*raw.size_of(data[:], kind, limit_pixels), 16, "tiff", own_depth=16)
        opened = open_picture(data, frame or tiff_other.main_page(data), limit_pixels)
        width, height = size_of(opened.image)
        sixteen = opened.layout is not None or has_sixteen_bits(opened.image, opened.data, opened.kind)
        depth = 16 if sixteen else 8
        grey = opened.image.mode in ("1", "L", "LA", "I;16", "I")
        profile, _ = _said_colours(opened, opened.image.info.get("exif"), grey)
        own_depth = depth if profile and colour_space(profile).changes_pixels else 0
        if opened.layout is not None and opened.layout.floating:
            own_depth = 32
        return Extent(height, width, depth, opened.kind.name, own_depth)

    return _worked_on(source, "", extent)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return a file's bytes.

    Raises:
        PictureError: it is missing, a folder, a device, or not ours to read.
    """
    if isinstance(path, Address):
        return read_address(path, DEFAULT_LIMIT_PIXELS)
    with _plain_faults_of(path):
        check_there(path)
        return Path(path).read_bytes()


def check_there(path: str | os.PathLike[str]) -> None:
    """Look for a file without opening it. Raises PictureError: it is missing, a folder or a device."""
    with _plain_faults_of(path):
        kind = os.stat(path).st_mode
        if stat.S_ISDIR(kind):
            raise PictureError(f"{os.fspath(path)}: is a folder, not a picture")
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise PictureError(f"{os.fspath(path)}: is not a file")


@contextmanager
def _plain_faults_of(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says against a file into a PictureError."""
    try:
        yield
    except FileNotFoundError as error:
        raise PictureError(f"{os.fspath(path)}: no such file") from error
    except PermissionError as error:
        raise PictureError(f"{os.fspath(path)}: no permission to read it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"{os.fspath(path)}: cannot be read: {reason}") from error


def _worked_on(source: str | os.PathLike[str] | bytes, name: str, work: Callable[[bytes], T]) -> T:
    """Return what `work` makes of a file, its faults told in plain words with its name."""
    name = name or ("standard input" if isinstance(source, bytes) else os.fspath(source))
    if isinstance(source, bytes):
        return with_plain_faults(source, name, work)
    # What is mapped is read like bytes, and by those who cannot do so as a whole.
    large = None if isinstance(source, Address) else mapped(Path(source))
    return with_plain_faults(read_bytes(source) if large is None else cast(bytes, large), name, work)


def _decode(data: bytes, frame: int, limit_pixels: int) -> Picture:
    decoded = open_picture(data, frame, limit_pixels)
    data, image, notes, kind = decoded.data, decoded.image, decoded.notes, decoded.kind
    if not large_pictures.in_plain_strips(decoded):
        data = data[:]  # the whole file, where it is mapped
    if decoded.layout is None and (frame == 0 or kind.name == "tiff"):
        refuse_incomplete(kind.name, data, image)
    orientation, exif = _exif(decoded, data, frame)
    with ANY_SIZE:
        if (found := large_pictures.samples_of(decoded, data, frame)) is not None:
            pixels, alpha, mode = split(found)
        elif decoded.layout is None:
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
    decoded: Opened, exif: bytes | None, mode: Mode
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


def _said_colours(decoded: Opened, exif: bytes | None, grey: bool) -> tuple[bytes | None, SaidBy]:
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


def _exif(decoded: Opened, data: bytes, frame: int) -> tuple[int, bytes | None]:
    try:
        with quiet_opening(decoded.notes):
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
