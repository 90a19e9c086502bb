"""The queue of files: decoding, restoring and encoding overlap; a failed file is named and passed over."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import CycleRDMError, PictureError
from cyclerdm_cli.pictures.atomic import write_atomically
from cyclerdm_cli.pictures.masks import find_mask, mask_of, read_mask
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.sidebyside import side_by_side
from cyclerdm_cli.pictures.writing import WriteOptions, encode, notes_on_writing
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.tasks.catalogue import Task


@dataclass(frozen=True)
class FileOptions:
    """How files are read and written."""

    write: WriteOptions = field(default_factory=WriteOptions)
    mask: Path | None = None
    """A mask, or a folder of masks by the inputs' names."""
    overwrite: bool = False
    skip_existing: bool = False
    compare: bool = False
    frame: int = 0
    limit_pixels: int = 500_000_000
    jobs: int = 2
    """Pictures that are decoded, and encoded, at once."""


@dataclass(frozen=True)
class Work:
    """What is done to each file."""

    restorer: Restorer
    tasks: Sequence[Task]
    """One after the other."""
    files: FileOptions


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    job: Job
    status: Literal["ok", "skipped", "failed"]
    seconds: float = 0.0
    size: tuple[int, int] | None = None
    """Height and width in pixels."""
    tiles: int = 0
    sha256: str = ""
    """Of the file written."""
    error: str = ""
    notes: tuple[str, ...] = field(default=())
    data: bytes | None = None
    """The result's bytes where they go to standard output."""

    def record(self, task: str, weights: str, device: str) -> dict[str, Any]:
        """Return the JSON record of the contract."""
        height, width = self.size or (None, None)
        return {
            "input": self.job.input.name,
            "output": "-" if self.job.output is None else str(self.job.output),
            "status": self.status,
            "task": task,
            "seconds": round(self.seconds, 3),
            "width": width,
            "height": height,
            "device": device,
            "tiles": self.tiles,
            "weights": weights,
            "sha256": self.sha256 or None,
            "error": self.error or None,
        }


class _Read(NamedTuple):
    picture: Picture
    mask: NDArray[np.bool_] | None


def restore_files(
    work: Work,
    plan: Sequence[Job],
    expect_tiles: Callable[[int], None] = lambda count: None,
    tile_done: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Restore all files of a plan; yield what became of each, in order.

    At most `jobs` pictures are decoded ahead, and as many wait to be encoded, so memory stays bounded.
    """
    ahead = work.files.jobs
    waiting: deque[tuple[Job, Future[_Read] | Outcome]] = deque()
    written: deque[Future[Outcome]] = deque()
    jobs = iter(plan)
    with ThreadPoolExecutor(ahead) as readers, ThreadPoolExecutor(ahead) as writers:
        try:
            while True:
                while len(waiting) < ahead and (job := next(jobs, None)) is not None:
                    early = _without_reading(job, work.files)
                    waiting.append((job, early or readers.submit(_read, job, work)))
                if not waiting:
                    break
                job, read = waiting.popleft()
                written.append(_restore_one(work, job, read, writers, expect_tiles, tile_done))
                while len(written) > ahead or (written and written[0].done()):
                    yield written.popleft().result()
            while written:
                yield written.popleft().result()
        except BaseException:
            readers.shutdown(wait=False, cancel_futures=True)
            raise


def _without_reading(job: Job, files: FileOptions) -> Outcome | None:
    """Settle what an output that is already there decides alone."""
    if job.output is None or files.overwrite:
        return None
    places = [place for place in (job.output, job.compare) if place is not None]
    if files.skip_existing:
        return Outcome(job, "skipped") if all(place.exists() for place in places) else None
    for place in places:
        if place.is_symlink() or place.exists():
            return Outcome(job, "failed", error=f"{place}: exists already (--overwrite or --skip-existing)")
    return None


def _read(job: Job, work: Work) -> _Read:
    files = work.files
    source = sys.stdin.buffer.read() if job.input.path is None else job.input.path
    picture = read_picture(source, frame=files.frame, limit_pixels=files.limit_pixels)
    mask = None
    if any(task.masked for task in work.tasks):
        if files.mask is not None:
            mask = read_mask(find_mask(files.mask, job.input), picture.size)
        else:
            mask = mask_of(picture)
    return _Read(picture, mask)


def _restore_one(
    work: Work,
    job: Job,
    read: Future[_Read] | Outcome,
    writers: ThreadPoolExecutor,
    expect_tiles: Callable[[int], None],
    tile_done: Callable[[], None],
) -> Future[Outcome]:
    """Restore one picture here and hand it to a writer; faults of this picture become its outcome."""
    began = time.perf_counter()
    if isinstance(read, Outcome):
        return _done(read)
    try:
        picture, mask = read.result()
        tiles = len(work.restorer.plan(picture.size))
        expect_tiles(tiles * len(work.tasks))
        pixels = picture.pixels
        for task in work.tasks:
            if task.masked and mask is None:
                raise PictureError(
                    f"{job.input.name}: nothing to fill in", hint="--mask, transparency or pure white"
                )
            pixels = work.restorer.restore(pixels, task.name, mask if task.masked else None, tile_done)
    except CycleRDMError as fault:
        return _done(Outcome(job, "failed", time.perf_counter() - began, error=_named(job, fault)))
    restored = picture.with_pixels(pixels)
    return writers.submit(_write, job, work.files, picture, restored, tiles, time.perf_counter() - began)


def _write(
    job: Job, files: FileOptions, before: Picture, after: Picture, tiles: int, seconds: float
) -> Outcome:
    began = time.perf_counter()
    options = replace(files.write, format=job.format)
    try:
        data = encode(after, options)
        if job.output is not None:
            write_atomically(job.output, data)
        if job.compare is not None:
            beside = after.with_pixels(side_by_side(before.pixels, after.pixels))
            write_atomically(job.compare, encode(beside, options))
    except CycleRDMError as fault:
        return Outcome(job, "failed", seconds, before.size, tiles, error=_named(job, fault))
    return Outcome(
        job, "ok", seconds + time.perf_counter() - began, before.size, tiles,
        sha256=hashlib.sha256(data).hexdigest(), notes=before.notes + notes_on_writing(after, options),
        data=data if job.output is None else None,
    )  # fmt: skip


def _named(job: Job, fault: CycleRDMError) -> str:
    """Return the fault in one line that names the file."""
    line = str(fault)
    places = (job.input.name, str(job.output), str(job.compare))
    return line if line.startswith(places) else f"{job.input.name}: {line}"


def _done(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
