"""Which parts of a picture are missing: from a mask file, the alpha channel, or pure white."""

from __future__ import annotations

import os
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
    source: str | os.PathLike[str] | bytes, size: tuple[int, int], name: str = ""
) -> NDArray[np.bool_]:
    """Return a mask file, or the bytes of one, as (H, W) bool, True where the picture is to be filled in.

    White is fill in: the brightest of the three channels, at 8 bits, is 128 or more. Alpha plays no part.

    Args:
        source: a path, or a whole file's bytes.
        size: (height, width) that the mask must have, upright.
        name: what messages call it; by default the path.

    Raises:
        PictureError: the file cannot be read, or has another size.
    """
    mask = read_picture(source, name=name)
    if mask.size != size:
        raise PictureError(
            f"{name or source!s}: the mask is {mask.size[1]} x {mask.size[0]} pixels,"
            f" the picture {size[1]} x {size[0]}"
        )
    return np.asarray(to_depth(mask.pixels, 8).max(axis=2) >= THRESHOLD)


def find_mask(place: str | os.PathLike[str], entry: Input) -> Path:
    """Return the mask for one input: the file itself, or the one of the input's name in a folder.

    In a folder the input's own name comes first, then its stem with any picture's extension; both below the
    same tree as the input, then at the top.

    Raises:
        PictureError: the folder holds none of these.
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
    raise PictureError(f"{entry.name}: no mask of that name in {folder}")


def mask_of(picture: Picture) -> NDArray[np.bool_] | None:
    """Return where a picture itself says that it is missing, (H, W) bool; None where it says nothing.

    Fully transparent pixels are missing. Without any, pixels that are pure white (all at the maximum).
    """
    if picture.alpha is not None and not picture.alpha.all():
        return np.asarray(picture.alpha == 0)
    red, green, blue = (picture.pixels[:, :, c] == np.iinfo(picture.pixels.dtype).max for c in range(3))
    white = np.asarray(red & green & blue)  # the least of three values takes six times as long
    return white if white.any() else None
