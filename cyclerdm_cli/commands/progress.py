"""The progress bar: by tiles and files, only on a terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


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
            self._console.print(line, markup=False)

    def expect_tiles(self, count: int) -> None:
        """Begin a picture of so many tiles."""
        self._bars.reset(self._tiles, total=count, visible=True)

    def tile_done(self) -> None:
        """Count a tile."""
        self._bars.advance(self._tiles)

    def file_done(self) -> None:
        """Count a picture."""
        self._bars.advance(self._files)
