"""The inputs: files, folders, globs, lists in files, standard input; sorted as people count, each once."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.addresses import Address, found_at, is_address, placed
from cyclerdm_cli.pictures.lists import is_list, read_list
from cyclerdm_cli.pictures.searching import (
    SUBFOLDER,
    counts_as_picture,
    is_passed_over,
    is_picture,
    natural_key,
    said_of,
    walk,
)
from cyclerdm_cli.pictures.selecting import Selection
from cyclerdm_cli.pictures.streams import is_special

WILDCARDS = re.compile(r"[*?[]")
"""What makes a name a pattern."""


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


def list_inputs(
    arguments: Sequence[str],
    recursive: bool = False,
    passed_over: Counter[str] | None = None,
    selection: Selection | None = None,
) -> list[Input]:
    """Return the inputs that the arguments name, in their order, each folder and glob in natural order.

    A file that is named but missing is listed all the same, as is a folder without pictures: it fails alone, and
    the others go on. In folders only names with a picture's extension count (a folder with such a name is taken for
    a mistake, if no pictures are in it or it is not searched); hidden files and the program's own temporary ones do
    not, nor do pipes, sockets and devices.

    Args:
        arguments: as after the command.
        recursive: whether folders inside folders are searched.
        passed_over: is told what a search came upon and left alone, by its kind.
        selection: which of what a search comes upon is taken; None: all.

    Raises:
        UsageError: no folder named holds pictures, a glob matches nothing, a list is missing or empty, nothing is
            left of what was found.
    """
    inputs: dict[str, Input] = {}
    passed_over = Counter() if passed_over is None else passed_over
    for argument in arguments:
        for entry in _list_argument(argument, recursive, passed_over):
            if selection and entry.found and not selection.takes(entry.root, entry.relative, passed_over):
                continue
            inputs.setdefault("-" if entry.path is None else "/" + os.path.abspath(entry.path), entry)
    if not inputs:
        left = said_of(passed_over)
        raise UsageError("no pictures to work on", hint=f"passed over: {left}" if left else "")
    if all(entry.folder for entry in inputs.values()):
        first = next(iter(inputs.values()))
        hint = "" if recursive else "-r looks into the folders inside it"
        if left := said_of(passed_over):
            hint = f"passed over: {left}"
        raise UsageError(f"{first.name}: the folder holds no pictures", hint=hint)
    return list(inputs.values())


def pictures_below(
    root: Path,
    recursive: bool,
    passed_over: Counter[str],
    refuse: Callable[[OSError], None],
    leaves: Callable[[str], bool],
) -> Iterator[Input]:
    """Yield the pictures in a folder that others are at work in, as a search finds them.

    Args:
        root: the folder.
        recursive: whether folders inside it are searched.
        passed_over: is told what is left alone, by its kind.
        refuse: is told of each folder that cannot be listed.
        leaves: tells of a folder whether nothing below it is wanted.

    Raises:
        OSError: a folder went away meanwhile.
    """
    for folder, names in walk(str(root), recursive, passed_over, refuse, leaves):
        for name in names:
            yield Input(Path(folder, name), root, found=True)


def as_frames(inputs: Sequence[Input]) -> list[Input]:
    """Return inputs folder after folder, in each in natural order, however they were named.

    Raises UsageError for standard input, which has no place among frames.
    """
    folders: dict[Path, int] = {}
    for entry in inputs:
        if entry.path is None:
            raise UsageError(
                "--sequence: standard input is no frame of a sequence", hint="a folder of frames"
            )
        folders.setdefault(entry.path.parent, len(folders))

    def key(entry: Input) -> tuple[int, tuple[list[tuple[int, str]], str]]:
        assert entry.path is not None
        return folders[entry.path.parent], natural_key(entry.path.name)

    return sorted(inputs, key=key)


def files_in(place: Path | None) -> list[Path]:
    """Return a file, or those of a folder such as that of masks."""
    if place is None or not place.is_dir():
        return [] if place is None else [place]
    return [Path(folder, name) for folder, _, names in os.walk(place) for name in names]


def _list_argument(argument: str, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
    """List what one argument names."""
    if argument == "":
        raise UsageError("an input's name is empty")
    if argument == "-":
        yield Input(None, Path("."))
    elif is_list(argument):
        for line in read_list(argument[1:]):
            yield from _list_name(line, recursive, passed_over)
    elif is_address(argument):
        yield from _list_address(placed(argument), recursive, passed_over)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        yield from _list_name(argument, recursive, passed_over)
    else:
        yield from _list_matches(argument, recursive, passed_over)


def _list_matches(pattern: str, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
    """List what wildcards match."""
    matches = [
        match
        for match in sorted(glob.glob(pattern, recursive=True), key=natural_key)
        if not is_passed_over(_keep_what_wildcards_matched(pattern, match))
    ]
    folders = {match for match in matches if os.path.isdir(match)}
    pictures = [
        match
        for match in matches
        if match in folders or counts_as_picture(match, is_special(match), passed_over)
    ]
    if not pictures:
        raise UsageError(f"{pattern}: matches no pictures", hint=said_of(passed_over))
    # The tree that -r keeps begins where the wildcards do.
    fixed = Path(os.path.dirname(WILDCARDS.split(pattern, maxsplit=1)[0]))
    for match in pictures:
        if match not in folders:
            yield Input(Path(match), fixed if recursive else Path(match).parent, found=True)
        elif recursive:
            yield from _list_name(match, recursive, passed_over)
        else:
            passed_over[SUBFOLDER] += 1


def _list_address(where: Path, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
    """List an address as its like in a folder would be."""
    if not isinstance(where, Address):
        yield from _list_argument(str(where), recursive, passed_over)
        return
    found = found_at(where, recursive)
    if found is None:
        yield Input(where, where.parent)
        return
    glob_like = WILDCARDS.search(str(where)) is not None
    fixed = Address(os.path.dirname(WILDCARDS.split(str(where), maxsplit=1)[0]))
    pictures = sorted((one for one in found if is_picture(one.name)), key=lambda one: natural_key(str(one)))
    for one in pictures:
        yield Input(one, (fixed if recursive else one.parent) if glob_like else where, found=True)
    if not pictures and glob_like:
        raise UsageError(f"{where}: matches no pictures")
    if not pictures:
        yield Input(where, where.parent, folder=True)


def _list_name(name: str, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
    """List a file, or the pictures of a folder; no sign in the name stands for anything but itself."""
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
    for folder, names in walk(name, recursive, passed_over):
        here = Path(folder)
        for found in names:
            empty = False
            yield Input(here / found, root, found=True)
    if empty:
        yield Input(root, root.parent, folder=True)


def _keep_what_wildcards_matched(pattern: str, match: str) -> str:
    """Return the part of a match that wildcards stood for: who names a hidden folder means it."""
    fixed = os.path.dirname(WILDCARDS.split(pattern, maxsplit=1)[0])
    wildcards = [part for part in pattern[len(fixed) :].split(os.sep) if part.startswith(".")]
    return "" if wildcards else match[len(fixed) :]
