"""What restores pictures and files, whoever asks: the command for one call, a program's `Restorer` for good."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.atomic import identities
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.restoring.batch import Watch, restore_files, restore_in_order
from cyclerdm_cli.restoring.one_file import FileOptions, Work, names_in, read_input
from cyclerdm_cli.restoring.outcome import Outcome
from cyclerdm_cli.restoring.restorers import Kit, Loaded, Restorers
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.weights.choosing import title_of

if TYPE_CHECKING:
    from cyclerdm_cli.restoring.choosing import Choice
    from cyclerdm_cli.words.eye import Eye


class Workshop:
    """Networks that are kept, an eye for what is wrong, and the queue of files; threads may share one."""

    def __init__(self, kit: Kit, weights: str | None) -> None:
        """Get ready; no file is opened yet.

        Args:
            kit: what restorers are made from.
            weights: what its weights were asked for by, as `choose_each` takes it.
        """
        self.kit, self.weights = kit, weights
        self._loaded = Loaded(kit.networks)
        self._eye: Eye | None = None
        self._looking = Lock()
        # A limit of memory holds for pictures too, so that one comes after the other.
        self._turn = nullcontext() if kit.options.memory is None else Lock()

    @property
    def device(self) -> str:
        """Where pictures are computed: cpu, cuda:0, mps... Raises as `Kit.engine`."""
        return self.kit.engine(measure=False).device

    def title(self, tasks: Sequence[str]) -> str:
        """Return what the weights of tasks are called; of none, which are chosen later, what was asked for."""
        return self.kit.names(tasks) or title_of(self.weights)

    def restorers(self, tasks: Sequence[str] = (), kit: Kit | None = None) -> Restorers:
        """Return the restorers of tasks, with the networks that are kept.

        Args:
            tasks: those in use; none: it depends on the pictures.
            kit: the workshop's own, or one `with_shares` of it.
        """
        return Restorers(kit or self.kit, tasks, self._loaded)

    def chooser(self) -> Callable[[Picture], Choice]:
        """Return what chooses the tasks for a picture by looking at it.

        Raises WeightsError where the package's own weights for looking are damaged.
        """
        from cyclerdm_cli.restoring.choosing import chooser
        from cyclerdm_cli.words.eye import load_eye

        with self._looking:
            self._eye = self._eye or load_eye()
        return chooser(self._eye, tuple(self.kit.weights))

    def choose(self, picture: Picture) -> Choice:
        """Return what is to be done to a picture, by looking at it. Raises as `chooser`."""
        return self.chooser()(picture)

    def restore(
        self,
        picture: Picture,
        tasks: Sequence[Task],
        find_missing: Callable[[Picture], NDArray[np.bool_] | None],
        kit: Kit | None = None,
    ) -> Picture:
        """Return what becomes of a picture in memory; the same one where nothing is to be done.

        Args:
            picture: stays as it is.
            tasks: one after the other; none: chosen by looking.
            find_missing: returns where a picture is to be filled in, (H, W).
            kit: as in `restorers`.

        Raises:
            PictureError: it is not sure what is wrong, or `Restorers.restore` cannot restore it.
            WeightsError, UsageError, DeviceError: as `Restorers.restore`.
        """
        if not tasks:
            choice = self.choose(picture)
            if choice.doubt:
                raise PictureError(choice.doubt)
            tasks = choice.tasks
        missing = find_missing(picture) if any(task.masked for task in tasks) else None
        with self._turn:
            restorers = self.restorers(names_in(tasks), kit)
            if all(restorers.kit.strength_of(task.name) == 0 for task in tasks):
                return picture
            restorers.needs(picture.size, picture.pixels.nbytes, 0)
            (pixels,) = restorers.restore([picture.pixels], tasks, [missing])
        return picture.with_pixels(pixels, missing)

    def keep_weights(self, files: FileOptions) -> FileOptions:
        """Return how files are written where no result takes the place of the weights in use."""
        if not files.overwrite:
            return files
        own = identities(choice.path for choice in self.kit.weights.values())
        return replace(files, inputs=files.inputs | own)

    def work_on(
        self,
        tasks: Sequence[Task],
        files: FileOptions,
        kit: Kit | None = None,
        *,
        unchanged: Callable[[Job], bool] = lambda job: True,
        frames: Collection[Job] | None = None,
    ) -> Work:
        """Return what is done to each file of a plan; weights are opened with the first that is to be restored.

        Args:
            tasks: one after the other; none: chosen by looking at each picture.
            files: how they are read and written.
            kit: as in `restorers`.
            unchanged: as in `Work`.
            frames: the plan, where its pictures are frames of sequences.

        Raises:
            UsageError, DeviceError: as `Kit.engine`.
        """
        files = self.keep_weights(files)
        restorers, choose = self.restorers(names_in(tasks), kit), None if tasks else self.choose
        begin = restorers.open if tasks else self._open_eyes
        work = Work(restorers, tasks, files, choose, unchanged, begin=begin)
        if frames is None:
            return work
        from cyclerdm_cli.restoring.sequence import Frames

        light = Frames(frames, partial(read_input, files=files), restorers.see, choose)
        return replace(work, frames=light)

    def _open_eyes(self) -> None:
        """Load what looks at pictures, which fails at once where it cannot look. Raises as `chooser`."""
        self.chooser()

    def restore_files(self, work: Work, plan: Collection[Job], watch: Watch) -> None:
        """Restore all files of a plan, and report what became of each; see `batch.restore_files`."""
        with self._turn:
            restore_files(work, plan, watch)

    def restore_file(self, work: Work, job: Job) -> Outcome:
        """Restore one file, and return what became of it."""
        outcomes: list[Outcome] = []
        with self._turn:
            restore_in_order(work, iter([job]), Watch(outcomes.append))
        (outcome,) = outcomes
        return outcome
