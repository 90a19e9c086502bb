"""Lists of names in files, as shells, editors and `find -print0` write them."""

from __future__ import annotations

import codecs
import os

BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
COMMENT = "#"
"""Begins a line that is none, unless a file has that name."""


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
