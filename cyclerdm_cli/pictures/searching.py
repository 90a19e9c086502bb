"""What a search of folders takes for pictures and what it passes over; in natural order."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.atomic import is_temporary
from cyclerdm_cli.pictures.formats import BY_EXTENSION, RAW_EXTENSIONS
from cyclerdm_cli.pictures.streams import is_special

PREVIEWS = frozenset(("@eadir", "__macosx"))
"""Folders, in small letters, that machines put beside pictures for themselves; the rest of their kind is hidden."""
OTHER_PICTURES = {
    ".gif": "GIF", ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".jxl": "JPEG XL", ".psd": "PSD", ".svg": "SVG",
    ".exr": "EXR", ".hdr": "HDR", ".tga": "TGA", ".ico": "ICO", ".pdf": "PDF",
}  # fmt: skip
"""Pictures of formats that are not read here, as searches tell of them."""
SUBFOLDER, LINKED, SPECIAL = "subfolder", "linked folder", "pipe or device"
"""Kinds of what is left alone that are no pictures."""
DIGITS = re.compile(r"([0-9]{1,18})")
"""Numbers in names, as they are sorted by."""


def _refuse(error: OSError) -> None:
    """Raise UsageError over a folder that cannot be listed."""
    raise UsageError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def walk(
    top: str,
    recursive: bool,
    passed_over: Counter[str],
    refuse: Callable[[OSError], None] = _refuse,
    leaves: Callable[[str], bool] = lambda folder: False,
) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder with the names of its pictures, both in natural order; not those below what it `leaves`."""
    for folder, folders, names in os.walk(top, onerror=refuse):
        folders[:] = [name for name in folders if not leaves(os.path.join(folder, name))]
        mistaken = [name for name in folders if is_picture(name)]
        if recursive:
            mistaken = [name for name in mistaken if not _holds_pictures(os.path.join(folder, name))]
        special = _find_special(folder)
        pictures = [name for name in names if counts_as_picture(name, name in special, passed_over)]
        yield folder, sorted((*pictures, *mistaken), key=natural_key)
        inside = sorted(
            (name for name in folders if not is_passed_over(name) and name not in mistaken), key=natural_key
        )
        folders[:] = inside if recursive else []
        if not recursive:
            passed_over[SUBFOLDER] += len(inside)
        elif linked := sum(os.path.islink(os.path.join(folder, name)) for name in inside):
            passed_over[LINKED] += linked


def counts_as_picture(name: str, special: bool, passed_over: Counter[str]) -> bool:
    """Tell whether a search takes a file for a picture to work on; note other pictures by their kinds."""
    extension = os.path.splitext(name)[1].lower()
    picture = is_picture(os.path.basename(name))
    if picture and not special:
        return True
    kind = SPECIAL if picture else "RAW" if extension in RAW_EXTENSIONS else OTHER_PICTURES.get(extension)
    if kind is not None and not os.path.basename(name).startswith("."):
        passed_over[kind] += 1
    return False


def is_picture(name: str) -> bool:
    """Tell whether a name in a folder is that of a picture, and neither hidden nor of a temporary file."""
    if name.startswith(".") or is_temporary(name):
        return False
    return os.path.splitext(name)[1].lower() in BY_EXTENSION


def is_passed_over(name: str) -> bool:
    """Tell whether a search passes over a path: any part is hidden, or a folder of previews."""
    parts = (part for part in name.split(os.sep) if part not in ("", ".", ".."))
    return any(part.startswith(".") or part.casefold() in PREVIEWS for part in parts)


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts `2.png` before `10.png`, and capitals among small letters."""
    texts = DIGITS.split(name.casefold())
    return [(int(text), "") if index % 2 else (0, text) for index, text in enumerate(texts)], name


def said_of(passed_over: Mapping[str, int]) -> str:
    """Return in words what was passed over: `2 GIF, 3 subfolders (see -r)`."""
    plural = {SUBFOLDER: "subfolders", LINKED: "linked folders", SPECIAL: "pipes or devices"}
    return ", ".join(
        f"{count} {plural.get(kind, kind) if count > 1 else kind}{' (see -r)' if kind == SUBFOLDER else ''}"
        for kind, count in sorted(passed_over.items())
        if count
    )


def _holds_pictures(folder: str) -> bool:
    return any(names for _, names in walk(folder, True, Counter()))


def _find_special(folder: str) -> set[str]:
    """Return the names in a folder that are of pictures and lead to pipes, sockets or devices."""
    with os.scandir(folder) as entries:
        return {
            entry.name
            for entry in entries
            if is_picture(entry.name)
            and not entry.is_file(follow_symlinks=False)  # which costs no question to the system
            and is_special(entry.path)
        }
