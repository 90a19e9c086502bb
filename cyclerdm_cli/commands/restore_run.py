"""What `restore` does once its words are understood: it says what it would do, or does it and tells of it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from cyclerdm_cli.commands.reporting import (
    INTERRUPTED,
    libraries_silent,
    put_bytes,
    put_line,
    put_record,
    warnings_to,
    words,
)
from cyclerdm_cli.commands.restore_plan import Plan
from cyclerdm_cli.commands.restore_request import RestoreRequest
from cyclerdm_cli.commands.stopping import CLUSTER_GRACE, GRACE, WITH_SKIP_EXISTING, stopping_on_signals
from cyclerdm_cli.escapes import shown_name, to_json
from cyclerdm_cli.heap import give_back_large_blocks
from cyclerdm_cli.pictures.atomic import identities, write_atomically
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.searching import said_of
from cyclerdm_cli.pictures.streams import is_special, put_into_stream

if TYPE_CHECKING:
    from cyclerdm_cli.engine_words import EngineWords
    from cyclerdm_cli.restoring.batch import Watch
    from cyclerdm_cli.restoring.outcome import Outcome
    from cyclerdm_cli.restoring.restorers import Kit
    from cyclerdm_cli.restoring.workshop import Workshop
    from cyclerdm_cli.weights.entry import Entry

MOST_FAILURES = 20
"""Named once more at the end of a batch."""


@dataclass
class Account:
    """What became of the pictures so far."""

    counts: dict[str, int] = field(default_factory=lambda: {"ok": 0, "skipped": 0, "failed": 0})
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    """The first of them, in words."""

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.counts[outcome.status] += 1
        self.seconds += outcome.seconds
        if outcome.status == "failed" and len(self.failures) < MOST_FAILURES:
            self.failures.append(outcome.error)

    def take_back(self, failure: str) -> None:
        """Count one less that failed: something else has become of it."""
        self.counts["failed"] -= 1
        if failure in self.failures:
            self.failures.remove(failure)

    @property
    def told(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def tally(self) -> str:
        """All in one line."""
        return ", ".join(
            f"{self.counts[status]} {word}"
            for status, word in (("ok", "done"), ("skipped", "skipped"), ("failed", "failed"))
        )


@dataclass(frozen=True)
class Run:
    """One call of the command, with the plan that was made of it."""

    request: RestoreRequest
    plan: Plan

    @libraries_silent()
    def describe(self) -> None:
        """Say what would be done; nothing is written."""
        from cyclerdm_cli.restoring.batch import foresee
        from cyclerdm_cli.restoring.outcome import Outcome

        workshop = self._open_workshop()
        kit, title, device = workshop.kit, workshop.title(self.plan.names), workshop.device
        if not self.request.quiet:
            self._say_what_with(kit)
        # Without the weights it is not known how a picture is cut; with auto it is not known anyway.
        here = all(choice.is_here for choice in kit.weights.values())
        known = here or not (self.plan.tasks or self.plan.options.memory)
        outcomes = (
            foresee(workshop.work_on(self.plan.tasks, self.plan.files), self.plan.jobs)
            if known
            else (Outcome(job, "planned") for job in self.plan.jobs)
        )
        for outcome in outcomes:
            if self.request.json:
                put_record(outcome.record(self.plan.task, title, device))
                continue
            target = "-" if outcome.job.output is None else str(outcome.job.output)
            tiles = f"{outcome.tiles or '?'} tile{'s' if outcome.tiles != 1 else ''}"
            what = {"planned": tiles, "skipped": "skipped: exists already", "failed": outcome.error}
            put_line(f"{outcome.job.input.name} -> {target} ({what[outcome.status]})")
        if not self.request.quiet and (left := said_of(self.plan.passed_over)):
            words().print(f"passed over: {left}", markup=False)

    def _say_what_with(self, kit: Kit) -> None:
        """Say task and number of pictures, and for each task its weights with their size, and what they work on."""
        count = len(self.plan.jobs)
        pictures = f"{count} picture{'s' if count > 1 else ''}"
        lines = {
            task: f"weights {choice}, {kit.engine_for(task, measure=False)}"
            for task, choice in kit.weights.items()
        }
        if len(set(lines.values())) == 1:
            words().print(f"task {self.plan.task}, {next(iter(lines.values()))}, {pictures}", markup=False)
            return
        words().print(f"task {self.plan.task}, {pictures}", markup=False)
        for task, line in lines.items():
            words().print(f"{task}: {line}", markup=False)

    @libraries_silent()
    def carry_out(self) -> None:
        """Do the work; ends with the exit status of the contract."""
        from cyclerdm_cli.commands.progress import Progress
        from cyclerdm_cli.restoring.batch import Watch

        account, request = Account(), self.request
        with (
            Progress(words(), len(self.plan.jobs), request.quiet, request.progress) as progress,
            warnings_to(progress.say),
            self._at_work() as (weights, engine, restore_files),
        ):
            if self.request.verbose:
                progress.say(f"weights {weights}, {engine}")

            def report(outcome: Outcome) -> None:
                account.add(outcome)
                self._tell(outcome, weights, engine.device, progress)

            grace = GRACE if self.request.cluster is None else CLUSTER_GRACE
            with stopping_on_signals(
                lambda: progress.say("ending; once more ends at once"), grace
            ) as stopped:
                watch = Watch(report, progress.expect_tiles, progress.tile_done, stopped)
                restore_files(self.plan.jobs, watch)
                interrupted = stopped() and account.told < len(self.plan.jobs)
        self._close(account, interrupted)

    def _close(self, account: Account, interrupted: bool) -> None:
        """Sum up, and raise the exit status of the contract where it is not 0."""
        self._sum_up({"summary": {**account.counts, "seconds": round(account.seconds, 3)}})
        counts, console = account.counts, words()
        if interrupted:
            left = f"{account.tally}, {len(self.plan.jobs) - account.told} left"
            console.print(f"interrupted: {left}; {WITH_SKIP_EXISTING}", markup=False)
            raise typer.Exit(INTERRUPTED)
        passed_over = said_of(self.plan.passed_over)
        if not self.request.quiet and (len(self.plan.jobs) > 1 or passed_over):
            console.print(account.tally, markup=False)
            for line in account.failures if len(self.plan.jobs) > 1 else ():
                console.print(f"  failed: {shown_name(line)}", markup=False)
            if (more := counts["failed"] - len(account.failures)) > 0:
                console.print(f"  failed: {more} more", markup=False)
            if passed_over:
                console.print(f"  passed over: {passed_over}", markup=False)
        if counts["failed"]:
            raise typer.Exit(3 if counts["ok"] or counts["skipped"] else 1)

    def _sum_up(self, summary: dict[str, Any]) -> None:
        """Write the summary where programs look for it, if they do. Raises PictureError."""
        place = self.request.summary_json
        if place is None:
            if self.request.json:
                put_record(summary)
            return
        data = (to_json(summary) + "\n").encode("utf-8")
        if is_special(place):
            put_into_stream(place, data)
        else:
            read = (job.input.path for job in self.plan.jobs if job.input.path is not None)
            write_atomically(place, data, inputs=identities(read) | self.plan.files.inputs)

    @contextmanager
    def _at_work(
        self, unchanged: Callable[[Job], bool] = lambda job: True
    ) -> Iterator[tuple[str, EngineWords, Callable[[Collection[Job], Watch], None]]]:
        """Give the weights' name, what they work on, and who does a plan: this process, or a cluster's workers.

        Args:
            unchanged: as in `batch.Work`; workers do not ask.
        """
        workshop, plan, request = self._open_workshop(), self.plan, self.request
        if plan.options.memory is not None:  # it costs half as much time again
            give_back_large_blocks()
        if request.cluster is None:
            frames = plan.jobs if request.sequence else None
            work = workshop.work_on(plan.tasks, plan.files, unchanged=unchanged, frames=frames)
            engine = workshop.kit.engine(measure=request.verbose)
            yield workshop.title(plan.names), engine, partial(workshop.restore_files, work)
            return
        from cyclerdm_cli.cluster.restoring import Wanted, crew

        files, choose = workshop.keep_weights(plan.files), None if plan.tasks else workshop.chooser()
        wanted = Wanted(request.cluster, request.actors, plan.tasks, files, choose)
        with crew(workshop.kit.gathered(), wanted) as workers:
            yield workshop.title(plan.names), workers.engine, workers.restore_files

    def _open_workshop(self) -> Workshop:
        """Return what restores with each task's own weights; no file of the registry is opened."""
        from cyclerdm_cli.commands.downloads import bring
        from cyclerdm_cli.restoring.restorers import Kit
        from cyclerdm_cli.restoring.workshop import Workshop
        from cyclerdm_cli.weights.choosing import choose_each

        request, plan = self.request, self.plan

        def bring_entry(entry: Entry) -> None:
            bring(entry, words(), offline=request.offline, quiet=request.quiet, bar=bool(plan.tasks))

        weights = choose_each(request.weights, plan.names)
        kit = Kit(weights, plan.options, plan.strengths, request.device, request.precision, bring_entry)
        return Workshop(kit, request.weights)

    def _tell(self, outcome: Outcome, weights: str, device: str, progress: Any) -> None:
        """Say what became of one file, to people or as a record."""
        if outcome.status == "failed":
            progress.say(f"cyclerdm: {outcome.error}", always=True)
        if outcome.unexpected is not None and os.environ.get("CYCLERDM_DEBUG") == "1":
            traceback.print_exception(outcome.unexpected)
        for note in outcome.notes:
            progress.say(f"{outcome.job.input.name}: {note}")
        if self.request.verbose:
            progress.say(
                f"{outcome.job.input.name}: {outcome.status}, {outcome.seconds:.2f} s, {outcome.tiles} tiles"
            )
        progress.file_done(outcome.job.input.name, outcome.status)
        if self.request.json:
            progress.put(to_json(outcome.record(self.plan.task, weights, device)))
        elif outcome.status == "ok" and outcome.job.output is not None:
            if not self.request.quiet or sys.stdout is None or not sys.stdout.isatty():
                progress.put(str(outcome.job.output))
        elif outcome.data is not None:
            put_bytes(outcome.data)
