"""Which parts of a picture are missing: from a mask file, the alpha channel, or pure white."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.listing import Input
from cyclerdm_cli.pictures.picture import Picture, to_depth
from cyclerdm_cli.pictures.reading import read_picture

THRESHOLD = 128


def read_mask(
    source: str | os.PathLike[str] | bytes, size: tuple[int, int], *, said_by: str = "auto", name: str = ""
) -> NDArray[np.bool_]:
    """Return a mask file, or the bytes of one, as (H, W) bool, True where the picture is to be filled in.

    Args:
        source: a path, or a whole file's bytes.
        size: (height, width) that the mask must have, upright.
        said_by: one of `formats.MASK_CHOICES`: "luma", the brightest of the three channels; "alpha", the opacity;
            "auto", the opacity where the colours are all one. At 8 bits, 128 or more is filled in.
        name: what messages call it; by default the path.

    Raises:
        PictureError: the file cannot be read, or has another size.
    """
    mask = read_picture(source, name=name)
    check_size(mask.size, size, name or str(source))
    return painted(mask, said_by)


def painted(mask: Picture, said_by: str = "auto") -> NDArray[np.bool_]:
    """Return where a mask is painted, (H, W) bool: white, or opaque."""
    luma = to_depth(mask.pixels, 8).max(axis=2) >= THRESHOLD
    if mask.alpha is None or said_by == "luma":
        return np.asarray(luma)
    opaque = np.asarray(to_depth(mask.alpha, 8) >= THRESHOLD)
    one_colour = bool((mask.pixels == mask.pixels[:1, :1]).all())
    by_alpha = said_by == "alpha" or (one_colour and not opaque.all())
    return opaque if by_alpha else np.asarray(luma)


def check_size(mask: tuple[int, ...], picture: tuple[int, int], name: str) -> None:
    """Raise PictureError where a mask of (height, width) is not as large as its picture."""
    if mask != picture:
        raise PictureError(
            f"{name}: the mask is {mask[1]} x {mask[0]} pixels, the picture {picture[1]} x {picture[0]}"
        )


def check_mask(mask: NDArray[np.bool_], name: str) -> NDArray[np.bool_]:
    """Return a mask that says something. Raises PictureError where it would fill in everything or nothing."""
    if mask.all() or not mask.any():
        amount = "everything" if mask.any() else "nothing"
        raise PictureError(
            f"{name}: would fill in {amount}", hint="white or opaque is filled in; see --mask-from"
        )
    return mask


def find_mask(place: str | os.PathLike[str], entry: Input) -> Path:
    """Return the mask for one input: the file itself, or the one of the input's name in a folder.

    In a folder the input's own name comes first, then its stem with any picture's extension, then the same in
    any case of letters and Unicode form; all below the same tree as the input, then at the top.

    Raises:
        PictureError: the folder holds none of these, or several that differ in case alone.
    """
    folder = Path(place)
    if not folder.is_dir():
        return folder
    if entry.path is None:
        raise PictureError("standard input has no name to find its mask by", hint="--mask FILE")
    for below in dict.fromkeys((os.path.dirname(entry.relative), "")):
        for name in (entry.path.name, *(entry.path.stem + extension for extension in BY_EXTENSION)):
            if (folder / below / name).is_file():
                return folder / below / name
        found = _named_alike(folder / below, entry.path)
        if len(found) > 1:
            raise PictureError(f"{entry.name}: {found[0]} and {found[1]} could both be its mask")
        if found:
            return folder / below / found[0]
    raise PictureError(f"{entry.name}: no mask of that name in {folder}")


def _named_alike(folder: Path, path: Path) -> list[str]:
    """Return the pictures in a folder whose names say the same: those of the whole name, or else of the stem."""
    try:
        whole, stems = _names_in(str(folder), folder.stat().st_mtime_ns)
    except OSError:
        return []
    return whole.get(_key(path.name)) or stems.get(_key(path.stem)) or []


@lru_cache(maxsize=256)
def _names_in(folder: str, changed: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return a folder's files under what their names say, and its pictures under what their stems do.

    Args:
        changed: when the folder did, so that it is listed anew then.
    """
    whole: dict[str, list[str]] = {}
    stems: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        stem, extension = os.path.splitext(name)
        whole.setdefault(_key(name), []).append(name)
        if extension.lower() in BY_EXTENSION:
            stems.setdefault(_key(stem), []).append(name)
    return whole, stems


def _key(name: str) -> str:
    """Return one spelling for all cases of letters and Unicode forms of a name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def mask_of(picture: Picture) -> NDArray[np.bool_] | None:
    """Return where a picture itself says that it is missing, (H, W) bool; None where it says nothing.

    Fully transparent pixels are missing. Without any, pixels that are pure white (all at the maximum).
    """
    if picture.alpha is not None and not picture.alpha.all():
        return np.asarray(picture.alpha == 0)
    red, green, blue = (picture.pixels[:, :, c] == np.iinfo(picture.pixels.dtype).max for c in range(3))
    white = np.asarray(red & green & blue)  # the least of three values takes six times as long
    return white if white.any() else None


def own_mask(picture: Picture) -> NDArray[np.bool_] | None:
    """Return the same, checked: raises PictureError where everything is missing."""
    mask = mask_of(picture)
    return None if mask is None else check_mask(mask, "what is transparent or white")
