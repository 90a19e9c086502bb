"""What is wrong with a file that cannot be read, in one plain line with its name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeVar

from PIL import UnidentifiedImageError

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.formats import TITLES

T = TypeVar("T")
STARTS_OF_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"BM")
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def with_plain_faults(data: bytes, name: str, work: Callable[[bytes], T]) -> T:
    """Return what `work` makes of a file's bytes; all that it raises becomes a PictureError with the name."""
    if not data:
        raise PictureError(f"{name}: the file is empty")
    try:
        return work(data)
    except PictureError as error:
        raise PictureError(f"{name}: {Exception.__str__(error)}", error.hint) from error
    except MemoryError as error:
        raise PictureError(f"{name}: not enough memory to decode it") from error
    except Exception as error:
        # Pillow's plugins raise a dozen types over damaged files, struct.error among them.
        raise _plain(name, data, error) from error


def _plain(name: str, data: bytes, error: Exception) -> PictureError:
    """Turn what a decoder raised into one line for people."""
    words = " ".join(str(error).split())
    if isinstance(error, UnidentifiedImageError):
        if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS and find_spec("pillow_heif") is None:
            return PictureError(f"{name}: HEIC needs pillow-heif", hint="pip install pillow-heif")
        # What begins like a picture and is none to Pillow, is one no longer.
        if data.startswith(STARTS_OF_PICTURES) or data[8:12] == b"WEBP" or data[4:8] == b"ftyp":
            return PictureError(f"{name}: the picture is damaged or cut short")
        return PictureError(f"{name}: not a picture of a format read here", hint=TITLES)
    short = data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)
    if short or any(word in words.lower() for word in ("truncated", "end of file", "not enough")):
        return PictureError(f"{name}: the picture is cut short")
    return PictureError(f"{name}: the picture is damaged: {words or type(error).__name__}")
