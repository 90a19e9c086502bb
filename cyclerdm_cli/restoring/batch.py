"""The queue of files: decoding, restoring and encoding overlap; a failed file is named and passed over."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import CycleRDMError
from cyclerdm_cli.pictures.atomic import clear_leftovers
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.restoring.one_file import (
    ReadFile,
    Work,
    count_bytes,
    count_tiles,
    extent_of,
    failed_outcome,
    names_in,
    read_file,
    settled_by_results,
    settled_unread,
    word_fault,
    write_result,
)
from cyclerdm_cli.restoring.outcome import Outcome

LARGE = 64_000_000
"""Pixels from which a result takes its picture's place in memory instead of standing beside it."""
PATIENCE = 0.2
"""Seconds between two looks at whether the work shall stop, while a picture is being decoded."""


@dataclass(frozen=True)
class Watch:
    """How whoever started the work follows it; everything is called from the thread that restores."""

    report: Callable[[Outcome], None]
    """Called with what became of each file, in the plan's order."""
    expect_tiles: Callable[[int], None] = lambda count: None
    tile_done: Callable[[], None] = lambda: None
    stopped: Callable[[], bool] = lambda: False
    """Asked often; once it says yes, the picture in hand is discarded and those being written are finished."""


class _Stopped(BaseException):
    """The work shall end; no fault of any picture."""


class _Untold(BaseException):
    """What became of a picture could not be told; no fault of any picture either."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(fault)
        self.fault = fault


def restore_files(work: Work, plan: Collection[Job], watch: Watch) -> None:
    """Restore all files of a plan, and report what became of each.

    At most `jobs` pictures are decoded ahead, and as many wait to be encoded, so memory stays bounded. Where small
    ones share the batches of a GPU, it is as many as fit into two of them.
    """
    clear_leftovers({job.output.parent for job in plan if job.output is not None})
    restore_in_order(work, iter(plan), watch)


def restore_in_order(work: Work, jobs: Iterator[Job], watch: Watch) -> None:
    """Do the same for jobs that come one by one; an iterator may be at its end and yet go on later."""
    first = _pass_over_settled(work, jobs, watch)
    if first is None:
        return
    work.begin()
    with ThreadPoolExecutor(work.files.jobs) as readers, ThreadPoolExecutor(work.files.jobs) as writers:
        queue = _Queue(work, watch, readers, writers, first, jobs)
        try:
            try:
                queue.run()
            except _Stopped:
                queue.drop()
            queue.finish()
        except _Untold as untold:
            readers.shutdown(wait=False, cancel_futures=True)
            raise untold.fault from None
        except BaseException:
            readers.shutdown(wait=False, cancel_futures=True)
            raise


def _pass_over_settled(work: Work, jobs: Iterator[Job], watch: Watch) -> Job | None:
    """Report the first jobs, as long as none need be read, and return the next; None: there is none, or all ends.

    So where nothing is to be computed, nothing is loaded for it.
    """
    for job in jobs:
        if watch.stopped():
            return None
        settled = settled_unread(job, work.files)
        if settled is None:
            return job
        watch.report(settled)
    return None


def foresee(work: Work, plan: Collection[Job]) -> Iterator[Outcome]:
    """Yield what a plan would come to, as far as files' names and headers tell; nothing is decoded or written."""
    for job in plan:
        try:
            extent = extent_of(job, work.files)
            size = extent.height, extent.width
            count_bytes(job, work)
        except CycleRDMError as fault:
            yield Outcome(job, "failed", error=word_fault(job, fault))
            continue
        early = settled_by_results(job, work.files)
        yield early or Outcome(job, "planned", size=size, tiles=count_tiles(work, size, work.tasks))


class _Queue:
    """Pictures being decoded, the ones in hand, and pictures being written, in the plan's order."""

    def __init__(
        self,
        work: Work,
        watch: Watch,
        readers: ThreadPoolExecutor,
        writers: ThreadPoolExecutor,
        first: Job,
        plan: Iterator[Job],
    ) -> None:
        self.work, self.watch = work, watch
        self.readers, self.writers = readers, writers
        self.plan = plan
        self.next: Job | None = first
        self.room = work.restorers.room
        self.ahead = work.files.jobs
        self.waiting: deque[Future[ReadFile | Outcome]] = deque()
        self.written: deque[Future[Outcome]] = deque()

    def run(self) -> None:
        """Work until the plan is done. Raises _Stopped where it shall end before."""
        while True:
            self._read_ahead()
            if not self.waiting:
                if self.next is None:
                    return
                self._report(keep=len(self.written) - 1)  # which makes room
                continue
            first = self._await_next()
            if isinstance(first, Outcome):
                self.written.append(_as_written(first))
            else:
                self._restore(self._gather_its_like(first))
            self._report(keep=self.ahead)

    def _read_ahead(self) -> None:
        """Have the next files decoded, as many as may be and as memory has room for."""
        while self.next is not None and len(self.waiting) < self.ahead:
            job, settled, bytes_ = self.next, None, 0
            try:
                bytes_ = count_bytes(job, self.work)
            except CycleRDMError as fault:
                settled = failed_outcome(job, fault, 0.0)
            if not self.room.take(bytes_):
                return
            self.waiting.append(self.readers.submit(read_file, job, self.work, settled))
            self.next = next(self.plan, None)

    def drop(self) -> None:
        """Give up what is not restored yet."""
        for future in self.waiting:
            future.cancel()

    def finish(self) -> None:
        """Wait for what is being written."""
        self._report(keep=0)

    def _await_next(self) -> ReadFile | Outcome:
        """Return the next file that is decoded. Raises _Stopped where the work shall end meanwhile."""
        future = self.waiting.popleft()
        while not future.done():
            self._look_around()
            wait([future], PATIENCE)
        self._look_around()
        return future.result()

    def _look_around(self) -> None:
        """Report what is written by now. Raises _Stopped where the work shall end."""
        self._report(keep=len(self.written))
        if self.watch.stopped():
            raise _Stopped

    def _report(self, keep: int) -> None:
        """Report what has been written; wait for it where more than so many are still under way."""
        while self.written and (self.written[0].done() or len(self.written) > keep):
            outcome = self.written.popleft().result()
            try:
                self.watch.report(outcome)
            except Exception as fault:
                raise _Untold(fault) from fault
            self.room.leave()

    def _gather_its_like(self, first: ReadFile) -> list[ReadFile]:
        """Add to a small picture those behind it that can share its batch and are decoded already."""
        if self.work.frames is not None:  # each has a light of its own
            return [first]
        try:
            most = self.work.restorers.pictures_together(first.picture.size, names_in(first.tasks))
        except CycleRDMError:  # its weights cannot be had: it fails when its turn comes
            return [first]
        self.ahead = max(self.work.files.jobs, 2 * most if most > 1 else 0)
        group = [first]
        while len(group) < most and self.waiting and self.waiting[0].done():
            other = self.waiting[0].result()
            if isinstance(other, Outcome) or not _can_share_a_batch(first, other):
                break
            group.append(other)
            self.waiting.popleft()
        return group

    def _restore(self, group: list[ReadFile]) -> None:
        """Restore pictures here and hand them to the writers; a picture's faults become its outcome."""
        began = time.perf_counter()
        try:
            results = self._compute(group)
        except Exception as fault:
            if len(group) > 1:  # whose fault it is, each finds out alone
                for one in group:
                    self._restore([one])
                return
            (one,) = group
            seconds = one.seconds + time.perf_counter() - began
            self.written.append(_as_written(failed_outcome(one.job, fault, seconds)))
            return
        spent = (time.perf_counter() - began) / len(group)
        for one, pixels in zip(group, results, strict=True):
            after = one.picture.with_pixels(pixels, one.mask)
            if self.work.frames is not None:
                after = replace(after, notes=(*after.notes, *self.work.frames.notes(one.job)))
            before = one.picture.pixels if one.job.compare is not None else None
            done = one._replace(picture=after, mask=None, seconds=one.seconds + spent)
            self.written.append(self.writers.submit(write_result, done, self.work, before))

    def _compute(self, group: list[ReadFile]) -> list[NDArray[np.generic]]:
        """Restore pictures of one kind; one that is alone may be overwritten where memory is scarce."""
        restorers, first = self.work.restorers, group[0]
        self.watch.expect_tiles(count_tiles(self.work, first.picture.size, first.tasks) * len(group))
        height, width = first.picture.size
        scarce = restorers.memory is not None or height * width >= LARGE
        pictures = [one.picture.pixels for one in group]
        masks = [one.mask for one in group]
        frames = self.work.frames
        light = None if frames is None else frames.light(first.job, first.tasks)
        in_place = scarce and first.job.compare is None
        return restorers.restore(
            pictures, first.tasks, masks, self._count_tile, in_place=in_place, light=light
        )

    def _count_tile(self) -> None:
        """Report one tile more. Raises _Stopped where the work shall end."""
        self.watch.tile_done()
        self._look_around()


def _can_share_a_batch(first: ReadFile, other: ReadFile) -> bool:
    """Tell whether two pictures are of one size and type, and the same is done to them."""
    one, two = first.picture.pixels, other.picture.pixels
    same_mask = (first.mask is None) == (other.mask is None)
    return one.shape == two.shape and one.dtype == two.dtype and same_mask and first.tasks == other.tasks


def _as_written(outcome: Outcome) -> Future[Outcome]:
    """Return what became of a file for which nothing is left to be written."""
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
