"""How results are written: format, quality, depth; and what that means for one picture."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageColor

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.formats import BY_NAME, DEPTH_CHOICES, FORMAT_CHOICES, Format
from cyclerdm_cli.pictures.picture import Picture


@dataclass(frozen=True)
class WriteOptions:
    """How results are written; checked once, here."""

    format: str = "keep"
    """One of `FORMAT_CHOICES`, or "bmp" and "heic" where the output's own name says so."""
    quality: int | None = None
    """1 to 100; None: a JPEG's own or 90, whichever is more; a lossless WebP stays so; else a good default."""
    depth: str | int = "keep"
    """Bits a channel: "keep", 8 or 16."""
    strip_metadata: bool = False
    """Leave EXIF, XMP and ICC profile out; the pixels are then sRGB, so that colours stay."""
    background: str = "white"
    """What transparent pictures are laid on in formats without transparency: a colour as CSS writes it."""

    def __post_init__(self) -> None:
        if self.format != "keep" and self.format not in BY_NAME:
            raise UsageError(
                f"format {self.format!r} is not written", hint=f"one of: {', '.join(FORMAT_CHOICES)}"
            )
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"quality {self.quality} is not between 1 and 100")
        if self.depth not in DEPTH_CHOICES:
            raise UsageError(f"depth {self.depth!r} is none of keep, 8, 16")
        try:
            ImageColor.getrgb(self.background)
        except ValueError as error:
            raise UsageError(
                f"background {self.background!r} is no colour", hint="a name such as white, or #rrggbb"
            ) from error


def format_of(picture: Picture, options: WriteOptions) -> Format:
    """Return the format that a picture is written in."""
    return BY_NAME[picture.format if options.format == "keep" else options.format]


def keeps_floats(picture: Picture, options: WriteOptions) -> bool:
    """Tell whether samples in floating point are written as such."""
    plain = options.depth == "keep" and not options.strip_metadata
    return picture.floating and plain and format_of(picture, options).name == "tiff"
