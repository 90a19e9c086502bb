"""`restore --watch`: what is in a folder, and then what arrives there, until somebody asks it to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import typer

from cyclerdm_cli.commands.reporting import INTERRUPTED, libraries_silent, warnings_to, words
from cyclerdm_cli.commands.restore_run import Account, Run
from cyclerdm_cli.commands.stopping import stopping_on_signals
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.escapes import shown_name
from cyclerdm_cli.pictures.arrivals import Arrival, Arrivals
from cyclerdm_cli.pictures.searching import said_of

if TYPE_CHECKING:
    from cyclerdm_cli.commands.progress import Progress
    from cyclerdm_cli.restoring.outcome import Outcome

PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two looks at the folders, at least and at most."""
SHARE = 5
"""How many times longer than a look the pause after it is, within those: looking leaves the machine to others."""
WINK = 0.1
"""Seconds between two questions whether to end."""


class WatchingRun(Run):
    """One call of the command with --watch."""

    @property
    def arrivals(self) -> Arrivals:
        """What comes into the folders."""
        assert self.plan.arrivals is not None
        return self.plan.arrivals

    @libraries_silent()
    def carry_out(self) -> None:
        """Restore what comes, until a signal; ends with its exit status."""
        from cyclerdm_cli.commands.progress import Progress
        from cyclerdm_cli.restoring.batch import Watch

        account = Account()
        with (
            Progress(words(), 0, self.request.quiet, self.request.progress) as progress,
            warnings_to(progress.say),
            stopping_on_signals(
                lambda: progress.say("ending; once more ends at once"), last_words=lambda: _farewell(account)
            ) as stopped,
            self._at_work(self.arrivals.is_unchanged) as (weights, engine, restore_files),
        ):
            if self.request.verbose:
                progress.say(f"weights {weights}, {engine}")
            folders = ", ".join(str(folder) for folder in self.arrivals.watched.folders)
            progress.say(f"watching {folders}; Ctrl-C ends it")

            def report(outcome: Outcome) -> None:
                read = outcome.size is not None or isinstance(outcome.fault, UsageError)
                news, before = self.arrivals.ended(outcome.job, outcome.error, read)
                if news:
                    if before:
                        account.take_back(before)
                    account.add(outcome)
                    self._tell(outcome, weights, engine.device, progress)

            watch = Watch(report, progress.expect_tiles, progress.tile_done, stopped)
            faults: Mapping[str, str] = {}
            while not stopped():
                began = time.monotonic()
                ready = self.arrivals.look()
                faults = self._say_faults(faults, progress)
                if jobs := [one.job for one in ready if not _refused(one, report)]:
                    restore_files(jobs, watch)
                    progress.rest()
                else:
                    took = time.monotonic() - began
                    _rest(min(LONGEST_PAUSE, max(PAUSE, SHARE * took)), stopped)
        self._end(account)

    def _say_faults(self, before: Mapping[str, str], progress: Progress) -> Mapping[str, str]:
        """Say which folders cannot be looked at, each once, and which can be again; return those that cannot."""
        faults = self.arrivals.faults
        for folder in faults.keys() - before.keys():
            progress.say(f"cyclerdm: {faults[folder]}; waiting for it", always=True)
        for folder in before.keys() - faults.keys():
            progress.say(f"{folder}: is there again", always=True)
        return faults

    def _end(self, account: Account) -> None:
        """Sum up, and raise the exit status of what was asked to end."""
        self._sum_up({"summary": {**account.counts, "seconds": round(account.seconds, 3)}})
        console = words()
        console.print(f"interrupted: {_farewell(account)}", markup=False)
        if not self.request.quiet:
            for line in account.failures:
                console.print(f"  failed: {shown_name(line)}", markup=False)
            if passed_over := said_of(self.arrivals.passed_over):
                console.print(f"  passed over: {passed_over}", markup=False)
        raise typer.Exit(INTERRUPTED)


def _farewell(account: Account) -> str:
    return f"{account.tally}; the same command goes on from here"


def _refused(arrival: Arrival, report: Callable[[Outcome], None]) -> bool:
    """Tell whether a file has no place for its result, and report that."""
    from cyclerdm_cli.restoring.outcome import Outcome

    if arrival.fault is None:
        return False
    line = str(arrival.fault)
    name = arrival.job.input.name
    error = line if line.startswith(name) else f"{name}: {line}"
    report(Outcome(arrival.job, "failed", error=error, fault=arrival.fault))
    return True


def _rest(seconds: float, stopped: Callable[[], bool]) -> None:
    """Wait, but not once the work shall end."""
    until = time.monotonic() + seconds
    while not stopped() and (left := until - time.monotonic()) > 0:
        time.sleep(min(WINK, left))
