"""Scores kept line by line while a run goes on, so that an interrupted one goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from cyclerdm_cli.benchmark.results import PictureScore
from cyclerdm_cli.cycle.configuration import built
from cyclerdm_cli.errors import DataError


class Journal:
    """A file of one JSON object a line; a line that was cut short counts as not written.

    Each score is kept under a key made of all that decides it: pixels in, weights, settings, metrics. So scores of
    other weights or changed pictures are never taken for those asked for.
    """

    def __init__(self, path: Path | None, resume: bool) -> None:
        """Open the file; without `resume` an old one is emptied. None keeps nothing."""
        self._path = path
        self._known: dict[str, PictureScore] = {}
        self._stream: TextIO | None = None
        if path is None:
            return
        try:
            if resume and path.is_file():
                self._known = dict(_read(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("a" if resume else "w", encoding="utf-8")
            if resume and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
                self._stream.write("\n")
        except OSError as fault:
            raise DataError(f"{path}: cannot be written: {fault.strerror}") from fault

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def find(self, key: str) -> PictureScore | None:
        """Return a score that an earlier run left."""
        return self._known.get(key)

    def keep(self, key: str, score: PictureScore) -> None:
        """Write a score down, at once."""
        if self._stream is not None:
            self._stream.write(json.dumps({"key": key, **asdict(score)}) + "\n")
            self._stream.flush()

    def done(self) -> None:
        """Remove the file: all that it held is in the results."""
        if self._stream is not None and self._path is not None:
            self._stream.close()
            self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Line:
    """What a line holds besides the score."""

    key: str


def _read(path: Path) -> list[tuple[str, PictureScore]]:
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            key = built(_Line, values, others=True).key
            found.append((key, built(PictureScore, values, others=True)))
        except (ValueError, RecursionError):
            continue
    return found


def key_of(*parts: str) -> str:
    """Return a short name for all parts together."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def journal_of(results: Path) -> Path:
    """Return where the journal of a file of results lies: beside it."""
    return results.with_name(f"{results.name}.journal")
