"""Bring a file from the first of its addresses that gives it: once for all processes, whole and checked."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.address import shown
from cyclerdm_cli.weights.checking import is_known_right, is_right
from cyclerdm_cli.weights.connections import Session, Timeouts
from cyclerdm_cli.weights.entry import MIRROR
from cyclerdm_cli.weights.places import failure_of, lock_of, part_of
from cyclerdm_cli.weights.transfer import Part, TransferFault, transfer

BYTES_KEPT_FREE = 1 << 20
"""Bytes that must stay free on the disk."""


@dataclass(frozen=True)
class Wanted:
    """A file that is to come."""

    name: str
    """As people know it."""
    target: Path
    """Where it is to lie."""
    size: int
    """In bytes."""
    sha256: str
    addresses: tuple[str, ...]
    """In the order in which they are tried."""

    @property
    def by_hand(self) -> str:
        """How to do without fetching."""
        return f"put the file with sha256 {self.sha256} at {self.target}"


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds, and how often tried."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    """For an answer."""
    tries: int = 4
    """At one address, counted anew whenever a hundredth of the file has come."""
    back_off: float = 0.5
    """Before the second try; twice as long before each one after it."""
    longest: float = 60.0
    """Before any try: a server that asks for more is given up."""


@dataclass(frozen=True)
class Watcher:
    """Who is told how it goes."""

    say: Callable[[str], None] = lambda line: None
    advance: Callable[[int], None] = lambda bytes_there: None


def fetch(wanted: Wanted, watcher: Watcher | None = None, patience: Patience | None = None) -> None:
    """Bring a file, unless another process has brought it meanwhile.

    Raises:
        WeightsError: no address gave it (each is named with its reason), the disk is full or not writable.
    """
    watcher, patience = watcher or Watcher(), patience or Patience()
    began = time.time()
    try:
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(wanted, watcher):
            if not (wanted.target.is_file() and is_known_right(wanted.target, wanted.size, wanted.sha256)):
                _fetch_alone(wanted, watcher, patience, began)
    except OSError as fault:
        reason = fault.strerror or str(fault) or type(fault).__name__
        raise WeightsError(
            f"{wanted.target}: cannot be written: {reason}", hint="CYCLERDM_HOME names another folder"
        ) from fault


@contextmanager
def _lock(wanted: Wanted, watcher: Watcher) -> Iterator[None]:
    """Keep other processes from fetching the same file; the system lets go where this one is killed."""
    lock = FileLock(lock_of(wanted.target))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        watcher.say(f"{wanted.name}: another process fetches it; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch_alone(wanted: Wanted, watcher: Watcher, patience: Patience, began: float) -> None:
    failure = Failure(failure_of(wanted.target))
    if reasons := failure.since(began):  # another process tried while this one waited for the lock
        raise _unreachable(wanted, reasons)
    part = Part(part_of(wanted.target))
    _check_space(wanted, part)
    reasons = []
    with Session() as session:
        for address in wanted.addresses:
            try:
                _fetch_from(session, address, wanted, part, watcher, patience)
            except TransferFault as fault:
                reasons.append(f"{shown(address)}: {fault}")
                if address != wanted.addresses[-1]:
                    watcher.say(f"{reasons[-1]}; trying the next address")
                continue
            part.path.replace(wanted.target)
            part.discard()
            failure.forget()
            is_known_right(wanted.target, wanted.size, wanted.sha256)
            return
    failure.write_down(reasons)
    raise _unreachable(wanted, reasons)


def _fetch_from(
    session: Session, address: str, wanted: Wanted, part: Part, watcher: Watcher, patience: Patience
) -> None:
    """Complete `part` from one address and check it. Raises TransferFault with the reason why not."""
    if MIRROR in address:
        raise TransferFault("no base address is set, by CYCLERDM_MIRROR or in the registry")
    tries, counted_from = 0, part.size()
    mixed = part.size() > 0  # what is there may be of another address, or of another version of the file
    begun_again = False
    while True:
        try:
            transfer(session, address, part, wanted.size, patience.timeouts, watcher.advance)
        except TransferFault as fault:
            tries += 1
            if part.size() - counted_from > wanted.size // 100:
                tries, counted_from = 1, part.size()
            wait = max(fault.wait, patience.back_off * 2 ** (tries - 1) * random.uniform(1, 1.25))
            if wait > patience.longest:
                raise TransferFault(f"{fault}, asks to wait {wait:.0f} s") from fault
            if not fault.passing or tries >= patience.tries:
                raise
            watcher.say(f"{shown(address)}: {fault}; trying again in {wait:.0f} s")
            time.sleep(wait)
            mixed = mixed or part.size() > 0
            continue
        if is_right(part.path, wanted.size, wanted.sha256):
            return
        part.discard()
        if not mixed or begun_again:
            raise TransferFault(f"its file has another sha256 than {wanted.sha256}")
        watcher.say(f"{shown(address)}: the parts do not fit together; fetching all of it again")
        begun_again, counted_from = True, 0


def _check_space(wanted: Wanted, part: Part) -> None:
    free, needed = shutil.disk_usage(wanted.target.parent).free, wanted.size - part.size() + BYTES_KEPT_FREE
    if free < needed:
        raise WeightsError(
            f"{wanted.target.parent}: {free / 2**20:.0f} MiB are free, {wanted.name} needs {needed / 2**20:.0f}",
            hint="make room, or name another folder with CYCLERDM_HOME",
        )


def _unreachable(wanted: Wanted, reasons: list[str]) -> WeightsError:
    return WeightsError(f"{wanted.name} cannot be fetched: {'; '.join(reasons)}", hint=f"or {wanted.by_hand}")


@dataclass(frozen=True)
class Failure:
    """A fetch that failed: those who waited for it need not fail at length one after the other."""

    path: Path

    def write_down(self, reasons: list[str]) -> None:
        """Remember it, with its time, where there is room for that."""
        with suppress(OSError):
            self.path.write_text(json.dumps({"time": time.time(), "reasons": reasons}), encoding="utf-8")

    def since(self, began: float) -> list[str]:
        """Return the reasons, if it failed after a time in seconds since 1970."""
        try:
            noted = json.loads(self.path.read_text(encoding="utf-8"))
            return [str(reason) for reason in noted["reasons"]] if noted["time"] > began else []
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []

    def forget(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
