"""Files restored by a pool: the same queue of files runs in every worker, and here it is told what to do."""

from __future__ import annotations

import hashlib
import os
import platform
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import torch

from cyclerdm_cli.cluster.connection import joined
from cyclerdm_cli.cluster.losses import machines
from cyclerdm_cli.cluster.pool import Pool
from cyclerdm_cli.cluster.share import divide
from cyclerdm_cli.cluster.station import About, Said
from cyclerdm_cli.engine_words import EngineWords
from cyclerdm_cli.errors import ClusterError, CycleRDMError
from cyclerdm_cli.pictures.addresses import Address
from cyclerdm_cli.pictures.atomic import clear_leftovers
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.reading import read_bytes, read_extent
from cyclerdm_cli.restoring.batch import Watch, restore_in_order
from cyclerdm_cli.restoring.choosing import Choice
from cyclerdm_cli.restoring.one_file import FileOptions, Work, settled_by_results
from cyclerdm_cli.restoring.outcome import Outcome
from cyclerdm_cli.restoring.restorers import Kit, Restorers
from cyclerdm_cli.tasks.catalogue import Task

ADDRESSES_ASKED_AT_ONCE = 32
"""Addresses of results that are asked for at once."""


@dataclass(frozen=True)
class Wanted:
    """Where work shall be done, and what."""

    address: str
    workers: int | None
    tasks: Sequence[Task]
    files: FileOptions
    choose: Callable[[Picture], Choice] | None = None
    """As in `batch.Work`."""


@dataclass(frozen=True)
class Crew:
    """Workers that are ready."""

    engine: EngineWords
    """Of the first of them."""
    files: FileOptions
    pool: Pool[Job, Outcome]

    def restore_files(self, plan: Collection[Job], watch: Watch) -> None:
        """Do what `batch.restore_files` does, to the same bytes and with the same reports in the same order."""
        folders = {job.output.parent for job in plan if job.output is not None}
        clear_leftovers(folders)
        jobs = _looked_at(plan, self.files)
        for outcome in self.pool.map(jobs, len(plan), _lost, watch.stopped):
            watch.report(outcome)
        if self.pool.losses:
            clear_leftovers(folders)


@contextmanager
def crew(kit: Kit, wanted: Wanted) -> Iterator[Crew]:
    """Join a cluster and bring the work to its workers, with a kit that has all its networks.

    Raises:
        ClusterError: it cannot be joined, or no worker can start.
        UsageError, DeviceError: the workers do not have the device or precision.
    """
    threads = torch.get_num_threads()
    with joined(wanted.address):
        nodes = [machine["Resources"] for machine in machines()]
        share = divide(nodes, kit.device, threads, wanted.workers)
        make = MakeStation(kit, wanted, threads, os.getcwd())
        pool: Pool[Job, Outcome] = Pool(make, share, lambda line: warnings.warn(line, stacklevel=2))
        yield Crew(pool.about.facts, wanted.files, pool)


def _looked_at(plan: Iterable[Job], files: FileOptions) -> Iterator[tuple[Job, Outcome | None]]:
    """Yield each job with what a result that is there already makes of it; several addresses are asked at once."""
    waiting: deque[tuple[Job, Future[Outcome | None]]] = deque()
    with ThreadPoolExecutor(ADDRESSES_ASKED_AT_ONCE) as askers:
        for job in plan:
            if not isinstance(job.output, Address):
                yield job, settled_by_results(job, files)
                continue
            waiting.append((job, askers.submit(settled_by_results, job, files)))
            if len(waiting) > ADDRESSES_ASKED_AT_ONCE:
                first, answer = waiting.popleft()
                yield first, answer.result()
        for first, answer in waiting:
            yield first, answer.result()


def _lost(job: Job, reason: str) -> Outcome:
    words = f"{job.input.name}: two workers died over it, one with nothing else in hand: {reason}"
    return Outcome(job, "failed", error=words)


@dataclass(frozen=True)
class MakeStation:
    """What travels to every worker."""

    kit: Kit
    wanted: Wanted
    threads: int
    """With another number of them, a processor's libraries round otherwise."""
    home: str
    """The folder where the command was started."""

    def __call__(self) -> RestoringStation:
        """Bring the networks to this worker's device."""
        torch.set_num_threads(self.threads)
        wanted = self.wanted
        restorers = Restorers(self.kit, [task.name for task in wanted.tasks])
        restorers.open()
        return RestoringStation(Work(restorers, wanted.tasks, wanted.files, wanted.choose), self.home)


class _Feed(Iterator[Job]):
    """Jobs that have come and are not begun; at an end whenever there is none, though more may come."""

    def __init__(self) -> None:
        self._come: SimpleQueue[Job] = SimpleQueue()
        self._first: Job | None = None

    def put(self, job: Job) -> None:
        self._come.put(job)

    def wait(self) -> None:
        """Wait for a job."""
        self._first = self._come.get()

    def __next__(self) -> Job:
        job, self._first = self._first, None
        if job is not None:
            return job
        try:
            return self._come.get_nowait()
        except Empty:
            raise StopIteration from None


class RestoringStation:
    """One queue of files for all blocks, so that the next is decoded while the last is encoded."""

    def __init__(self, work: Work, home: str) -> None:
        self._work, self._home = work, home
        self._feed = _Feed()
        self._order = Lock()
        self._askers: deque[SimpleQueue[Any]] = deque()
        """Whom each job that is not done belongs to, in the feed's order."""
        self._stopped = Event()
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = self._pass_on
        Thread(target=self._work_on, daemon=True).start()

    def about(self) -> About:
        """Tell the engine."""
        engine = self._work.restorers.kit.engine()
        return About(f"{engine.device}, {engine.precision}", engine)

    def stop(self) -> None:
        """Discard the picture in hand, finish those being written."""
        self._stopped.set()

    def handle(self, block: Sequence[Job], again: bool) -> Iterator[Outcome | Said]:
        """Restore files; of those that a lost worker had in hand, some may be written already."""
        if os.getcwd() != self._home:
            _refuse_relative_names(block, self._home)
        for job in block if again else ():
            if done := _written_already(job, self._work):
                yield done
                return
        answers: SimpleQueue[Any] = SimpleQueue()
        with self._order:
            for job in block:
                self._askers.append(answers)
                self._feed.put(job)
        missing = len(block)
        while missing:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                return
            missing -= isinstance(answer, Outcome)
            yield answer

    def _work_on(self) -> None:
        watch = Watch(self._report, stopped=self._stopped.is_set)
        end: BaseException | None = None
        while end is None and not self._stopped.is_set():
            self._feed.wait()
            try:
                restore_in_order(self._work, self._feed, watch)
            except BaseException as fault:
                end = fault
        for asker in self._askers:
            asker.put(end)

    def _report(self, outcome: Outcome) -> None:
        told = outcome.unexpected and "".join(traceback.format_exception(outcome.unexpected))
        # Not every exception can travel.
        outcome = replace(outcome, fault=RuntimeError(f"in a worker: {told}") if told else None)
        self._askers.popleft().put(outcome)

    def _pass_on(self, message: Warning | str, *_: Any, **__: Any) -> None:
        for asker in [*self._askers][:1]:
            asker.put(Said(str(message)))


def _refuse_relative_names(block: Sequence[Job], home: str) -> None:
    """Raise where a name would mean another place here than where the command was started."""
    for job in block:
        for place in (job.input.path, job.output):
            if place is not None and not isinstance(place, Address) and not place.is_absolute():
                raise ClusterError(
                    f"{place}: {platform.node()} has no folder {home}, in which that lies",
                    hint="start the command in a folder that all machines have, or give whole paths",
                )


def _written_already(job: Job, work: Work) -> Outcome | None:
    """Return what a lost worker did before it could say so; its result was not there when the job went out."""
    files = work.files
    if job.output is None or files.overwrite or not settled_by_results(job, files):
        return None
    try:
        data = read_bytes(job.output)
        extent = read_extent(data)
    except CycleRDMError:
        return None
    size = extent.height, extent.width
    tiles = work.restorers.tiles(size, [task.name for task in work.tasks])
    return Outcome(job, "ok", size=size, tiles=tiles, sha256=hashlib.sha256(data).hexdigest())
