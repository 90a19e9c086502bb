"""Weights for a command: found here or fetched, with a bar on a terminal and lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from cyclerdm_cli.weights.choosing import Choice, choose
from cyclerdm_cli.weights.ensuring import ensure
from cyclerdm_cli.weights.entry import Entry

if TYPE_CHECKING:
    from cyclerdm_cli.weights.fetching import Watcher


def find_weights(
    name_or_file: str | None, task: str, console: Console, *, offline: bool, quiet: bool
) -> Choice:
    """Return the weights of a task, their file checked, and fetched where it is not here.

    Raises:
        UsageError: there are none for the task in what was asked for.
        WeightsError: unknown, damaged, or not to be had.
    """
    choice = choose(name_or_file, task)
    if choice.entry is not None:
        bring(choice.entry, console, offline=offline, quiet=quiet)
    return choice


def bring(entry: Entry, console: Console, *, offline: bool, quiet: bool, bar: bool = True) -> None:
    """Make sure that an entry's file is here and right. Raises WeightsError where it cannot be had.

    `bar` is to be False where another bar may be on the terminal: there is room for one.
    """
    ensure(entry, offline=offline, watching=lambda: _watched(entry, console, quiet, bar))


@contextmanager
def _watched(entry: Entry, console: Console, quiet: bool, bar: bool) -> Iterator[Watcher]:
    """Show a fetch; entered only when there is one."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from cyclerdm_cli.weights.fetching import Watcher

    def say(line: str) -> None:
        if not quiet:
            console.print(line, markup=False)

    say(f"fetching the weights {entry.name}, {entry.bytes / 2**20:.1f} MiB (licence: {entry.licence})")
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True),
        TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=console, disable=quiet or not (bar and console.is_terminal), transient=True
    ) as bars:
        shown = bars.add_task(entry.name, total=entry.bytes)
        yield Watcher(say, lambda there: bars.update(shown, completed=there))
