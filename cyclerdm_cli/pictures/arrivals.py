"""Pictures that arrive in folders: each is handed out once it is written to the end, and again where it must be.

Folders are looked at again and again, rather than asked to tell: so it is the same on network drives and in
containers, where systems tell nothing, and nothing is lost where a folder goes away and comes back.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.listing import Input, pictures_below
from cyclerdm_cli.pictures.naming import Job, Places
from cyclerdm_cli.pictures.result_names import ResultNames
from cyclerdm_cli.pictures.selecting import Selection

STILL = 1.0
"""Seconds in which size and time of a file must not have changed before it is read."""
SURE = 10.0
"""Seconds after which a file that cannot be read is one that is damaged, and not one still on its way."""
FIRST_RETRY, LAST_RETRY = 60.0, 600.0
"""Seconds until what failed is tried again though it has not changed; doubled each time."""
FORGETTING = 3600.0
"""Seconds until a file that is no longer there is forgotten."""
RESULT = "results of this or an earlier run"

Mark = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Watched:
    """Where pictures arrive, and which of them are wanted."""

    folders: Sequence[Path]
    recursive: bool
    include: Sequence[str]
    exclude: Sequence[str]
    results: ResultNames


@dataclass(frozen=True)
class Arrival:
    """A file that is ready."""

    job: Job
    fault: UsageError | None = None
    """Why it has no place for its result."""


@dataclass
class _Known:
    """What is known of one file."""

    arrival: Arrival
    mark: Mark
    since: float
    """When it was first seen like this."""
    due: float
    """When it is handed out next."""
    seen: float
    """When it was there last."""
    wait: float = FIRST_RETRY
    told: str = ""
    """Why it failed, as people know it."""


class Arrivals:
    """The files of some folders, as they come."""

    def __init__(
        self, watched: Watched, plan: Callable[[Input], Job], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Know of no file yet.

        Args:
            watched: where to look.
            plan: says where a result goes.
            clock: tells seconds.
        """
        self.watched = watched
        self.passed_over: Counter[str] = Counter()
        """What the last look left alone, by its kind."""
        self.faults: dict[str, str] = {}
        """By folder: why it could not be looked at the last time, in a line."""
        self._plan, self._clock = plan, clock
        self._known: dict[str, _Known] = {}
        self._places = Places()
        self._forgot = clock()

    def look(self) -> list[Arrival]:
        """Return the files that are ready now; they are in hand until `ended` says what became of them."""
        now = self._clock()
        self.passed_over, self.faults = Counter(), {}
        ready = []
        for entry, mark in self._found():
            known = self._known.get(entry.name)
            if known is None or known.mark != mark:
                arrival = known.arrival if known else self._planned(entry)
                told = known.told if known else ""
                self._known[entry.name] = _Known(arrival, mark, now, now + STILL, now, told=told)
                continue
            known.seen = now
            if now >= known.due:
                known.due = inf
                ready.append(known.arrival)
        if not self.faults and now - self._forgot > FORGETTING:
            self._forget(now)
        return ready

    def is_unchanged(self, job: Job) -> bool:
        """Tell whether a file in hand is still the one that was ready."""
        known = self._known[job.input.name]
        return _mark_of(job.input) == known.mark

    def ended(self, job: Job, error: str, read: bool) -> tuple[bool, str]:
        """Take down what became of a file in hand; return whether that is news, and what of it was told last.

        Args:
            job: what was done.
            error: why it failed; nothing: it did not.
            read: whether the file was read to its end.
        """
        now, known = self._clock(), self._known[job.input.name]
        before = known.told
        if not error:
            known.told = ""
            return True, before
        if not self.is_unchanged(job):
            known.due = now  # the next look finds what it is now
            return False, before
        if not read and now - known.since < SURE:
            known.due = known.since + SURE
            return False, before
        known.due = now + known.wait
        known.wait = min(2 * known.wait, LAST_RETRY)
        known.told = error
        return error != before, before

    def _found(self) -> Iterator[tuple[Input, Mark]]:
        """Yield the files that are there, each once."""
        selection = Selection(self.watched.include, self.watched.exclude)
        names: set[str] = set()
        for root in self.watched.folders:
            try:
                for entry in self._in_folder(root, selection):
                    if entry.name not in names and (mark := _mark_of(entry)) is not None:
                        names.add(entry.name)
                        yield entry, mark
            except OSError as fault:
                self._note(fault)
            except UsageError as fault:
                self.faults[str(root)] = str(fault)

    def _in_folder(self, root: Path, selection: Selection) -> Iterator[Input]:
        """Yield the files below a folder that are wanted, and no results."""
        watched, real = self.watched, ("", "")
        for entry in pictures_below(
            root, watched.recursive, self.passed_over, self._note, watched.results.hold
        ):
            folder, name = os.path.split(entry.name)
            if real[0] != folder:
                real = folder, os.path.realpath(folder)
            if watched.results.has(real[1], name):
                self.passed_over[RESULT] += 1
            elif selection.takes(root, entry.relative, self.passed_over):
                yield entry

    def _note(self, fault: OSError) -> None:
        """Take down what cannot be looked at; a folder inside that has just gone is nothing to wait for."""
        folder = str(fault.filename)
        if isinstance(fault, FileNotFoundError) and folder not in map(str, self.watched.folders):
            return
        self.faults[folder] = f"{folder}: cannot be listed: {fault.strerror}"

    def _planned(self, entry: Input) -> Arrival:
        """Settle where a file's result goes."""
        try:
            job = self._plan(entry)
        except UsageError as fault:
            return Arrival(Job(entry, None, "keep"), fault)
        try:
            self._places.take(job)
        except UsageError as fault:
            return Arrival(job, fault)
        return Arrival(job)

    def _forget(self, now: float) -> None:
        """Forget the files that have long been gone."""
        self._known = {name: one for name, one in self._known.items() if now - one.seen <= FORGETTING}
        self._places.keep(self._known)
        self._forgot = now


def _mark_of(entry: Input) -> Mark | None:
    """Return what changes with a file; None where there is none, or something else of its name."""
    assert entry.path is not None
    try:
        found = os.stat(entry.path)
    except (OSError, ValueError):
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
