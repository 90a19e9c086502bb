"""The inputs: files, folders, globs, lists in files, standard input; sorted as people count, each once."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.addresses import Address, found_at, is_address, placed
from cyclerdm_cli.pictures.atomic import is_temporary
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.lists import names_in

WILDCARDS = re.compile(r"[*?[]")
PREVIEWS = frozenset(("@eadir", "__macosx"))
"""Folders, in small letters, that machines put beside pictures for themselves; the rest of their kind is hidden."""
DIGITS = re.compile(r"([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Input:
    """One picture to read."""

    path: Path | None
    """None: standard input."""
    root: Path
    """The folder that was searched, or the file's own: the tree below it is kept."""
    found: bool = False
    """Whether a search came upon it, rather than the user naming it."""
    folder: bool = False
    """Whether it is a folder, named among others, in which there is nothing to do: it fails alone."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def relative(self) -> str:
        """The path below `root`."""
        if self.path is None:
            return ""
        root = str(self.root)
        path = str(self.path)
        return path if root == "." else path[len(root) :].lstrip(os.sep)


def list_inputs(arguments: Sequence[str], recursive: bool = False) -> list[Input]:
    """Return the inputs that the arguments name, in their order, each folder and glob in natural order.

    A file that is named but missing is listed all the same, as is a folder without pictures: it fails alone, and
    the others go on. In folders only names with a picture's extension count (a folder with such a name is taken for
    a mistake, if no pictures are in it or it is not searched); hidden files and the program's own temporary ones do
    not.

    Raises:
        UsageError: no folder named holds pictures, a glob matches nothing, a list is missing or empty.
    """
    inputs: dict[str, Input] = {}
    for argument in arguments:
        for entry in _inputs_of(argument, recursive):
            inputs.setdefault("-" if entry.path is None else "/" + os.path.abspath(entry.path), entry)
    if not inputs:
        raise UsageError("no pictures to work on")
    if all(entry.folder for entry in inputs.values()):
        first = next(iter(inputs.values()))
        hint = "" if recursive else "-r looks into the folders inside it"
        raise UsageError(f"{first.name}: the folder holds no pictures", hint=hint)
    return list(inputs.values())


def identity(path: str | os.PathLike[str]) -> tuple[int, int] | str | None:
    """Return what tells an existing file from every other, whatever its names; None where there is none."""
    if isinstance(path, Address):
        return str(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts `2.png` before `10.png`, and capitals among small letters."""
    texts = DIGITS.split(name.casefold())
    return [(int(text), "") if index % 2 else (0, text) for index, text in enumerate(texts)], name


def _inputs_of(argument: str, recursive: bool) -> Iterator[Input]:
    if argument == "":
        raise UsageError("an input's name is empty")
    if argument == "-":
        yield Input(None, Path("."))
    elif argument.startswith("@") and len(argument) > 1:
        for line in _lines(argument[1:]):
            yield from _literal(line, recursive)
    elif is_address(argument):
        yield from _remote(placed(argument), recursive)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        yield from _literal(argument, recursive)
    else:
        matches = sorted(glob.glob(argument, recursive=True), key=natural_key)
        matches = [match for match in matches if not is_passed_over(_matched_by(argument, match))]
        pictures = [
            match for match in matches if os.path.isdir(match) or _is_picture(os.path.basename(match))
        ]
        if not pictures:
            raise UsageError(f"{argument}: matches no pictures")
        # The tree that -r keeps begins where the wildcards do.
        fixed = Path(os.path.dirname(WILDCARDS.split(argument, maxsplit=1)[0]))
        for match in pictures:
            if not os.path.isdir(match):
                yield Input(Path(match), fixed if recursive else Path(match).parent, found=True)
            elif recursive:
                yield from _literal(match, recursive)


def _remote(where: Path, recursive: bool) -> Iterator[Input]:
    """List an address as its like in a folder would be."""
    if not isinstance(where, Address):
        yield from _inputs_of(str(where), recursive)
        return
    found = found_at(where, recursive)
    if found is None:
        yield Input(where, where.parent)
        return
    glob_like = WILDCARDS.search(str(where)) is not None
    fixed = Address(os.path.dirname(WILDCARDS.split(str(where), maxsplit=1)[0]))
    pictures = sorted((one for one in found if _is_picture(one.name)), key=lambda one: natural_key(str(one)))
    for one in pictures:
        yield Input(one, (fixed if recursive else one.parent) if glob_like else where, found=True)
    if not pictures:
        yield Input(where, where.parent, folder=True)


def _literal(name: str, recursive: bool) -> Iterator[Input]:
    if is_address(name):  # in a long list each would cost a question whether it is a folder
        where = placed(name)
        yield Input(where, where.parent)
        return
    if not os.path.isdir(name):
        path = Path(name)
        yield Input(path, path.parent)
        return
    root = Path(name)
    empty = True
    for folder, names in _walk(name, recursive):
        here = Path(folder)
        for found in names:
            empty = False
            yield Input(here / found, root, found=True)
    if empty:
        yield Input(root, root.parent, folder=True)


def _walk(top: str, recursive: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder with the names of its pictures, both in natural order."""

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    for folder, folders, names in os.walk(top, onerror=refuse):
        mistaken = [name for name in folders if _is_picture(name)]
        if recursive:
            mistaken = [name for name in mistaken if not _any_in(os.path.join(folder, name))]
        yield folder, sorted((*filter(_is_picture, names), *mistaken), key=natural_key)
        folders[:] = (
            sorted(
                (name for name in folders if not is_passed_over(name) and name not in mistaken),
                key=natural_key,
            )
            if recursive
            else []
        )


def _any_in(folder: str) -> bool:
    return any(names for _, names in _walk(folder, True))


def is_passed_over(name: str) -> bool:
    """Tell whether a search passes over a path: any part is hidden, or a folder of previews."""
    parts = (part for part in name.split(os.sep) if part not in ("", ".", ".."))
    return any(part.startswith(".") or part.casefold() in PREVIEWS for part in parts)


def _matched_by(pattern: str, match: str) -> str:
    """Return the part of a match that wildcards stood for: who names a hidden folder means it."""
    fixed = os.path.dirname(WILDCARDS.split(pattern, maxsplit=1)[0])
    wildcards = [part for part in pattern[len(fixed) :].split(os.sep) if part.startswith(".")]
    return "" if wildcards else match[len(fixed) :]


def _is_picture(name: str) -> bool:
    if name.startswith(".") or is_temporary(name):
        return False
    return os.path.splitext(name)[1].lower() in BY_EXTENSION


def _lines(name: str) -> list[str]:
    """Return the names in a list, in a file or, for "-", from standard input."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name}: the list cannot be read: {reason}") from error
    try:
        lines = names_in(data)
    except ValueError as error:
        raise UsageError(f"{name}: the list is not in the encoding that it begins with") from error
    if not lines:
        raise UsageError(f"{name}: the list is empty")
    return lines
