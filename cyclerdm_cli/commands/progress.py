"""How far the work is: a bar by tiles and files on a terminal, or lines of JSON for programs that wrap it."""

from __future__ import annotations

import json
import os
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from cyclerdm_cli.commands.reporting import put_line, put_word_line
from cyclerdm_cli.escapes import shown_name

LINES_APART = 0.5
"""Seconds at least between two lines about the tiles of one picture."""


class Progress:
    """Says things and shows how far the work is, on standard error."""

    def __init__(self, console: Console, files: int, quiet: bool, kind: str = "auto") -> None:
        """Begin with so many files to do; `kind` is one of `completion.PROGRESS`."""
        self._console = console
        self._quiet = quiet
        self._lines = Lines(files) if kind == "json" else None
        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, disable=quiet or kind != "auto" or not console.is_terminal, transient=True,
        )  # fmt: skip
        self._files = self._bars.add_task("pictures", total=files, visible=files > 1)
        self._tiles = self._bars.add_task("tiles", total=None, visible=False)

    def __enter__(self) -> Progress:
        self._bars.start()
        if self._lines is not None:
            self._lines.put()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, line: str, always: bool = False) -> None:
        """Print a line for people; with --quiet only what must always be said."""
        if always or not self._quiet:
            self._console.print(shown_name(line), markup=False)

    def put(self, line: str) -> None:
        """Write a line of data: to standard output, or above the bar where both are on one terminal."""
        if not self._bars.disable and _on_one_terminal():
            self._console.print(shown_name(line), markup=False)
        else:
            put_line(line)

    def expect_tiles(self, count: int) -> None:
        """Begin a picture of so many tiles."""
        self._bars.reset(self._tiles, total=count, visible=True)
        if self._lines is not None:
            self._lines.expect_tiles(count)

    def tile_done(self) -> None:
        """Count a tile."""
        self._bars.advance(self._tiles)
        if self._lines is not None:
            self._lines.tile_done()

    def rest(self) -> None:
        """Show no picture, until one begins."""
        self._bars.update(self._tiles, visible=False)

    def file_done(self, name: str = "", status: str = "") -> None:
        """Count a picture."""
        self._bars.advance(self._files)
        if self._lines is not None:
            self._lines.file_done(name, status)


class Lines:
    """How far the work is, as one JSON object a line on standard error."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._tile, self._tiles = 0, 0
        self._began = self._said = time.monotonic()

    def expect_tiles(self, count: int) -> None:
        """Begin a picture of so many tiles."""
        self._tile, self._tiles = 0, count

    def tile_done(self) -> None:
        """Count a tile, and say so unless something was said a moment ago."""
        self._tile += 1
        if time.monotonic() - self._said >= LINES_APART:
            self.put()

    def file_done(self, name: str, status: str) -> None:
        """Count a picture and say so."""
        self._done += 1
        if self._done == self._total:
            self._tile = self._tiles = 0
        self.put(name, status)

    def put(self, file: str | None = None, status: str | None = None) -> None:
        """Say how far the work is; with a file, that it is done."""
        self._said = time.monotonic()
        seconds = self._said - self._began
        record = {
            "done": self._done, "total": self._total, "file": file, "status": status,
            "seconds": round(seconds, 3), "eta": self._eta(seconds), "tile": self._tile, "tiles": self._tiles,
        }  # fmt: skip
        put_word_line(json.dumps(record))

    def _eta(self, seconds: float) -> float | None:
        """Return how many seconds are left if the rest is as what is done; None where nothing is."""
        begun = self._tile / self._tiles if self._tiles else 0.0
        done = min(self._done + min(begun, 1.0), self._total)
        return round(seconds / done * (self._total - done), 3) if done else None


def _on_one_terminal() -> bool:
    try:
        output, words = sys.stdout.fileno(), sys.stderr.fileno()
        return os.isatty(output) and os.path.samestat(os.fstat(output), os.fstat(words))
    except (OSError, ValueError, AttributeError):
        return False
