"""Lists of names in files, as shells, editors and `find -print0` write them."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.streams import read_pipe, read_stream

BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""The marks that lists begin with, and the encodings that they promise."""
COMMENT = "#"
"""Begins a line that is none, unless a file has that name."""
LONGEST_LIST, BEGINNING = 1 << 30, 4096
"""Bytes of a list, and those of them that must hold a name."""


def is_list(argument: str) -> bool:
    """Tell whether an argument names a list: "@" and its file, or "@-"."""
    return argument.startswith("@") and len(argument) > 1


def lists_in(arguments: Sequence[str]) -> list[Path]:
    """Return the files of names among the arguments."""
    names = [argument[1:] for argument in arguments if is_list(argument)]
    return [Path("/dev/stdin" if name == "-" else name) for name in names]


def read_list(name: str) -> list[str]:
    """Return the names in a list, in a file or a pipe or, for "-", from standard input."""
    data = _read_bytes(name)
    try:
        lines = names_in(data) if data[:BEGINNING].strip(b"\0\r\n") else []
    except ValueError as error:
        raise UsageError(f"{name}: the list is not in the encoding that it begins with") from error
    if not lines:
        raise UsageError(f"{name}: the list is empty")
    return lines


def _read_bytes(name: str) -> bytes:
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


def names_in(data: bytes) -> list[str]:
    """Return the names in a list: one a line (LF or CRLF), or ended by NUL; empty lines and comments left out.

    UTF-16 is told by its mark, as PowerShell writes it; without one, names are bytes as the system has them.

    Raises:
        ValueError: the mark promises an encoding that the rest does not keep to.
    """
    mark, encoding = next(
        ((mark, encoding) for mark, encoding in BOMS.items() if data.startswith(mark)), (b"", "")
    )
    data = data[len(mark) :]
    if encoding.startswith("utf-16"):
        lines = data.decode(encoding).splitlines()
    elif b"\0" in data:
        return [os.fsdecode(line) for line in data.split(b"\0") if line.strip()]
    else:
        lines = [os.fsdecode(line.removesuffix(b"\r")) for line in data.split(b"\n")]
    return [line for line in lines if line.strip() and not _is_comment(line)]


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENT) and not os.path.lexists(line)
