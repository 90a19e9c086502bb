"""What `cyclerdm bench` does once its words are understood: sets, candidates, the run, tables and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cyclerdm_cli.commands.bench_request import BenchRequest, names_in
from cyclerdm_cli.commands.inputs import refuse_inputs
from cyclerdm_cli.commands.machine_options import read_tile
from cyclerdm_cli.commands.reporting import libraries_silent, put_line, warnings_to, words
from cyclerdm_cli.errors import DataError, UsageError
from cyclerdm_cli.pictures.atomic import identities
from cyclerdm_cli.pictures.listing import files_in
from cyclerdm_cli.weights.places import cache_folder, is_offline

ALWAYS = ("psnr", "ssim", "noise", "sharpness")
"""Metrics that need no file: with a reference the first two, without one the others."""

if TYPE_CHECKING:
    from cyclerdm_cli.benchmark.candidates import TaskWeights
    from cyclerdm_cli.benchmark.datasets import Dataset
    from cyclerdm_cli.benchmark.journal import Journal
    from cyclerdm_cli.benchmark.results import Result
    from cyclerdm_cli.benchmark.running import Bench
    from cyclerdm_cli.benchmark.tables import Table
    from cyclerdm_cli.benchmark.testsets import TestSet


@libraries_silent()
def carry_out(request: BenchRequest) -> None:
    """Do the work; ends with the exit status of the contract."""
    from cyclerdm_cli.benchmark.running import Watcher, run
    from cyclerdm_cli.commands.progress import Progress

    console = words()

    def say(line: str) -> None:
        if not request.quiet:
            console.print(line, markup=False)

    sets = _read_sets(request, say)
    count = sum(len(testset.cases) for testset in sets)
    with (
        _set_up(request, sets, say) as bench,
        _open_journal(request, bench) as journal,
        Progress(console, count, request.quiet) as progress,
        warnings_to(progress.say),
    ):
        watcher = Watcher(lambda line: progress.say(f"cyclerdm: {line}", always=True), progress.file_done)
        try:
            results = run(bench, journal, watcher)
        except KeyboardInterrupt:
            if request.json is not None:
                progress.say("interrupted; the same command with --resume goes on from here")
            raise
        _write_results(request, bench, results)
        journal.done()
    if any(result.failed for result in results):
        raise typer.Exit(3 if any(result.pictures for result in results) else 1)


def _open_journal(request: BenchRequest, bench: Bench) -> Journal:
    """Return the journal of a run that can be done; a cluster's workers begin with what is not in it."""
    from cyclerdm_cli.benchmark.journal import Journal, journal_of
    from cyclerdm_cli.benchmark.running import check, is_known

    check(bench)
    journal = Journal(journal_of(request.json) if request.json else None, request.resume)
    if request.cluster is not None:
        from cyclerdm_cli.cluster.benching import begin

        begin(bench.networks, bench.sets, partial(is_known, bench, journal))
    return journal


def _read_sets(request: BenchRequest, say: Callable[[str], None]) -> list[TestSet]:
    """Return the sets that were asked for by name and by folder. Raises UsageError, DataError."""
    from dataclasses import replace

    from cyclerdm_cli.benchmark.builtin import NAME
    from cyclerdm_cli.benchmark.sources import folder_set

    sets: list[TestSet] = []
    for name in names_in(request.dataset):
        sets += _builtin_sets(request, say) if name.casefold() == NAME else _find_sets(request, name, say)
    tasks = request.tasks * len(request.lq) if len(request.task) == 1 else request.tasks
    for place, folder in enumerate(request.lq):
        one = folder_set(folder, request.gt[place] if request.gt else None, tasks[place] if tasks else "")
        sets.append(one if tasks else replace(one, task=_look(request, one, say)))
    titles = [(testset.name, testset.task) for testset in sets]
    for title in titles:
        if titles.count(title) > 1:
            raise UsageError(f"two sets are called {', '.join(title)}", hint="folders of other names")
    for place, one in enumerate(sets):
        if 0 < request.limit < len(one.cases):
            note = "; ".join(filter(None, (one.note, f"the first {request.limit} pictures")))
            sets[place] = replace(one, cases=one.cases[: request.limit], note=note)
    return sets if request.crop is None else [replace(testset, crop=request.crop) for testset in sets]


def _look(request: BenchRequest, testset: TestSet, say: Callable[[str], None]) -> str:
    """Return the task of a folder of which nothing was said. Raises UsageError where none can be told."""
    from cyclerdm_cli.benchmark.looking import commonest_task
    from cyclerdm_cli.tasks.catalogue import TASKS
    from cyclerdm_cli.weights.choosing import tasks_of

    known = [task.name for task in TASKS]
    if not request.no_weights:
        first, *others = (tasks_of(one) for one in (request.weights or (None,)))
        known = [name for name in first if all(name in other for other in others)]
    if len(known) == 1:
        return known[0]
    seen = commonest_task(testset.cases, known)
    if seen is None:
        raise UsageError(f"{testset.name}: no damage is seen that these weights undo", hint="--task names it")
    say(
        f"{testset.name}: measured as {seen.task}, seen in {seen.pictures} of {seen.looked_at} pictures; "
        "--task says otherwise"
    )
    return seen.task


def _builtin_sets(request: BenchRequest, say: Callable[[str], None]) -> list[TestSet]:
    """Return the package's sets of those tasks for which all that is to be measured has weights."""
    from cyclerdm_cli.benchmark.builtin import builtin_sets
    from cyclerdm_cli.weights.choosing import tasks_of

    sets = builtin_sets()
    if request.no_weights:
        return sets
    known = [tasks_of(one) for one in (request.weights or (None,))]
    kept = [one for one in sets if all(one.task in tasks for tasks in known)]
    if not kept:
        return sets
    if left_out := [one.task for one in sets if one not in kept]:
        say(f"builtin without {', '.join(left_out)}: no weights")
    return kept


def _find_sets(request: BenchRequest, name: str, say: Callable[[str], None]) -> list[TestSet]:
    """Return the sets that a name stands for, fetched where that can be done. Raises DataError."""
    from cyclerdm_cli.benchmark.datasets import find_dataset
    from cyclerdm_cli.benchmark.fetching import fetch
    from cyclerdm_cli.benchmark.sources import named_sets

    root = request.data_root or cache_folder() / "datasets"
    try:
        return named_sets(name, root)
    except DataError as absent:
        dataset = find_dataset(name).dataset
        if dataset.archive is None or dataset.archive.fault or request.offline or is_offline():
            raise
        try:
            fetch(dataset, root, say)
        except DataError as fault:
            raise DataError(f"{fault}; {absent}") from fault
        return named_sets(name, root)


@contextmanager
def _set_up(request: BenchRequest, sets: Sequence[TestSet], say: Callable[[str], None]) -> Iterator[Bench]:
    """Give what is measured on what, here or on a cluster. Raises UsageError, DataError, WeightsError."""
    from cyclerdm_cli.benchmark.candidates import Choice, folders, networks
    from cyclerdm_cli.benchmark.journal import journal_of
    from cyclerdm_cli.benchmark.learned import LEARNED, find_judges
    from cyclerdm_cli.benchmark.running import Bench
    from cyclerdm_cli.restoring.planning import RestoreOptions

    read = _list_inputs(request, sets)
    refuse_inputs((*_result_files(request), journal_of(request.json) if request.json else None), read)
    inputs = identities(read)
    wanted = tuple(name for name in names_in([request.metrics]) if name not in ALWAYS)
    judges = find_judges(LEARNED if wanted == ("auto",) else wanted, cache_folder() / "metrics")
    if wanted != ("auto",):
        for name, reason in judges.absent.items():
            say(f"{name} is left out: {reason}")
    elif any(testset.measured == "none" for testset in sets) and not judges.without_reference:
        say(f"niqe is left out: {judges.absent['niqe']}")
    choice = Choice(
        [] if request.no_weights else _find_weights(request, sets),
        request.device,
        request.precision or ("auto",),
        request.steps,
        request.stage_counts or (0,),
        request.effort,
        RestoreOptions(read_tile(request.tile), request.overlap, request.batch, seed=request.seed),
        request.outputs,
    )
    if request.cluster is None:
        yield Bench(sets, networks(choice), folders(choice), judges, request.save, inputs)
        return
    from cyclerdm_cli.cluster.benching import networks_on

    with networks_on(request.cluster, request.actors, choice, sets) as spread:
        yield Bench(sets, spread, folders(choice), judges, request.save, inputs)


def _result_files(request: BenchRequest) -> tuple[Path | None, ...]:
    """Return where results, rows, report and tables go, in this order."""
    return (
        request.json,
        request.csv,
        request.report,
        *(path for _, path in request.tables if path is not None),
    )


def _list_inputs(request: BenchRequest, sets: Sequence[TestSet]) -> list[Path]:
    """Return the files that the run reads."""
    from cyclerdm_cli.benchmark.testsets import files_of

    named = [path for one in request.weights if (path := Path(one)).is_file()]
    theirs = [Path(word.partition("=")[2] or word) for word in request.outputs]
    cases = [path for testset in sets for case in testset.cases for path in files_of(case)]
    return [*named, *cases, *(path for folder in theirs for path in files_in(folder))]


def _find_weights(request: BenchRequest, sets: Sequence[TestSet]) -> list[TaskWeights]:
    """Return what each --weights has for the tasks of the sets, all files here and checked."""
    from cyclerdm_cli.benchmark.candidates import TaskWeights
    from cyclerdm_cli.commands.downloads import find_weights
    from cyclerdm_cli.weights.choosing import title_of

    tasks = dict.fromkeys(testset.task for testset in sets)
    wanted: list[str | None] = [*request.weights] or [None]
    return [
        TaskWeights(title_of(one), {
            task: find_weights(one, task, words(), offline=request.offline, quiet=request.quiet) for task in tasks
        })
        for one in wanted
    ]  # fmt: skip


def _write_results(request: BenchRequest, bench: Bench, results: Sequence[Result]) -> None:
    """Print the tables and write the files that were asked for."""
    from cyclerdm_cli.benchmark.records import to_csv, to_json
    from cyclerdm_cli.benchmark.report import Section, build
    from cyclerdm_cli.benchmark.showing import shots
    from cyclerdm_cli.benchmark.tables import grouped
    from cyclerdm_cli.benchmark.typesetting import FORMATS
    from cyclerdm_cli.pictures.atomic import write_atomically

    machines = {network.device: network.machine() for network in bench.networks}
    by_name = {(testset.name, testset.task): testset for testset in bench.sets}
    sections: list[Section] = []
    for group in grouped(results):
        testset = by_name[group[0].dataset, group[0].task]
        table = _make_table(request, group, testset.dataset)
        for kind in request.shown_tables:
            put_line(FORMATS[kind](table))
        chosen = shots(bench, testset, group) if request.report else ()
        sections.append(Section(tuple(group), table, chosen))

    def tables_in(kind: str) -> str:
        return "\n".join(FORMATS[kind](section.table) for section in sections)

    texts: tuple[Callable[[], str], ...] = (
        lambda: to_json(results, {"machines": machines}),
        lambda: to_csv(results),
        lambda: build(sections, _collect_facts(results, machines)),
        *(partial(tables_in, kind) for kind, path in request.tables if path is not None),
    )
    for path, text in zip(_result_files(request), texts, strict=True):
        if path is not None:
            # Names that are no UTF-8 stand as escapes in a file that is.
            write_atomically(path, text().encode("utf-8", "backslashreplace"), inputs=bench.inputs)


def _make_table(request: BenchRequest, group: Sequence[Result], dataset: Dataset | None) -> Table:
    from cyclerdm_cli.benchmark.reference import published_for
    from cyclerdm_cli.benchmark.tables import table_of

    if not request.reference:
        return table_of(group)
    published, reason = published_for(group[0], dataset)
    return table_of(group, published, (reason,))


def _collect_facts(results: Sequence[Result], machines: dict[str, dict[str, Any]]) -> dict[str, str]:
    from datetime import UTC, datetime

    from cyclerdm_cli import __version__

    facts = {"cyclerdm": f"{__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    for device, about in machines.items():
        facts[f"measured on {device}"] = _in_words(about)
    for result in results:
        setting = result.setting
        facts[setting.name] = ", ".join(
            filter(None, (setting.device, setting.precision, _in_words(setting.facts)))
        )
    return facts


def _in_words(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())
