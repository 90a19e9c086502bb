"""The progress bar: by tiles and files, only on a terminal."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from cyclerdm_cli.commands.reporting import put_line
from cyclerdm_cli.escapes import shown_name


class Progress:
    """Says things and shows how far the work is, on standard error."""

    def __init__(self, console: Console, files: int, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, disable=quiet or not console.is_terminal, transient=True,
        )  # fmt: skip
        self._files = self._bars.add_task("pictures", total=files, visible=files > 1)
        self._tiles = self._bars.add_task("tiles", total=None, visible=False)

    def __enter__(self) -> Progress:
        self._bars.start()
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

    def tile_done(self) -> None:
        """Count a tile."""
        self._bars.advance(self._tiles)

    def rest(self) -> None:
        """Show no picture, until one begins."""
        self._bars.update(self._tiles, visible=False)

    def file_done(self) -> None:
        """Count a picture."""
        self._bars.advance(self._files)


def _on_one_terminal() -> bool:
    try:
        output, words = sys.stdout.fileno(), sys.stderr.fileno()
        return os.isatty(output) and os.path.samestat(os.fstat(output), os.fstat(words))
    except (OSError, ValueError, AttributeError):
        return False
