"""What each picture format is called and what it can hold. Free of every heavy import, for usage errors."""

from __future__ import annotations

import os
from dataclasses import dataclass

FORMAT_CHOICES = ("keep", "png", "jpg", "webp", "avif", "tiff", "bmp", "heic")
"""What may be asked for instead of the input's own format."""
DEPTH_CHOICES = ("keep", 8, 16)
"""Bits a channel that may be asked for."""
DEVELOP_CHOICES = ("srgb", "p3", "adobe-rgb", "prophoto")
"""Colours that RAW files may be developed into."""
RAW_EXTENSIONS = frozenset(
    (".arw", ".cr2", ".cr3", ".dng", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw", ".x3f")
)
"""Of RAW files, in small letters: what comes of them is TIFF."""
COMPARE_CHOICES = ("side", "split", "diagonal", "detail", "animated")
"""How before and after may be compared; the first is meant where nothing else is said."""
MASK_CHOICES = ("auto", "luma", "alpha")
"""What may be asked to say where a mask is painted."""


@dataclass(frozen=True)
class Format:
    """One file format; `name` is the word used in `Picture.format` and after `--format`."""

    name: str
    title: str
    """As written for people."""
    extensions: tuple[str, ...]
    """Lower case, with the dot; the first is the one given to new files."""
    pillow: tuple[str, ...]
    """The names under which Pillow reports it."""
    bits: int = 8
    """The most a channel that are written in it."""
    alpha: bool = True
    grey: bool = True
    """Whether a picture of one channel stays one in this format."""
    metadata: bool = True
    """Whether there is room for EXIF, XMP and an ICC profile."""
    longest_side: int | None = None
    """The most pixels a side that it can hold, where that is few enough to meet."""


FORMATS: tuple[Format, ...] = (
    Format(
        "jpg", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", "MPO"), alpha=False, longest_side=65535
    ),
    Format("png", "PNG", (".png", ".apng"), ("PNG",), bits=16),
    Format("webp", "WebP", (".webp",), ("WEBP",), grey=False, longest_side=16383),
    Format("avif", "AVIF", (".avif",), ("AVIF",), grey=False, longest_side=65535),
    Format("tiff", "TIFF", (".tif", ".tiff"), ("TIFF",), bits=16),
    Format("bmp", "BMP", (".bmp", ".dib"), ("BMP", "DIB"), alpha=False, metadata=False),
    Format("heic", "HEIC", (".heic", ".heif"), ("HEIF",), bits=10, grey=False),
)

SYNONYMS = {
    "jpeg": "jpg",
    "jpe": "jpg",
    "jfif": "jpg",
    "tif": "tiff",
    "heif": "heic",
    "dib": "bmp",
    "apng": "png",
}
"""Other words for formats, as their extensions have it."""
BY_NAME = {entry.name: entry for entry in FORMATS}
BY_EXTENSION = {extension: entry for entry in FORMATS for extension in entry.extensions}
TITLES = ", ".join(entry.title for entry in FORMATS)


STARTS = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"II", b"MM", b"BM", b"FUJIFILM", b"FOVb", b"\0MRM")
"""With which pictures begin, those of cameras too."""
DIB_STARTS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the header with which a BMP without its file header begins."""


def may_begin_picture(head: bytes) -> bool:
    """Tell whether a file whose first 16 bytes these are can be one of the formats read here."""
    boxes = head[4:8] in (b"ftyp", b"mdat", b"jumb")
    return head.startswith(STARTS) or boxes or int.from_bytes(head[:4], "little") in DIB_STARTS


def format_of_name(name: str | os.PathLike[str]) -> Format | None:
    """Return the format that a file name's extension stands for, in any case of letters; None if unknown."""
    return BY_EXTENSION.get(os.path.splitext(os.fspath(name))[1].lower())


def format_named(word: str) -> str:
    """Return what `--format` calls a format by any of its names, in any case of letters."""
    word = word.strip().lower().removeprefix(".")
    return SYNONYMS.get(word, word)


def format_of_pillow(name: str | None) -> Format | None:
    """Return the format that Pillow calls by that name; None if it is not among ours."""
    return next((entry for entry in FORMATS if name in entry.pillow), None)
