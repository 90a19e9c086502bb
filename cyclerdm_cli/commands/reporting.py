"""What commands say: data on standard output, words for people on standard error, faults as one line."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

import typer
from rich.console import Console

from cyclerdm_cli.errors import CycleRDMError

P = ParamSpec("P")
INTERRUPTED = 130


def words() -> Console:
    """Return the console for people: standard error, without colours where NO_COLOR says so."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def put_record(record: dict[str, Any]) -> None:
    """Write one JSON object on a line of standard output."""
    put_line(json.dumps(record, ensure_ascii=False))


def put_line(line: str) -> None:
    """Write one line to standard output, at once; names that are no valid text survive."""
    sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.buffer.flush()


def as_line(fault: BaseException) -> str:
    """Return a fault in one line."""
    return " ".join(str(fault).split()) or type(fault).__name__


def faults_in_one_line(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command: a fault becomes one line and an exit status; CYCLERDM_DEBUG=1 shows the traceback."""

    @functools.wraps(command)
    def guarded(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            words().print("[bold]cyclerdm:[/] interrupted", markup=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of our output has gone, as `head` does: end quietly, as other tools do.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(128 + signal.SIGPIPE) from None
        except Exception as fault:
            if os.environ.get("CYCLERDM_DEBUG") == "1":
                raise
            status = fault.exit_status if isinstance(fault, CycleRDMError) else 1
            kind = "" if isinstance(fault, CycleRDMError) else f"unexpected {type(fault).__name__}: "
            words().print(f"cyclerdm: {kind}{as_line(fault)}", markup=False)
            raise typer.Exit(status) from None

    return guarded


@contextmanager
def warnings_to(say: Callable[[str], None]) -> Iterator[None]:
    """Pass each different warning on once, as a line."""
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = as_line(message) if isinstance(message, Warning) else message
        if line not in said:
            said.add(line)
            say(line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
