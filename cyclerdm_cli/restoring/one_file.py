"""What is done to one file: reading it, reckoning what it takes, and writing its result."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import CycleRDMError, PictureError
from cyclerdm_cli.escapes import shown_name
from cyclerdm_cli.pictures.addresses import Address, exists, is_taken
from cyclerdm_cli.pictures.atomic import Identity, TakenError, write_atomically
from cyclerdm_cli.pictures.comparing import encode_comparison
from cyclerdm_cli.pictures.footprint import Extent
from cyclerdm_cli.pictures.formats import COMPARE_CHOICES
from cyclerdm_cli.pictures.layouts import Names
from cyclerdm_cli.pictures.masks import check_mask, find_mask, own_mask, read_mask
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.raw import kind_of
from cyclerdm_cli.pictures.reading import check_there, read_bytes, read_extent, read_picture
from cyclerdm_cli.pictures.streams import check_file, is_pipe, read_address
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, encode_into, notes_on_writing
from cyclerdm_cli.restoring.outcome import Outcome
from cyclerdm_cli.tasks.catalogue import Task

if TYPE_CHECKING:
    from cyclerdm_cli.restoring.choosing import Choice
    from cyclerdm_cli.restoring.restorers import Restorers
    from cyclerdm_cli.restoring.sequence import Frames


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
    begin: Callable[[], None] = lambda: None
    """Loads what the work needs, before the first picture is read; what it raises ends all of it."""


class ReadFile(NamedTuple):
    """A file that has been read, and what is to be done to it."""

    job: Job
    picture: Picture
    mask: NDArray[np.bool_] | None
    seconds: float
    tasks: Sequence[Task]
    choice: Choice | None = None


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
        return failed_outcome(job, fault, 0.0)
    return None


def settled_unread(job: Job, files: FileOptions) -> Outcome | None:
    """Return what becomes of a file that need not be opened: its result is there, or it is not there itself."""
    if early := settled_by_results(job, files):
        return early
    path = job.input.path
    if path is None or path in files.piped or isinstance(path, Address):
        return None
    try:
        check_there(path)
    except PictureError as fault:
        return failed_outcome(job, fault, 0.0)
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


def read_file(job: Job, work: Work, settled: Outcome | None = None) -> ReadFile | Outcome:
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
                unsure = failed_outcome(
                    job, PictureError(choice.doubt), time.perf_counter() - began, picture.size
                )
                return replace(unsure, seen=choice.likely)
        if any(task.masked for task in tasks):
            if files.mask is not None:
                place = find_mask(files.mask, job.input)
                mask = read_mask(files.source(place), picture.size, said_by=files.mask_from, name=str(place))
                check_mask(mask, f"the mask {place}")
            else:
                mask = own_mask(picture)
    except Exception as fault:
        return failed_outcome(job, fault, time.perf_counter() - began)
    return ReadFile(job, picture, mask, time.perf_counter() - began, tasks, choice)


def write_result(one: ReadFile, work: Work, before: NDArray[np.generic] | None) -> Outcome:
    """Encode a result and write it, with the comparison that was asked for; `before` are the pixels as given."""
    began = time.perf_counter()
    job, after, seconds = one.job, one.picture, one.seconds
    options = replace(work.files.write, format=job.format)
    tiles = count_tiles(work, after.size, one.tasks)
    try:
        changed = any(work.restorers.kit.strength_of(task.name) > 0 for task in one.tasks)
        if changed and job.output is not None and job.compare is None:
            digest = _write_in_pieces(job, after, options, work)
            return _written(one, work, digest, seconds + time.perf_counter() - began)
        data = encode(after, options) if changed else _copy_or_encode(job, after, options, work.files)
        _refuse_changed(job, work)
        # The result last: --skip-existing takes it for a sign that all is there.
        if job.compare is not None and before is not None:
            names, kind = _names_for_comparison(job), work.files.compare or COMPARE_CHOICES[0]
            _write(job.compare, encode_comparison(kind, before, after, names, options), work.files)
        if job.output is not None and not _write(job.output, data, work.files):
            return Outcome(job, "skipped")
    except Exception as fault:
        return failed_outcome(job, fault, seconds + time.perf_counter() - began, after.size, tiles)
    digest, seconds = hashlib.sha256(data).hexdigest(), seconds + time.perf_counter() - began
    return replace(_written(one, work, digest, seconds), data=data if job.output is None else None)


def _write_in_pieces(job: Job, after: Picture, options: WriteOptions, work: Work) -> str:
    """Encode a result straight into its file; return the file's sha256, "" where another one shall stay."""
    digest = ""

    def fill(stream: BinaryIO) -> None:
        nonlocal digest
        encode_into(stream, after, options)
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        _refuse_changed(job, work)

    assert job.output is not None
    return digest if _write(job.output, fill, work.files) else ""


def _refuse_changed(job: Job, work: Work) -> None:
    if not work.unchanged(job):
        raise PictureError(f"{job.input.name}: has changed while it was restored")


def _written(one: ReadFile, work: Work, digest: str, seconds: float) -> Outcome:
    """Return what became of a file whose result is there; it was skipped where that is not its own, by `digest`."""
    job, after, choice = one.job, one.picture, one.choice
    if not digest:
        return Outcome(job, "skipped")
    notes = after.notes + notes_on_writing(after, replace(work.files.write, format=job.format))
    tiles = count_tiles(work, after.size, one.tasks)
    outcome = Outcome(job, "ok", seconds, after.size, tiles, sha256=digest, notes=notes)
    if choice is None:
        return outcome
    task, weights = "+".join(names_in(one.tasks)) or "none", work.restorers.kit.names(names_in(one.tasks))
    return replace(outcome, notes=(choice.note, *notes), task=task, weights=weights, seen=choice.likely)


def _names_for_comparison(job: Job) -> Names:
    """Return what a picture that compares says of its two files: their names, without their folders."""
    before = job.input.name if job.input.path is None else job.input.path.name
    return Names(shown_name(before), shown_name("" if job.output is None else job.output.name))


def _write(place: Path, data: bytes | Callable[[BinaryIO], None], files: FileOptions) -> bool:
    """Write a result; False where another one has appeared meanwhile that shall stay. Raises PictureError."""
    try:
        write_atomically(place, data, replace=files.overwrite, inputs=files.inputs)
    except TakenError:
        if files.skip_existing and exists(place):
            return False
        raise
    return True


def _copy_or_encode(job: Job, picture: Picture, options: WriteOptions, files: FileOptions) -> bytes:
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


def failed_outcome(
    job: Job, fault: Exception, seconds: float, size: tuple[int, int] | None = None, tiles: int = 0
) -> Outcome:
    """Return what became of a file that failed."""
    return Outcome(job, "failed", seconds, size, tiles, error=word_fault(job, fault), fault=fault)


def word_fault(job: Job, fault: Exception) -> str:
    """Return the fault in one line that names the file."""
    line = " ".join(part.strip() for part in str(fault).split("\n"))
    if isinstance(fault, MemoryError):
        line = "not enough memory"
    elif not isinstance(fault, CycleRDMError):
        line = f"unexpected {type(fault).__name__}: {line}"
    places = (job.input.name, str(job.output), str(job.compare))
    return line if line.startswith(places) else f"{job.input.name}: {line}"


def count_bytes(job: Job, work: Work) -> int:
    """Return the memory that a picture takes from its reading to its writing, 0 where there is no limit.

    Raises PictureError where that is too much, or its header is damaged.
    """
    files = work.files
    if work.restorers.memory is None or settled_by_results(job, files):
        return 0
    extent = extent_of(job, files)
    if files.write.depth == 16:
        extent = replace(extent, depth=16)
    coding = extent.coding(job.format, files.compare if job.compare is not None else None)
    if work.frames is not None:  # a neighbour is read beside it
        coding += extent.held
    try:
        return work.restorers.needs((extent.height, extent.width), extent.held, coding)
    except PictureError as error:
        raise PictureError(f"{job.input.name}: {Exception.__str__(error)}", error.hint) from error


def extent_of(job: Job, files: FileOptions) -> Extent:
    """Return the size of a picture by its header. Raises PictureError."""
    source = files.source(job.input.path)
    try:
        return read_extent(source, frame=files.frame, limit_pixels=files.limit_pixels)
    except PictureError as fault:  # bytes have no name of their own
        words = Exception.__str__(fault).replace("standard input", job.input.name, 1)
        raise PictureError(words, fault.hint) from fault


def count_tiles(work: Work, size: tuple[int, int], tasks: Sequence[Task]) -> int:
    """Return how many tiles the tasks restore of a picture of (height, width)."""
    return work.restorers.tiles(size, names_in(tasks))


def names_in(tasks: Sequence[Task]) -> list[str]:
    """Return the names of tasks."""
    return [task.name for task in tasks]
