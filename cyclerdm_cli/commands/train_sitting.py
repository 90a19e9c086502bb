"""One sitting of a training, whatever is trained: what it says, how it is stopped, and where it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import typer

from cyclerdm_cli.commands.reporting import INTERRUPTED, words
from cyclerdm_cli.commands.stopping import stopping_on_signals

ONE_SIGNAL = 1.0
"""Seconds within which two signals are one: torchrun passes on to its processes what the terminal sent them too."""


class Sitting(NamedTuple):
    """What a training is given for the time that it works."""

    say: Callable[[str], None]
    """Takes lines for people."""
    stopped: Callable[[], bool]
    """Tells whether to end in good order, which may take as long as it must."""


@contextmanager
def sitting(out: Path) -> Iterator[Sitting]:
    """Have a training end in good order at the first signal, at once at the second.

    Raises typer.Exit at its end where it was stopped, after a word about how it goes on.

    Args:
        out: its folder.
    """
    console = words()
    resumed = f"the same command with --resume goes on in {out}"
    with stopping_on_signals(
        lambda: console.print("ending; once more ends at once"),
        grace=None,
        one_signal=ONE_SIGNAL,
        last_words=lambda: f"{resumed} from the last checkpoint",
    ) as stopped:
        yield Sitting(lambda line: console.print(line, markup=False), stopped)
        interrupted = stopped()
    if interrupted:
        console.print(f"stopped; {resumed}", markup=False)
        raise typer.Exit(INTERRUPTED)
