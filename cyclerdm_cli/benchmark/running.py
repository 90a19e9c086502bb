"""The run itself: every case of every set through every candidate, measured, kept, and failures named."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cyclerdm_cli.benchmark.candidates import Candidate, Contender, FolderCandidate, NetworkCandidate
from cyclerdm_cli.benchmark.journal import Journal, key_of
from cyclerdm_cli.benchmark.learned import Judges, SetJudge
from cyclerdm_cli.benchmark.results import PictureScore, Result
from cyclerdm_cli.benchmark.scoring import score
from cyclerdm_cli.benchmark.testsets import Case, Loaded, TestSet, files_of
from cyclerdm_cli.errors import CycleRDMError, DeviceError, PictureError, UsageError
from cyclerdm_cli.pictures.atomic import Identity, write_atomically
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode


@dataclass(frozen=True)
class Watcher:
    """What a run tells while it goes on."""

    say: Callable[[str], None] = lambda line: None
    """A line for people that must be seen."""
    case_done: Callable[[], None] = lambda: None
    """One case is through all candidates."""


@dataclass(frozen=True)
class Bench:
    """What is measured, and how."""

    sets: Sequence[TestSet]
    networks: Sequence[Contender]
    folders: Sequence[FolderCandidate] = ()
    judges: Judges = field(default_factory=Judges)
    save: Path | None = None
    """Where results are written as PNG: CANDIDATE/SET/TASK/NAME.png; None: nowhere."""
    inputs: frozenset[Identity] = frozenset()
    """The files that the run reads, whose place no result takes."""

    def candidates(self, testset: TestSet) -> list[Candidate]:
        """Return those that have something to say on a set: peers only where they left pictures for it.

        Raises WeightsError where a file of weights is damaged.
        """
        own = [network.for_task(testset.task) for network in self.networks]
        return [*own, *(folder for folder in self.folders if folder.knows(testset))]


def check(bench: Bench) -> None:
    """See before any work that all can be done.

    Raises:
        UsageError: a folder of results fits no set, two candidates share a name.
    """
    for folder in bench.folders:
        if not any(folder.knows(testset) for testset in bench.sets):
            names = ", ".join(testset.name for testset in bench.sets)
            raise UsageError(
                f"--outputs {folder.setting.name}: no picture in it is called like one of {names}",
                hint="results lie in the folder or in one of the set's name in it, by the inputs' names",
            )
    titles = [network.name for network in bench.networks]
    titles += [folder.setting.name for folder in bench.folders]
    for title in titles:
        if titles.count(title) > 1:
            raise UsageError(f"two candidates are called {title!r}", hint="--outputs NAME=DIR")


def run(bench: Bench, journal: Journal, watcher: Watcher) -> list[Result]:
    """Measure everything; a picture that fails is named and left out for all candidates alike or for the one."""
    return [result for testset in bench.sets for result in _run_set(bench, testset, journal, watcher)]


@dataclass
class _Tally:
    """What one candidate has on one set so far."""

    pictures: list[PictureScore] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    sets: dict[str, SetJudge] = field(default_factory=dict)


def _run_set(bench: Bench, testset: TestSet, journal: Journal, watcher: Watcher) -> list[Result]:
    candidates = bench.candidates(testset)
    if not candidates:
        watcher.say(f"{testset.name}: nothing was made of it by anybody, left out of the tables")
        return []
    for line in testset.complaints:
        watcher.say(line)
    tallies = [
        _Tally(
            failed=list(testset.complaints),
            sets={name: make() for name, make in bench.judges.sets.items()}
            if testset.measured != "none"
            else {},
        )
        for _ in candidates
    ]
    inputs = {name: make() for name, make in bench.judges.sets.items()} if testset.measured != "none" else {}
    for case in testset.cases:
        try:
            identity = case.identity()
            keys = [_key(bench, testset, case, identity, candidate) for candidate in candidates]
            known = [None if inputs else journal.find(key) for key in keys]  # sets need every picture
            if all(known):
                for tally, picture in zip(tallies, known, strict=True):
                    assert picture is not None
                    tally.pictures.append(picture)
                watcher.case_done()
                continue
            loaded = case.load()
            before = score(loaded.lq, loaded.gt, testset.measured, testset.crop, bench.judges)
        except CycleRDMError as fault:
            for tally in tallies:
                tally.failed.append(_say(watcher, testset, fault, case))
            watcher.case_done()
            continue
        if loaded.gt is not None:
            for judge in inputs.values():
                judge.add(loaded.lq, loaded.gt)
        for candidate, tally, key, picture in zip(candidates, tallies, keys, known, strict=True):
            try:
                found = picture or _measure(bench, testset, case, loaded, before, candidate, tally)
            except (PictureError, DeviceError) as fault:
                tally.failed.append(_say(watcher, testset, fault, case, candidate))
                continue
            tally.pictures.append(found)
            if picture is None:
                journal.keep(key, found)
        watcher.case_done()
    return [
        Result(
            testset.name, testset.task, candidate.setting, tuple(tally.pictures), testset.measured,
            testset.convention, testset.note, tuple(dict.fromkeys(tally.failed)),
            _values(inputs), _values(tally.sets),
        )
        for candidate, tally in zip(candidates, tallies, strict=True)
    ]  # fmt: skip


def is_known(bench: Bench, journal: Journal, testset: TestSet, case: Case, candidate: Candidate) -> bool:
    """Tell whether an earlier run has left a score that this one will take; a case at fault is not known."""
    if bench.judges.sets and testset.measured != "none":
        return False
    try:
        return journal.find(_key(bench, testset, case, case.identity(), candidate)) is not None
    except CycleRDMError:
        return False


def _key(bench: Bench, testset: TestSet, case: Case, identity: str, candidate: Candidate) -> str:
    how = f"{testset.name} {testset.task} {testset.measured} {testset.crop} {' '.join(bench.judges.names)}"
    return key_of(identity, how, candidate.identity(testset, case))


def _measure(
    bench: Bench,
    testset: TestSet,
    case: Case,
    loaded: Loaded,
    before: dict[str, float],
    candidate: Candidate,
    tally: _Tally,
) -> PictureScore:
    restored = candidate.restore(testset, case, loaded)
    after = score(restored.pixels, loaded.gt, testset.measured, testset.crop, bench.judges)
    if loaded.gt is not None:
        for judge in tally.sets.values():
            judge.add(restored.pixels, loaded.gt)
    if bench.save is not None and isinstance(candidate, NetworkCandidate):
        folder = bench.save / candidate.setting.name / testset.name / testset.task
        data = encode(Picture(restored.pixels), WriteOptions(format="png"))
        write_atomically(folder / f"{case.name}.png", data, inputs=bench.inputs)
    height, width = loaded.lq.shape[:2]
    return PictureScore(case.name, width, height, before, after, restored.seconds, restored.memory)


def _say(
    watcher: Watcher, testset: TestSet, fault: CycleRDMError, case: Case, candidate: Candidate | None = None
) -> str:
    """Tell a fault; return it as it stands in reports, which name files without the folders of this machine."""
    line = str(fault)
    if candidate is not None and case.name not in line:
        line = f"{testset.name}/{case.name}: {line}"
    watcher.say(f"{line}, left out")
    folders = {path.parent for path in files_of(case)}
    if isinstance(candidate, FolderCandidate):
        folders |= candidate.folders(testset)
    for folder in sorted(map(str, folders), key=len, reverse=True):
        line = line.replace(folder, os.path.basename(folder))
    return line


def _values(judges: dict[str, SetJudge]) -> dict[str, float]:
    found = {name: judge.value() for name, judge in judges.items()}
    return {name: value for name, value in found.items() if value is not None}
