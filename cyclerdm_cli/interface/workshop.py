"""What stands behind a `Restorer`: networks that are kept, who looks at pictures, and the queue of files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock

from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.interface.faults import fault_of, public_faults
from cyclerdm_cli.interface.given import Place, Request, mask_file, missing_in
from cyclerdm_cli.pictures.atomic import identities
from cyclerdm_cli.pictures.listing import Input, as_frames, files_in, lists_in
from cyclerdm_cli.pictures.naming import Job, plan_outputs
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.restoring.asked import names_of
from cyclerdm_cli.restoring.batch import Watch, restore_files, restore_in_order
from cyclerdm_cli.restoring.choosing import Choice, chooser
from cyclerdm_cli.restoring.one_file import FileOptions, Work, read_input
from cyclerdm_cli.restoring.outcome import FileOutcome, Outcome
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorers import Kit, Loaded, Restorers
from cyclerdm_cli.restoring.sequence import Frames
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.weights.registry import Choice as WeightsChoice
from cyclerdm_cli.weights.registry import choose_each, ensure, title_of
from cyclerdm_cli.words.eye import Eye, load_eye


class Workshop:
    """Restores what is asked for, whichever thread asks."""

    def __init__(
        self, device: str, precision: str, memory: int | None, weights: str | None, offline: bool
    ) -> None:
        """Look up the weights of all tasks and choose the device; see `Restorer`."""

        def bring(choice: WeightsChoice) -> None:
            if choice.entry is not None:
                ensure(choice.entry, offline=offline)

        options = RestoreOptions(memory=memory)
        self.weights = weights
        self.kit = Kit(choose_each(weights), options, device=device, precision=precision, bring=bring)
        self.device = str(self.kit.engine.device)
        self._loaded = Loaded()
        self._eye: Eye | None = None
        self._looking = Lock()
        # A limit of memory holds for pictures too, so that one comes after the other.
        self._turn = nullcontext() if memory is None else Lock()

    def choose(self, picture: Picture) -> Choice:
        """Return what is to be done to a picture, by looking at it."""
        with self._looking:
            self._eye = self._eye or load_eye()
        return chooser(self._eye, tuple(self.kit.weights))(picture)

    def restore(self, picture: Picture, request: Request) -> Picture:
        """Return what becomes of a picture in memory; the same one where nothing is to be done."""
        tasks: Sequence[Task] = request.tasks
        if not tasks:
            choice = self.choose(picture)
            if choice.doubt:
                raise PictureError(choice.doubt)
            tasks = choice.tasks
        missing = missing_in(picture, request.mask) if any(task.masked for task in tasks) else None
        with self._turn:
            restorers = self._restorers(request, [task.name for task in tasks])
            if all(restorers.kit.strength_of(task.name) == 0 for task in tasks):
                return picture
            restorers.needs(picture.size, picture.pixels.nbytes, 0)
            (pixels,) = restorers.restore([picture.pixels], tasks, [missing])
        return picture.with_pixels(pixels, missing)

    def restore_file(self, path: Path, output: Place | None, request: Request, overwrite: bool) -> Path:
        """Restore one file, and return where the result is. Raises as `Restorer.restore`."""
        files = FileOptions(overwrite=overwrite, jobs=1)
        work, (job,) = self.plan([Input(path, path.parent)], [], output, request, files)
        outcomes: list[Outcome] = []
        with self._turn:
            restore_in_order(work, iter([job]), Watch(outcomes.append))
        (outcome,) = outcomes
        if outcome.status == "failed":
            raise fault_of(outcome)
        assert job.output is not None
        return job.output

    def plan(
        self,
        entries: list[Input],
        words: Sequence[str],
        output: Place | None,
        request: Request,
        files: FileOptions,
    ) -> tuple[Work, list[Job]]:
        """Return how files are restored and where the results go.

        Args:
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
        weights = [choice.path for choice in self.kit.weights.values()]
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
        restorers = self._restorers(request, request.names)
        choose, frames = None if request.tasks else self.choose, None
        if request.sequence:
            frames = Frames(plan, partial(read_input, files=files), restorers.see, choose)
        return Work(restorers, request.tasks, files, choose, frames=frames), plan

    def work_through(self, work: Work, plan: Sequence[Job], request: Request) -> Iterator[FileOutcome]:
        """Restore files in a thread of its own, and yield what became of each; see `Restorer.restore_files`."""
        title = work.restorers.kit.names(request.names) or title_of(self.weights)
        outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
        stopped = Event()

        def restore_all() -> None:
            with self._turn:
                restore_files(work, plan, Watch(outcomes.put, stopped=stopped.is_set))

        with ThreadPoolExecutor(1) as thread:
            end: Future[None] = thread.submit(restore_all)
            end.add_done_callback(lambda _: outcomes.put(None))
            try:
                while (outcome := outcomes.get()) is not None:
                    yield outcome.told(names_of(request.tasks), title, self.device)
            finally:
                stopped.set()
        with public_faults():
            end.result()

    def _restorers(self, request: Request, names: Sequence[str]) -> Restorers:
        options = replace(
            self.kit.options,
            strength=request.strength,
            detail=request.detail,
            effort=request.effort,
            sequence=request.sequence,
        )
        return Restorers(replace(self.kit, options=options, strengths=request.strengths), names, self._loaded)
