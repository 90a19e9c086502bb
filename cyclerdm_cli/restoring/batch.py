"""The queue of files: decoding, restoring and encoding overlap; a failed file is named and passed over."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import CycleRDMError, PictureError
from cyclerdm_cli.escapes import shown_name
from cyclerdm_cli.pictures.addresses import Address, exists, is_taken
from cyclerdm_cli.pictures.atomic import Identity, TakenError, clear_leftovers, write_atomically
from cyclerdm_cli.pictures.comparing import encode_comparison
from cyclerdm_cli.pictures.footprint import Extent
from cyclerdm_cli.pictures.formats import COMPARE_CHOICES
from cyclerdm_cli.pictures.layouts import Names
from cyclerdm_cli.pictures.masks import check_mask, find_mask, own_mask, read_mask
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.raw import kind_of
from cyclerdm_cli.pictures.reading import read_bytes, read_extent, read_picture
from cyclerdm_cli.pictures.streams import check_file, is_pipe, read_address
from cyclerdm_cli.pictures.writing import WriteOptions, encode, notes_on_writing
from cyclerdm_cli.restoring.outcome import Outcome
from cyclerdm_cli.restoring.restorers import Restorers
from cyclerdm_cli.tasks.catalogue import Task

if TYPE_CHECKING:
    from cyclerdm_cli.restoring.choosing import Choice
    from cyclerdm_cli.restoring.sequence import Frames

LARGE = 64_000_000
"""Pixels from which a result takes its picture's place in memory instead of standing beside it."""
PATIENCE = 0.2
"""Seconds between two looks at whether the work shall stop, while a picture is being decoded."""


@dataclass(frozen=True)
class FileOptions:
    """How files are read and written."""

    write: WriteOptions = field(default_factory=WriteOptions)
    mask: Path | None = None
    """A mask, or a folder of masks by the inputs' names."""
    mask_from: str = "auto"
    """One of `formats.MASK_CHOICES`: what of a mask is looked at."""
    overwrite: bool = False
    inputs: frozenset[Identity] = frozenset()
    """All files that the run reads, where `overwrite` would let results take their places."""
    skip_existing: bool = False
    compare: str | None = None
    """How before and after are compared in a picture, for jobs that have a place for it."""
    colour_space: str = "srgb"
    """What RAW files are developed into."""
    frame: int = 0
    limit_pixels: int = 500_000_000
    jobs: int = 2
    """Pictures that are decoded, and encoded, at once."""
    piped: Mapping[Path | None, bytes | PictureError] = field(default_factory=dict)
    """What came through pipes, or why nothing did, by their names; None: standard input."""

    def source(self, path: Path | None) -> Path | bytes:
        """Return a file, or what came through a pipe or from an address. Raises PictureError: it is no picture."""
        found = self.piped.get(path)
        if isinstance(found, PictureError):
            raise found
        if found is not None:
            return found
        assert path is not None
        if is_pipe(path):
            raise PictureError(f"{path}: has become a pipe")
        if isinstance(path, Address):
            return read_address(path, self.limit_pixels)
        check_file(path, self.limit_pixels)
        return path


@dataclass(frozen=True)
class Work:
    """What is done to each file."""

    restorers: Restorers
    tasks: Sequence[Task]
    """One after the other."""
    files: FileOptions
    choose: Callable[[Picture], Choice] | None = None
    """Chooses the tasks for each picture, instead of `tasks`."""
    unchanged: Callable[[Job], bool] = lambda job: True
    """Asked before a result is written: whether its input still is what it was when it was read."""
    frames: Frames | None = None
    """Where pictures are frames of sequences: what they have from one another."""


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


class _Read(NamedTuple):
    job: Job
    picture: Picture
    mask: NDArray[np.bool_] | None
    seconds: float
    tasks: Sequence[Task]
    choice: Choice | None = None


def restore_files(work: Work, plan: Collection[Job], watch: Watch) -> None:
    """Restore all files of a plan, and report what became of each.

    At most `jobs` pictures are decoded ahead, and as many wait to be encoded, so memory stays bounded. Where small
    ones share the batches of a GPU, it is as many as fit into two of them.
    """
    clear_leftovers({job.output.parent for job in plan if job.output is not None})
    restore_in_order(work, iter(plan), watch)


def restore_in_order(work: Work, jobs: Iterator[Job], watch: Watch) -> None:
    """Do the same for jobs that come one by one; an iterator may be at its end and yet go on later."""
    with ThreadPoolExecutor(work.files.jobs) as readers, ThreadPoolExecutor(work.files.jobs) as writers:
        queue = _Queue(work, watch, readers, writers, jobs)
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


def foresee(work: Work, plan: Collection[Job]) -> Iterator[Outcome]:
    """Yield what a plan would come to, as far as files' names and headers tell; nothing is decoded or written."""
    for job in plan:
        try:
            extent = _extent(job, work.files)
            size = extent.height, extent.width
            _bytes(job, work)
        except CycleRDMError as fault:
            yield Outcome(job, "failed", error=_named(job, fault))
            continue
        early = settled_by_results(job, work.files)
        yield early or Outcome(job, "planned", size=size, tiles=_tiles(work, size, work.tasks))


class _Queue:
    """Pictures being decoded, the ones in hand, and pictures being written, in the plan's order."""

    def __init__(
        self,
        work: Work,
        watch: Watch,
        readers: ThreadPoolExecutor,
        writers: ThreadPoolExecutor,
        plan: Iterator[Job],
    ) -> None:
        self.work, self.watch = work, watch
        self.readers, self.writers = readers, writers
        self.plan = plan
        self.next: Job | None = next(plan, None)
        self.room = work.restorers.room
        self.ahead = work.files.jobs
        self.waiting: deque[Future[_Read | Outcome]] = deque()
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
            first = self._next()
            if isinstance(first, Outcome):
                self.written.append(_done(first))
            else:
                self._restore(self._with_its_like(first))
            self._report(keep=self.ahead)

    def _read_ahead(self) -> None:
        while self.next is not None and len(self.waiting) < self.ahead:
            job, settled, bytes_ = self.next, None, 0
            try:
                bytes_ = _bytes(job, self.work)
            except CycleRDMError as fault:
                settled = _failed(job, fault, 0.0)
            if not self.room.take(bytes_):
                return
            self.waiting.append(self.readers.submit(_read, job, self.work, settled))
            self.next = next(self.plan, None)

    def drop(self) -> None:
        """Give up what is not restored yet."""
        for future in self.waiting:
            future.cancel()

    def finish(self) -> None:
        """Wait for what is being written."""
        self._report(keep=0)

    def _next(self) -> _Read | Outcome:
        future = self.waiting.popleft()
        while not future.done():
            self._look_around()
            wait([future], PATIENCE)
        self._look_around()
        return future.result()

    def _look_around(self) -> None:
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

    def _with_its_like(self, first: _Read) -> list[_Read]:
        """Add to a small picture those behind it that can share its batch and are decoded already."""
        if self.work.frames is not None:  # each has a light of its own
            return [first]
        try:
            most = self.work.restorers.pictures_together(first.picture.size, _names(first.tasks))
        except CycleRDMError:  # its weights cannot be had: it fails when its turn comes
            return [first]
        self.ahead = max(self.work.files.jobs, 2 * most if most > 1 else 0)
        group = [first]
        while len(group) < most and self.waiting and self.waiting[0].done():
            other = self.waiting[0].result()
            if isinstance(other, Outcome) or not _alike(first, other):
                break
            group.append(other)
            self.waiting.popleft()
        return group

    def _restore(self, group: list[_Read]) -> None:
        """Restore pictures here and hand them to the writers; a picture's faults become its outcome."""
        began = time.perf_counter()
        try:
            results = self._restored(group)
        except Exception as fault:
            if len(group) > 1:  # whose fault it is, each finds out alone
                for one in group:
                    self._restore([one])
                return
            (one,) = group
            seconds = one.seconds + time.perf_counter() - began
            self.written.append(_done(_failed(one.job, fault, seconds)))
            return
        spent = (time.perf_counter() - began) / len(group)
        for one, pixels in zip(group, results, strict=True):
            after = one.picture.with_pixels(pixels, one.mask)
            if self.work.frames is not None:
                after = replace(after, notes=(*after.notes, *self.work.frames.notes(one.job)))
            before = one.picture.pixels if one.job.compare is not None else None
            done = one._replace(picture=after, mask=None, seconds=one.seconds + spent)
            self.written.append(self.writers.submit(_write, done, self.work, before))

    def _restored(self, group: list[_Read]) -> list[NDArray[np.generic]]:
        """Restore pictures of one kind; one that is alone may be overwritten where memory is scarce."""
        restorers, first = self.work.restorers, group[0]
        self.watch.expect_tiles(_tiles(self.work, first.picture.size, first.tasks) * len(group))
        height, width = first.picture.size
        scarce = restorers.memory is not None or height * width >= LARGE
        pictures = [one.picture.pixels for one in group]
        masks = [one.mask for one in group]
        frames = self.work.frames
        light = None if frames is None else frames.light(first.job, first.tasks)
        in_place = scarce and first.job.compare is None
        return restorers.restore(
            pictures, first.tasks, masks, self._tile_done, in_place=in_place, light=light
        )

    def _tile_done(self) -> None:
        self.watch.tile_done()
        self._look_around()


def _alike(first: _Read, other: _Read) -> bool:
    one, two = first.picture.pixels, other.picture.pixels
    same_mask = (first.mask is None) == (other.mask is None)
    return one.shape == two.shape and one.dtype == two.dtype and same_mask and first.tasks == other.tasks


def _bytes(job: Job, work: Work) -> int:
    """Return the memory that a picture takes from its reading to its writing, 0 where there is no limit.

    Raises PictureError where that is too much, or its header is damaged.
    """
    files = work.files
    if work.restorers.memory is None or settled_by_results(job, files):
        return 0
    extent = _extent(job, files)
    if files.write.depth == 16:
        extent = replace(extent, depth=16)
    coding = extent.coding(job.format, files.compare if job.compare is not None else None)
    if work.frames is not None:  # a neighbour is read beside it
        coding += extent.held
    try:
        return work.restorers.needs((extent.height, extent.width), extent.held, coding)
    except PictureError as error:
        raise PictureError(f"{job.input.name}: {Exception.__str__(error)}", error.hint) from error


def _extent(job: Job, files: FileOptions) -> Extent:
    source = files.source(job.input.path)
    try:
        return read_extent(source, frame=files.frame, limit_pixels=files.limit_pixels)
    except PictureError as fault:  # bytes have no name of their own
        words = Exception.__str__(fault).replace("standard input", job.input.name, 1)
        raise PictureError(words, fault.hint) from fault


def _tiles(work: Work, size: tuple[int, int], tasks: Sequence[Task]) -> int:
    return work.restorers.tiles(size, _names(tasks))


def _names(tasks: Sequence[Task]) -> list[str]:
    return [task.name for task in tasks]


def settled_by_results(job: Job, files: FileOptions) -> Outcome | None:
    """Return what becomes of a file whose result is there already; None where it is to be restored."""
    if job.output is None or files.overwrite:
        return None
    places = [place for place in (job.output, job.compare) if place is not None]
    try:
        if files.skip_existing:
            return Outcome(job, "skipped") if all(map(exists, places)) else None
        for place in filter(is_taken, places):
            return Outcome(job, "failed", error=f"{place}: exists already (--overwrite or --skip-existing)")
    except PictureError as fault:
        return _failed(job, fault, 0.0)
    return None


def read_input(job: Job, files: FileOptions) -> Picture:
    """Return the picture that a job begins with. Raises PictureError."""
    return read_picture(
        files.source(job.input.path),
        frame=files.frame,
        limit_pixels=files.limit_pixels,
        name=job.input.name,
        develop=files.colour_space,
    )


def _read(job: Job, work: Work, settled: Outcome | None = None) -> _Read | Outcome:
    """Read a picture, unless it is settled already what becomes of it."""
    began = time.perf_counter()
    files = work.files
    if early := settled or settled_by_results(job, files):
        return early
    try:
        picture = read_input(job, files)
        mask, tasks, choice = None, work.tasks, None
        if work.choose is not None:
            choice = work.choose(picture) if work.frames is None else work.frames.choice(job, picture)
            tasks = choice.tasks
            if choice.doubt:
                unsure = _failed(job, PictureError(choice.doubt), time.perf_counter() - began, picture.size)
                return replace(unsure, seen=choice.likely)
        if any(task.masked for task in tasks):
            if files.mask is not None:
                place = find_mask(files.mask, job.input)
                mask = read_mask(files.source(place), picture.size, said_by=files.mask_from, name=str(place))
                check_mask(mask, f"the mask {place}")
            else:
                mask = own_mask(picture)
    except Exception as fault:
        return _failed(job, fault, time.perf_counter() - began)
    return _Read(job, picture, mask, time.perf_counter() - began, tasks, choice)


def _write(one: _Read, work: Work, before: NDArray[np.generic] | None) -> Outcome:
    began = time.perf_counter()
    job, after, seconds, choice = one.job, one.picture, one.seconds, one.choice
    options = replace(work.files.write, format=job.format)
    tiles = _tiles(work, after.size, one.tasks)
    try:
        changed = any(work.restorers.kit.strength_of(task.name) > 0 for task in one.tasks)
        data = encode(after, options) if changed else _copied(job, after, options, work.files)
        if not work.unchanged(job):
            raise PictureError(f"{job.input.name}: has changed while it was restored")
        # The result last: --skip-existing takes it for a sign that all is there.
        if job.compare is not None and before is not None:
            names, kind = _names_compared(job), work.files.compare or COMPARE_CHOICES[0]
            _put(job.compare, encode_comparison(kind, before, after, names, options), work.files)
        if job.output is not None and not _put(job.output, data, work.files):
            return Outcome(job, "skipped")
    except Exception as fault:
        return _failed(job, fault, seconds + time.perf_counter() - began, after.size, tiles)
    outcome = Outcome(
        job, "ok", seconds + time.perf_counter() - began, after.size, tiles,
        sha256=hashlib.sha256(data).hexdigest(), notes=after.notes + notes_on_writing(after, options),
        data=data if job.output is None else None,
    )  # fmt: skip
    if choice is None:
        return outcome
    task, weights = "+".join(_names(one.tasks)) or "none", work.restorers.kit.names(_names(one.tasks))
    notes = choice.note, *outcome.notes
    return replace(outcome, notes=notes, task=task, weights=weights, seen=choice.likely)


def _names_compared(job: Job) -> Names:
    """Return what a picture that compares says of its two files: their names, without their folders."""
    before = job.input.name if job.input.path is None else job.input.path.name
    return Names(shown_name(before), shown_name("" if job.output is None else job.output.name))


def _put(place: Path, data: bytes, files: FileOptions) -> bool:
    """Write a result; False where another one has appeared meanwhile that shall stay. Raises PictureError."""
    try:
        write_atomically(place, data, replace=files.overwrite, inputs=files.inputs)
    except TakenError:
        if files.skip_existing and exists(place):
            return False
        raise
    return True


def _copied(job: Job, picture: Picture, options: WriteOptions, files: FileOptions) -> bytes:
    """Return a file as it is where nothing else is asked of it, or else the same pixels written anew."""
    if options == WriteOptions(format=job.format, background=options.background) and job.format in (
        "keep",
        picture.format,
    ):
        source = files.source(job.input.path)
        data = source if isinstance(source, bytes) else read_bytes(source)
        if kind_of(data) is None:  # a RAW file is no picture before it is developed
            return data
    return encode(picture, options)


def _failed(
    job: Job, fault: Exception, seconds: float, size: tuple[int, int] | None = None, tiles: int = 0
) -> Outcome:
    return Outcome(job, "failed", seconds, size, tiles, error=_named(job, fault), fault=fault)


def _named(job: Job, fault: Exception) -> str:
    """Return the fault in one line that names the file."""
    line = " ".join(part.strip() for part in str(fault).split("\n"))
    if isinstance(fault, MemoryError):
        line = "not enough memory"
    elif not isinstance(fault, CycleRDMError):
        line = f"unexpected {type(fault).__name__}: {line}"
    places = (job.input.name, str(job.output), str(job.compare))
    return line if line.startswith(places) else f"{job.input.name}: {line}"


def _done(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
