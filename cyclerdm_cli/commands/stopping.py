"""Ctrl-C, SIGTERM, a closed terminal: the first asks the work to end in good order, the second ends it at once.

Python hears a signal only between two steps of its main thread, which may be in the middle of a long computation.
So a thread of its own listens too, and sees to it that the process ends in any case. Processes that are forked
meanwhile hear the same signals, say nothing, and leave the decision to this one.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from cyclerdm_cli.commands.reporting import INTERRUPTED

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
GRACE = 2.0
"""Seconds in which the work must have ended in good order."""
CLUSTER_GRACE = 15.0
"""The same where workers on other machines must hear of it, and a cluster be left."""
ONE_SIGNAL = 0.1
"""Seconds within which two signals are one: `timeout` and terminals send it to a process and to its group."""
WITH_SKIP_EXISTING = "the same command with --skip-existing goes on from here"
SHOW_CURSOR, CLEAR_LINE = "\x1b[?25h", "\r\x1b[K"


@contextmanager
def stopping_on_signals(
    say: Callable[[], None],
    grace: float | None = GRACE,
    last_words: Callable[[], str] = lambda: WITH_SKIP_EXISTING,
    *,
    one_signal: float = ONE_SIGNAL,
) -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether the work shall end.

    Args:
        say: called when that begins to be so.
        grace: seconds after the first signal until the process ends in any case; None waits for the second one.
        last_words: what people are told where the process had to be ended.
        one_signal: seconds within which two signals are one.
    """
    asked: list[int] = []

    owner = os.getpid()

    def ask(number: int, _: object) -> None:
        if not asked and os.getpid() == owner:
            asked.append(number)
            say()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    # Who was started with a signal ignored, as by nohup, goes on ignoring it.
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heeded = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    with _ending_in_any_case(heeded, grace, one_signal, last_words):
        for number in heeded:
            signal.signal(number, ask)
        try:
            yield lambda: bool(asked)
        finally:
            for number in heeded:
                signal.signal(number, before[number])


@contextmanager
def _ending_in_any_case(
    heeded: Collection[int], grace: float | None, one_signal: float, last_words: Callable[[], str]
) -> Iterator[None]:
    """End the process some seconds after the first signal, and at once after the second."""
    listening, told = socket.socketpair()
    told.setblocking(False)
    timer = threading.Timer(grace or 0.0, _end, [last_words])
    timer.daemon = True

    def listen() -> None:
        first = 0.0
        while block := listening.recv(16):
            if not any(number in heeded for number in block):
                continue
            if not first:
                first = time.monotonic()
                if grace is not None:
                    timer.start()
            elif time.monotonic() - first > one_signal:
                _end(last_words)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        told.close()
        listener.join()
        listening.close()
        timer.cancel()


def _hear_alone() -> None:
    """Cut the line from a forked process to the listener of the one that it came from."""
    with suppress(ValueError):
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_hear_alone)


def _end(last_words: Callable[[], str]) -> None:
    """End at once; what is half written has a temporary name, which the next run clears away."""
    with suppress(OSError, ValueError, AttributeError):
        clean = CLEAR_LINE + SHOW_CURSOR if sys.stderr.isatty() else ""
        line = f"cyclerdm: interrupted; {last_words()}\n"
        os.write(sys.stderr.fileno(), (clean + line).encode())
    os._exit(INTERRUPTED)
