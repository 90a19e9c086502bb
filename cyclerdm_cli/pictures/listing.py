"""The inputs: files, folders, globs, lists in files, standard input; sorted as people count, each once."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.addresses import Address, found_at, is_address, placed
from cyclerdm_cli.pictures.atomic import is_temporary
from cyclerdm_cli.pictures.formats import BY_EXTENSION, RAW_EXTENSIONS
from cyclerdm_cli.pictures.lists import names_in
from cyclerdm_cli.pictures.selecting import Selection
from cyclerdm_cli.pictures.streams import is_special, read_pipe, read_stream

WILDCARDS = re.compile(r"[*?[]")
PREVIEWS = frozenset(("@eadir", "__macosx"))
"""Folders, in small letters, that machines put beside pictures for themselves; the rest of their kind is hidden."""
OTHER_PICTURES = {
    ".gif": "GIF", ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".jxl": "JPEG XL", ".psd": "PSD", ".svg": "SVG",
    ".exr": "EXR", ".hdr": "HDR", ".tga": "TGA", ".ico": "ICO", ".pdf": "PDF",
}  # fmt: skip
"""Pictures of formats that are not read here, as searches tell of them."""
LONGEST_LIST, BEGINNING = 1 << 30, 4096
"""Bytes of a list, and those of them that must hold a name."""
SUBFOLDER, LINKED, SPECIAL = "subfolder", "linked folder", "pipe or device"
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
        for entry in _inputs_of(argument, recursive, passed_over):
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
    for folder, names in _walk(str(root), recursive, passed_over, refuse, leaves):
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


def said_of(passed_over: Mapping[str, int]) -> str:
    """Return in words what was passed over: `2 GIF, 3 subfolders (see -r)`."""
    plural = {SUBFOLDER: "subfolders", LINKED: "linked folders", SPECIAL: "pipes or devices"}
    return ", ".join(
        f"{count} {plural.get(kind, kind) if count > 1 else kind}{' (see -r)' if kind == SUBFOLDER else ''}"
        for kind, count in sorted(passed_over.items())
        if count
    )


def lists_in(arguments: Sequence[str]) -> list[Path]:
    """Return the files of names among the arguments."""
    names = [argument[1:] for argument in arguments if _is_list(argument)]
    return [Path("/dev/stdin" if name == "-" else name) for name in names]


def files_in(place: Path | None) -> list[Path]:
    """Return a file, or those of a folder such as that of masks."""
    if place is None or not place.is_dir():
        return [] if place is None else [place]
    return [Path(folder, name) for folder, _, names in os.walk(place) for name in names]


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts `2.png` before `10.png`, and capitals among small letters."""
    texts = DIGITS.split(name.casefold())
    return [(int(text), "") if index % 2 else (0, text) for index, text in enumerate(texts)], name


def _inputs_of(argument: str, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
    if argument == "":
        raise UsageError("an input's name is empty")
    if argument == "-":
        yield Input(None, Path("."))
    elif _is_list(argument):
        for line in _lines(argument[1:]):
            yield from _literal(line, recursive, passed_over)
    elif is_address(argument):
        yield from _remote(placed(argument), recursive, passed_over)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        yield from _literal(argument, recursive, passed_over)
    else:
        yield from _matched(argument, recursive, passed_over)


def _matched(pattern: str, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
    """List what wildcards match."""
    matches = [
        match
        for match in sorted(glob.glob(pattern, recursive=True), key=natural_key)
        if not is_passed_over(_matched_by(pattern, match))
    ]
    folders = {match for match in matches if os.path.isdir(match)}
    pictures = [
        match for match in matches if match in folders or _counts(match, is_special(match), passed_over)
    ]
    if not pictures:
        raise UsageError(f"{pattern}: matches no pictures", hint=said_of(passed_over))
    # The tree that -r keeps begins where the wildcards do.
    fixed = Path(os.path.dirname(WILDCARDS.split(pattern, maxsplit=1)[0]))
    for match in pictures:
        if match not in folders:
            yield Input(Path(match), fixed if recursive else Path(match).parent, found=True)
        elif recursive:
            yield from _literal(match, recursive, passed_over)
        else:
            passed_over[SUBFOLDER] += 1


def _is_list(argument: str) -> bool:
    return argument.startswith("@") and len(argument) > 1


def _remote(where: Path, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
    """List an address as its like in a folder would be."""
    if not isinstance(where, Address):
        yield from _inputs_of(str(where), recursive, passed_over)
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
    if not pictures and glob_like:
        raise UsageError(f"{where}: matches no pictures")
    if not pictures:
        yield Input(where, where.parent, folder=True)


def _literal(name: str, recursive: bool, passed_over: Counter[str]) -> Iterator[Input]:
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
    for folder, names in _walk(name, recursive, passed_over):
        here = Path(folder)
        for found in names:
            empty = False
            yield Input(here / found, root, found=True)
    if empty:
        yield Input(root, root.parent, folder=True)


def _refuse(error: OSError) -> None:
    """Raise UsageError over a folder that cannot be listed."""
    raise UsageError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def _walk(
    top: str,
    recursive: bool,
    passed_over: Counter[str],
    refuse: Callable[[OSError], None] = _refuse,
    leaves: Callable[[str], bool] = lambda folder: False,
) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder with the names of its pictures, both in natural order; not those below what it `leaves`."""
    for folder, folders, names in os.walk(top, onerror=refuse):
        folders[:] = [name for name in folders if not leaves(os.path.join(folder, name))]
        mistaken = [name for name in folders if _is_picture(name)]
        if recursive:
            mistaken = [name for name in mistaken if not _any_in(os.path.join(folder, name))]
        special = _special_in(folder)
        pictures = [name for name in names if _counts(name, name in special, passed_over)]
        yield folder, sorted((*pictures, *mistaken), key=natural_key)
        inside = sorted(
            (name for name in folders if not is_passed_over(name) and name not in mistaken), key=natural_key
        )
        folders[:] = inside if recursive else []
        if not recursive:
            passed_over[SUBFOLDER] += len(inside)
        elif linked := sum(os.path.islink(os.path.join(folder, name)) for name in inside):
            passed_over[LINKED] += linked


def _any_in(folder: str) -> bool:
    return any(names for _, names in _walk(folder, True, Counter()))


def _special_in(folder: str) -> set[str]:
    """Return the names in a folder that are of pictures and lead to pipes, sockets or devices."""
    with os.scandir(folder) as entries:
        return {
            entry.name
            for entry in entries
            if _is_picture(entry.name)
            and not entry.is_file(follow_symlinks=False)  # which costs no question to the system
            and is_special(entry.path)
        }


def _counts(name: str, special: bool, passed_over: Counter[str]) -> bool:
    """Tell whether a search takes a file for a picture to work on; note other pictures by their kinds."""
    extension = os.path.splitext(name)[1].lower()
    picture = _is_picture(os.path.basename(name))
    if picture and not special:
        return True
    kind = SPECIAL if picture else "RAW" if extension in RAW_EXTENSIONS else OTHER_PICTURES.get(extension)
    if kind is not None and not os.path.basename(name).startswith("."):
        passed_over[kind] += 1
    return False


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
    """Return the names in a list, in a file or a pipe or, for "-", from standard input."""
    data = _list_bytes(name)
    try:
        lines = names_in(data) if data[:BEGINNING].strip(b"\0\r\n") else []
    except ValueError as error:
        raise UsageError(f"{name}: the list is not in the encoding that it begins with") from error
    if not lines:
        raise UsageError(f"{name}: the list is empty")
    return lines


def _list_bytes(name: str) -> bytes:
    """Return what is in a list, a file or a pipe of no more than `LONGEST_LIST` bytes."""
    try:
        if name == "-":
            return read_stream(sys.stdin.buffer, "standard input", LONGEST_LIST, pictures=False)
        found = os.stat(name)
        if stat.S_ISFIFO(found.st_mode):
            return read_pipe(Path(name), LONGEST_LIST, pictures=False)
        if stat.S_ISREG(found.st_mode) and found.st_size > LONGEST_LIST:
            raise UsageError(f"{name}: the list is larger than {LONGEST_LIST >> 20} MiB")
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise UsageError(f"{name}: the list is not a file")
        return Path(name).read_bytes()
    except PictureError as error:
        raise UsageError(str(error)) from error
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name}: the list cannot be read: {reason}") from error
