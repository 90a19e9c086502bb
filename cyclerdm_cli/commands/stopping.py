"""Ctrl-C, SIGTERM, a closed terminal: the first asks the work to end in good order, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cyclerdm_cli.commands.reporting import INTERRUPTED

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def stopping_on_signals(say: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether the work shall end; `say` is called when that begins to be so."""
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        if asked:
            os._exit(INTERRUPTED)  # what is half written has a temporary name, which the next run clears away
        asked.append(number)
        say()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    # Who was started with a signal ignored, as by nohup, goes on ignoring it.
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heeded = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in heeded:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number in heeded:
            signal.signal(number, before[number])
