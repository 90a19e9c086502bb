"""What commands say: data on standard output, words for people on standard error, faults as one line."""

from __future__ import annotations

import functools
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, ParamSpec, TextIO, cast

import typer
from rich.console import Console

from cyclerdm_cli.errors import CycleRDMError, RestoringWarning
from cyclerdm_cli.escapes import shown, to_json

P = ParamSpec("P")
INTERRUPTED = 130
STANDARD_ERROR = 2
PACKAGE = str(Path(__file__).parents[1])


class _Lenient:
    """A stream for words; where they cannot be written any more, the work goes on without."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Words(Console):
    """A console that shows what strangers wrote, such as file names, and never obeys it."""

    def print(self, *things: Any, **options: Any) -> None:
        super().print(*(shown(one) if isinstance(one, str) else one for one in things), **options)


def words() -> Console:
    """Return the console for people: standard error, without colours where NO_COLOR says so."""
    stream = None if sys.stderr is None else cast(TextIO, _Lenient(sys.stderr))
    return _Words(file=stream, stderr=True, soft_wrap=True, highlight=False)


class OutputError(CycleRDMError):
    """Standard output does not take what was found out."""


def put_record(record: dict[str, Any]) -> None:
    """Write one JSON object on a line of standard output."""
    put_line(to_json(record))


def put_line(line: str) -> None:
    """Write one line to standard output, at once; names keep their bytes, but on a terminal.

    Raises:
        BrokenPipeError: who read it has gone. OutputError: it cannot be written.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        line = shown(line)
    put_bytes(line.encode("utf-8", "surrogateescape") + b"\n")


def put_word_line(line: str) -> None:
    """Write one line to standard error as it is; where that cannot be written any more, the work goes on."""
    if sys.stderr is not None:
        stream = _Lenient(sys.stderr)
        stream.write(line + "\n")
        stream.flush()


def put_bytes(data: bytes) -> None:
    """Write bytes to standard output, at once; nothing where it was closed from the start. Raises as `put_line`."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as fault:
        _discard_output()
        reason = getattr(fault, "strerror", None) or str(fault)
        raise OutputError(f"standard output cannot be written: {reason}") from fault


def _discard_output() -> None:
    """Lead standard output nowhere, so that what is left in its buffer is no second fault at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_line(fault: BaseException) -> str:
    """Return a fault in one line."""
    return " ".join(part.strip() for part in str(fault).split("\n")).strip() or type(fault).__name__


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
            _discard_output()
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
    """Pass each different warning of this program on once, as a line; those of libraries only to debug."""
    said: set[str] = set()

    def show(
        message: Warning | str, category: type[Warning] = UserWarning, filename: str = "", *_: Any, **__: Any
    ) -> None:
        line = as_line(message) if isinstance(message, Warning) else message
        if line not in said and _is_ours(line, category, filename):
            said.add(line)
            say(line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


@contextmanager
def libraries_silent() -> Iterator[None]:
    """Lead nowhere what decoders in C write to standard error themselves; CYCLERDM_DEBUG=1 shows it."""
    try:
        real = sys.stderr.fileno() == STANDARD_ERROR and os.environ.get("CYCLERDM_DEBUG") != "1"
    except (AttributeError, OSError, ValueError):
        real = False
    if not real:
        yield
        return
    before, kept = sys.stderr, os.dup(STANDARD_ERROR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    stream = os.fdopen(kept, "wb", buffering=0, closefd=False)
    sys.stderr = TextIOWrapper(stream, before.encoding, "backslashreplace", line_buffering=True)
    os.dup2(nowhere, STANDARD_ERROR)
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        sys.stderr = before
        os.dup2(kept, STANDARD_ERROR)
        os.close(kept)
        os.close(nowhere)


def _is_ours(line: str, category: type[Warning], filename: str) -> bool:
    if os.environ.get("CYCLERDM_DEBUG") == "1":
        return True
    # Libraries in C++ warn in the name of whoever called them; torch then says where it was.
    ours = category in (UserWarning, RestoringWarning)
    return ours and filename.startswith(PACKAGE) and "Triggered internally" not in line
