"""Files that programs give: where their results go, and what became of each, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.interface.faults import fault_of, public_faults
from cyclerdm_cli.interface.given import Place, Request, mask_file
from cyclerdm_cli.pictures.atomic import identities
from cyclerdm_cli.pictures.listing import Input, as_frames, files_in
from cyclerdm_cli.pictures.lists import lists_in
from cyclerdm_cli.pictures.naming import Job, plan_outputs
from cyclerdm_cli.restoring.asked import names_of
from cyclerdm_cli.restoring.batch import Watch
from cyclerdm_cli.restoring.one_file import FileOptions, Work
from cyclerdm_cli.restoring.outcome import FileOutcome, Outcome
from cyclerdm_cli.restoring.workshop import Workshop


def plan_files(
    workshop: Workshop,
    entries: list[Input],
    words: Sequence[str],
    output: Place | None,
    request: Request,
    files: FileOptions,
) -> tuple[Work, list[Job]]:
    """Return how files are restored and where the results go.

    Args:
        workshop: will restore them.
        entries: the pictures.
        words: by which these were named.
        output: as after `-o`.
        request: what is asked for.
        files: how they are read and written, but for what `request` says.

    Raises:
        UsageError, WeightsError: as `Restorer.restore_files`.
    """
    if request.sequence:
        entries = as_frames(entries)
    mask, in_memory = mask_file(request.mask)
    weights = [choice.path for choice in workshop.kit.weights.values()]
    others = [*lists_in(words), *([] if in_memory else files_in(mask)), *weights]
    place = None if output is None else os.fsdecode(output)
    if place == "-":
        raise UsageError("output '-': standard output is not written", hint="a file or a folder")
    plan = plan_outputs(entries, place, names_of(request.tasks), format=files.write.format, others=others)
    pictures = [entry.path for entry in entries if entry.path is not None]
    files = replace(
        files,
        write=replace(files.write, format="keep"),
        mask=mask,
        piped=in_memory,
        inputs=identities([*pictures, *others]) if files.overwrite else frozenset(),
    )
    frames = plan if request.sequence else None
    work = workshop.work_on(request.tasks, files, request.adapt(workshop.kit), frames=frames)
    work.restorers.open()
    return work, plan


def restore_one(
    workshop: Workshop, path: Path, output: Place | None, request: Request, overwrite: bool
) -> Path:
    """Restore one file, and return where the result is. Raises as `Restorer.restore`."""
    files = FileOptions(overwrite=overwrite, jobs=1)
    work, (job,) = plan_files(workshop, [Input(path, path.parent)], [], output, request, files)
    outcome = workshop.restore_file(work, job)
    if outcome.status == "failed":
        raise fault_of(outcome)
    assert job.output is not None
    return job.output


def restore_each(
    workshop: Workshop, work: Work, plan: Sequence[Job], request: Request
) -> Iterator[FileOutcome]:
    """Restore files in a thread of its own, and yield what became of each; see `Restorer.restore_files`."""
    title, device = workshop.title(request.names), workshop.device
    outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
    stopped = Event()
    watch = Watch(outcomes.put, stopped=stopped.is_set)
    with ThreadPoolExecutor(1) as thread:
        end: Future[None] = thread.submit(workshop.restore_files, work, plan, watch)
        end.add_done_callback(lambda _: outcomes.put(None))
        try:
            while (outcome := outcomes.get()) is not None:
                yield outcome.told(names_of(request.tasks), title, device)
        finally:
            stopped.set()
    with public_faults():
        end.result()
