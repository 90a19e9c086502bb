"""Which of the pictures that a search comes upon are worked on: patterns, and files called .cyclerdmignore."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.addresses import Address
from cyclerdm_cli.pictures.lists import names_in

IGNORE = ".cyclerdmignore"
LARGEST = 1 << 20
"""Bytes of a file of patterns."""
BY_PATTERNS, BY_FILE = "left out by --include or --exclude", f"left out by {IGNORE}"


@dataclass
class Selection:
    """What is taken of the pictures found in folders. Pictures that are named are always taken."""

    include: Sequence[str] = ()
    """Patterns of which one must match, if there are any."""
    exclude: Sequence[str] = ()
    """Patterns of which none must match."""
    _files: dict[Path, list[str]] = field(default_factory=dict)
    """The patterns in each folder that was looked into."""
    _rules: dict[tuple[str, str], list[tuple[int, list[str]]]] = field(default_factory=dict)
    """By root and folder below it: which patterns hold there, and how many characters below the root they begin."""

    @property
    def read(self) -> list[Path]:
        """The files of patterns that were read."""
        return [folder / IGNORE for folder, patterns in self._files.items() if patterns]

    def takes(self, root: Path, relative: str, passed_over: Counter[str]) -> bool:
        """Tell whether a picture is worked on.

        Args:
            root: the folder that is searched.
            relative: the picture's path below it.
            passed_over: is told of what is not.

        Raises:
            UsageError: a .cyclerdmignore cannot be read.
        """
        taken = not self.include or any(matches(one, relative) for one in self.include)
        if not taken or any(matches(one, relative) for one in self.exclude):
            passed_over[BY_PATTERNS] += 1
            return False
        if not isinstance(root, Address) and self._is_ignored(root, relative):
            passed_over[BY_FILE] += 1
            return False
        return True

    def _is_ignored(self, root: Path, relative: str) -> bool:
        """Tell what the files of patterns say, from `root` down: the last pattern that matches decides."""
        where = str(root), os.path.dirname(relative)
        rules = self._rules.get(where)
        if rules is None:
            rules = self._rules[where] = list(self._rules_in(root, where[1]))
        ignored = False
        for start, patterns in rules:
            for pattern in patterns:
                back = pattern.startswith("!")
                if ignored == back and matches(pattern.removeprefix("!"), relative[start:]):
                    ignored = not back
        return ignored

    def _rules_in(self, root: Path, below: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the patterns that hold in a folder, those of `root` first, each with where its paths begin."""
        parts = below.split(os.sep) if below else []
        for depth in range(len(parts) + 1):
            folder = root.joinpath(*parts[:depth])
            if folder not in self._files:
                self._files[folder] = _patterns_in(folder / IGNORE)
            if patterns := self._files[folder]:
                yield sum(len(part) + 1 for part in parts[:depth]), patterns


def matches(pattern: str, relative: str) -> bool:
    """Tell whether a pattern matches a path below a folder, or a folder on the way to it.

    A pattern with a slash is that of a path from the folder that is searched (`raw/*.jpg`, `/raw`), one without is
    that of a name anywhere (`*.png`, `raw`). A star stands for slashes too. Small and capital letters, and the
    Unicode forms of a name, are the same.
    """
    pattern, path = _plain(pattern), _plain(relative)
    while pattern.startswith("**/"):
        pattern = pattern[len("**/") :]
    pattern = pattern.removeprefix("./").rstrip("/")
    parts = path.split("/")
    if "/" not in pattern:
        return any(fnmatchcase(part, pattern) for part in parts)
    return any(fnmatchcase(place, pattern.lstrip("/")) for place in _places(parts))


def _places(parts: Sequence[str]) -> Iterator[str]:
    """Yield a path, and each folder on the way to it."""
    for count in range(len(parts), 0, -1):
        yield "/".join(parts[:count])


def _plain(name: str) -> str:
    """Return a name as it is compared."""
    return unicodedata.normalize("NFC", name.replace(os.sep, "/")).casefold()


def _patterns_in(path: Path) -> list[str]:
    """Return the patterns in a file, one a line; none where there is no file. Raises UsageError."""
    try:
        if not path.is_file():  # a pipe of that name would never end
            return []
        data = path.read_bytes()
        if len(data) > LARGEST:
            raise UsageError(f"{path}: is larger than {LARGEST >> 20} MiB")
        return [line.strip() for line in names_in(data)]
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise UsageError(f"{path}: is not in the encoding that it begins with") from fault
