"""What `cyclerdm bench` does once its words are understood: sets, candidates, the run, tables and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cyclerdm_cli.commands.inputs import files_in, identities, refuse_inputs
from cyclerdm_cli.commands.machine_options import check_cluster
from cyclerdm_cli.commands.reporting import libraries_silent, put_line, warnings_to, words
from cyclerdm_cli.errors import DataError, UsageError
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.weights.places import cache_folder, is_offline

if TYPE_CHECKING:
    from cyclerdm_cli.benchmark.candidates import TaskWeights
    from cyclerdm_cli.benchmark.datasets import Dataset
    from cyclerdm_cli.benchmark.journal import Journal
    from cyclerdm_cli.benchmark.results import Result
    from cyclerdm_cli.benchmark.running import Bench
    from cyclerdm_cli.benchmark.tables import Table
    from cyclerdm_cli.benchmark.testsets import TestSet


def names_in(words_: Sequence[str]) -> list[str]:
    """Return the names in a list of words with commas between."""
    return [name for word in words_ for name in (part.strip() for part in word.split(",")) if name]


@dataclass(frozen=True)
class Asked:
    """One call of the command."""

    datasets: list[str]
    data_root: Path | None
    lq: list[Path]
    gt: list[Path]
    tasks: list[str]
    limit: int
    crop: int | None
    metrics: str
    weights: list[str]
    devices: list[str]
    precisions: list[str]
    steps: list[int]
    stages: list[int]
    outputs: list[str]
    reference: bool
    no_weights: bool
    tile: int | None
    overlap: int | None
    batch: int | None
    seed: int
    cluster: str | None
    actors: int | None
    offline: bool
    json: Path | None
    csv: Path | None
    report: Path | None
    save: Path | None
    resume: bool
    quiet: bool

    def check(self) -> None:
        """See that the words fit together, before anything heavy is imported."""
        if not self.datasets and not self.lq:
            raise UsageError(
                "cyclerdm bench needs pictures", hint="--dataset NAME, or --lq DIR --gt DIR --task TASK"
            )
        if self.lq and not self.tasks:
            raise UsageError("--lq needs --task", hint="the damage, one for all folders or one for each")
        if self.gt and len(self.gt) != len(self.lq):
            raise UsageError(
                f"{len(self.lq)} --lq folders and {len(self.gt)} --gt", hint="one --gt for each --lq"
            )
        if self.tasks and not self.lq:
            raise UsageError("--task goes with --lq", hint="a --dataset knows its task")
        if self.lq and len(self.tasks) not in (1, len(self.lq)):
            raise UsageError(
                f"{len(self.lq)} --lq folders and {len(self.tasks)} --task",
                hint="one for all, or one for each",
            )
        check_cluster(self.cluster, self.actors)
        for task in self.tasks:
            if not self.weights:
                find_task(task)
        if self.no_weights and (self.weights or not self.outputs):
            raise UsageError("--no-weights goes with --outputs, and without --weights")
        if self.resume and self.json is None:
            raise UsageError("--resume needs --json", hint="the journal lies beside that file")

    @libraries_silent()
    def carry_out(self) -> None:
        """Do the work; ends with the exit status of the contract."""
        from cyclerdm_cli.benchmark.running import Watcher, run
        from cyclerdm_cli.commands.progress import Progress

        console = words()

        def say(line: str) -> None:
            if not self.quiet:
                console.print(line, markup=False)

        sets = self._sets(say)
        count = sum(len(testset.cases) for testset in sets)
        with (
            self._bench(sets, say) as bench,
            self._opened(bench) as journal,
            Progress(console, count, self.quiet) as progress,
            warnings_to(progress.say),
        ):
            watcher = Watcher(lambda line: progress.say(f"cyclerdm: {line}", always=True), progress.file_done)
            try:
                results = run(bench, journal, watcher)
            except KeyboardInterrupt:
                if self.json is not None:
                    progress.say("interrupted; the same command with --resume goes on from here")
                raise
            self._write(bench, results)
            journal.done()
        if any(result.failed for result in results):
            raise typer.Exit(3 if any(result.pictures for result in results) else 1)

    def _opened(self, bench: Bench) -> Journal:
        """Return the journal of a run that can be done; a cluster's workers begin with what is not in it."""
        from cyclerdm_cli.benchmark.journal import Journal, journal_of
        from cyclerdm_cli.benchmark.running import check, is_known

        check(bench)
        journal = Journal(journal_of(self.json) if self.json else None, self.resume)
        if self.cluster is not None:
            from cyclerdm_cli.cluster.benching import begin

            begin(bench.networks, bench.sets, partial(is_known, bench, journal))
        return journal

    def _sets(self, say: Callable[[str], None]) -> list[TestSet]:
        from dataclasses import replace

        from cyclerdm_cli.benchmark.builtin import NAME
        from cyclerdm_cli.benchmark.sources import folder_set

        sets: list[TestSet] = []
        for name in self.datasets:
            sets += self._builtin(say) if name.casefold() == NAME else self._named(name, say)
        tasks = self.tasks * len(self.lq) if len(self.tasks) == 1 else self.tasks
        for place, (folder, task) in enumerate(zip(self.lq, tasks, strict=False)):
            sets.append(folder_set(folder, self.gt[place] if self.gt else None, task))
        titles = [(testset.name, testset.task) for testset in sets]
        for title in titles:
            if titles.count(title) > 1:
                raise UsageError(f"two sets are called {', '.join(title)}", hint="folders of other names")
        if self.limit:
            limited = f"the first {self.limit} pictures"
            sets = [
                replace(
                    one, cases=one.cases[: self.limit], note="; ".join(filter(None, (one.note, limited))),
                )
                if len(one.cases) > self.limit else one
                for one in sets
            ]  # fmt: skip
        return sets if self.crop is None else [replace(testset, crop=self.crop) for testset in sets]

    def _builtin(self, say: Callable[[str], None]) -> list[TestSet]:
        """Return the package's sets of those tasks for which all that is to be measured has weights."""
        from cyclerdm_cli.benchmark.builtin import builtin_sets
        from cyclerdm_cli.weights.registry import tasks_of

        sets = builtin_sets()
        if self.no_weights:
            return sets
        known = [tasks_of(one) for one in (self.weights or (None,))]
        kept = [one for one in sets if all(one.task in tasks for tasks in known)]
        if not kept:
            return sets
        if left_out := [one.task for one in sets if one not in kept]:
            say(f"builtin without {', '.join(left_out)}: no weights")
        return kept

    def _named(self, name: str, say: Callable[[str], None]) -> list[TestSet]:
        from cyclerdm_cli.benchmark.datasets import find_dataset
        from cyclerdm_cli.benchmark.fetching import fetch
        from cyclerdm_cli.benchmark.sources import named_sets

        root = self.data_root or cache_folder() / "datasets"
        try:
            return named_sets(name, root)
        except DataError as absent:
            dataset = find_dataset(name).dataset
            if dataset.archive is None or dataset.archive.fault or self.offline or is_offline():
                raise
            try:
                fetch(dataset, root, say)
            except DataError as fault:
                raise DataError(f"{fault}; {absent}") from fault
            return named_sets(name, root)

    @contextmanager
    def _bench(self, sets: Sequence[TestSet], say: Callable[[str], None]) -> Iterator[Bench]:
        from cyclerdm_cli.benchmark.candidates import Choice, folders, networks
        from cyclerdm_cli.benchmark.journal import journal_of
        from cyclerdm_cli.benchmark.learned import LEARNED, find_judges
        from cyclerdm_cli.benchmark.running import Bench
        from cyclerdm_cli.restoring.planning import RestoreOptions

        read = self._read(sets)
        refuse_inputs((*self._files, journal_of(self.json) if self.json else None), read)
        inputs = identities(read)
        wanted = tuple(name for name in names_in([self.metrics]) if name not in ("psnr", "ssim"))
        judges = find_judges(LEARNED if wanted == ("auto",) else wanted, cache_folder() / "metrics")
        if wanted != ("auto",):
            for name, reason in judges.absent.items():
                say(f"{name} is left out: {reason}")
        elif all(testset.measured == "none" for testset in sets) and not judges.without_reference:
            say(f"nothing can be measured without reference pictures: {judges.absent['niqe']}")
        choice = Choice(
            [] if self.no_weights else self._located(sets), self.devices, self.precisions, self.steps, self.stages,
            RestoreOptions(self.tile, self.overlap, self.batch, seed=self.seed), self.outputs,
        )  # fmt: skip
        if self.cluster is None:
            yield Bench(sets, networks(choice), folders(choice), judges, self.save, inputs)
            return
        from cyclerdm_cli.cluster.benching import networks_on

        with networks_on(self.cluster, self.actors, choice, sets) as spread:
            yield Bench(sets, spread, folders(choice), judges, self.save, inputs)

    @property
    def _files(self) -> tuple[Path | None, ...]:
        """Where results go."""
        return self.json, self.csv, self.report

    def _read(self, sets: Sequence[TestSet]) -> list[Path]:
        """Return the files that the run reads."""
        from cyclerdm_cli.benchmark.testsets import files_of

        named = [path for one in self.weights if (path := Path(one)).is_file()]
        theirs = [Path(word.partition("=")[2] or word) for word in self.outputs]
        cases = [path for testset in sets for case in testset.cases for path in files_of(case)]
        return [*named, *cases, *(path for folder in theirs for path in files_in(folder))]

    def _located(self, sets: Sequence[TestSet]) -> list[TaskWeights]:
        """Return what each --weights has for the tasks of the sets, all files here and checked."""
        from cyclerdm_cli.benchmark.candidates import TaskWeights
        from cyclerdm_cli.commands.downloads import find_weights
        from cyclerdm_cli.weights.registry import title_of

        tasks = dict.fromkeys(testset.task for testset in sets)
        wanted: list[str | None] = [*self.weights] or [None]
        return [
            TaskWeights(title_of(one), {
                task: find_weights(one, task, words(), offline=self.offline, quiet=self.quiet) for task in tasks
            })
            for one in wanted
        ]  # fmt: skip

    def _write(self, bench: Bench, results: Sequence[Result]) -> None:
        """Print the tables and write the files that were asked for."""
        from cyclerdm_cli.benchmark.records import to_csv, to_json
        from cyclerdm_cli.benchmark.report import Section, build
        from cyclerdm_cli.benchmark.showing import shots
        from cyclerdm_cli.benchmark.tables import grouped
        from cyclerdm_cli.pictures.atomic import write_atomically

        machines = {network.device: network.machine() for network in bench.networks}
        by_name = {(testset.name, testset.task): testset for testset in bench.sets}
        sections = []
        for group in grouped(results):
            testset = by_name[group[0].dataset, group[0].task]
            table = self._table(group, testset.dataset)
            print_table(table)
            chosen = shots(bench, testset, group) if self.report else ()
            sections.append(Section(tuple(group), table, chosen))
        texts: tuple[Callable[[], str], ...] = (
            lambda: to_json(results, {"machines": machines}),
            lambda: to_csv(results),
            lambda: build(sections, _facts(results, machines)),
        )
        for path, text in zip(self._files, texts, strict=True):
            if path is not None:
                # Names that are no UTF-8 stand as escapes in a file that is.
                write_atomically(path, text().encode("utf-8", "backslashreplace"), inputs=bench.inputs)

    def _table(self, group: Sequence[Result], dataset: Dataset | None) -> Table:
        from cyclerdm_cli.benchmark.reference import published_for
        from cyclerdm_cli.benchmark.tables import table_of

        if not self.reference:
            return table_of(group)
        published, reason = published_for(group[0], dataset)
        return table_of(group, published, (reason,))


def _facts(results: Sequence[Result], machines: dict[str, dict[str, Any]]) -> dict[str, str]:
    from datetime import UTC, datetime

    from cyclerdm_cli import __version__

    facts = {"cyclerdm": f"{__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    for device, about in machines.items():
        facts[f"measured on {device}"] = _listed(about)
    for result in results:
        setting = result.setting
        facts[setting.name] = ", ".join(
            filter(None, (setting.device, setting.precision, _listed(setting.facts)))
        )
    return facts


def _listed(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())


def print_table(table: Table) -> None:
    """Write a table and its notes to standard output, as text in columns."""
    rows = [("", *table.columns), *((row.what, *row.cells) for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    put_line(table.title)
    for row in rows:
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        put_line("  " + "  ".join(cells).rstrip())
    for note in table.notes:
        put_line(f"  {note}")
    put_line("")
