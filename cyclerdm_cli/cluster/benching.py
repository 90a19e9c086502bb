"""Cases of a benchmark restored by a pool, ahead of the run that measures them here in their order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from cyclerdm_cli.benchmark.candidates import (
    Choice,
    Contender,
    NetworkCandidate,
    Restored,
    Setting,
    networks,
)
from cyclerdm_cli.benchmark.testsets import Case, Loaded, TestSet
from cyclerdm_cli.cluster.connection import joined
from cyclerdm_cli.cluster.losses import machines
from cyclerdm_cli.cluster.pool import Pool
from cyclerdm_cli.cluster.share import divide
from cyclerdm_cli.cluster.station import About
from cyclerdm_cli.errors import CycleRDMError, PictureError, UsageError

MOST_WAITING_RESULTS = 4
"""Results for each worker that may wait here to be measured: they are whole pictures."""


class Place(NamedTuple):
    """One case for one candidate, by their numbers."""

    candidate: int
    testset: int
    case: int


class Told(NamedTuple):
    """What a worker tells of one candidate."""

    name: str
    settings: dict[str, Setting]
    """By task."""
    device: str
    machine: dict[str, str | int]


@contextmanager
def networks_on(
    address: str, workers: int | None, choice: Choice, sets: Sequence[TestSet]
) -> Iterator[list[ClusterContender]]:
    """Give candidates that are at work on a cluster; sets and weights lie where all its machines see them.

    Raises:
        ClusterError: it cannot be joined. CycleRDMError: as `candidates.networks`, told by a worker.
    """
    if len(choice.devices) > 1:
        raise UsageError("--cluster has one kind of worker", hint="one --device")
    threads = torch.get_num_threads()
    with joined(address):
        nodes = [machine["Resources"] for machine in machines()]
        share = divide(nodes, choice.devices[0], threads, workers)
        make = MakeStation(choice, tuple(sets), threads)
        pool: Pool[Place, Any] = Pool(make, share, lambda line: warnings.warn(line, stacklevel=2))
        stream = Stream(pool, sets)
        yield [ClusterContender(number, told, stream) for number, told in enumerate(pool.about.facts)]


@dataclass(frozen=True)
class MakeStation:
    """What travels to every worker."""

    choice: Choice
    sets: tuple[TestSet, ...]
    threads: int

    def __call__(self) -> BenchingStation:
        """Load all candidates."""
        torch.set_num_threads(self.threads)
        return BenchingStation(networks(self.choice), self.sets)


class BenchingStation:
    """All candidates in one worker."""

    def __init__(self, contenders: Sequence[Contender], sets: Sequence[TestSet]) -> None:
        self._contenders, self._sets = contenders, sets

    def about(self) -> About:
        """Tell the candidates."""
        tasks = dict.fromkeys(testset.task for testset in self._sets)
        told = [
            Told(one.name, {task: one.for_task(task).setting for task in tasks}, one.device, one.machine())
            for one in self._contenders
        ]
        kinds = [f"{one.device}, {setting.precision}" for one in told for setting in one.settings.values()]
        return About("; ".join(dict.fromkeys(kinds)), told)

    def handle(self, block: Sequence[Place], again: bool) -> Iterator[Restored | CycleRDMError]:
        """Restore cases; a fault of one is its result."""
        for place in block:
            testset = self._sets[place.testset]
            case = testset.cases[place.case]
            try:
                candidate = self._contenders[place.candidate].for_task(testset.task)
                yield candidate.restore(testset, case, case.load())
            except CycleRDMError as fault:
                yield fault

    def stop(self) -> None:
        """Nothing is written here, so whoever wants to end just ends."""


class Stream:
    """What the workers have done ahead, in the order in which the run asks for it."""

    def __init__(self, pool: Pool[Place, Any], sets: Sequence[TestSet]) -> None:
        self._pool = pool
        self._places = {
            (testset.name, testset.task, case.name): (number, index)
            for number, testset in enumerate(sets)
            for index, case in enumerate(testset.cases)
        }
        self._coming: Iterator[tuple[Place, Any]] = iter(())

    def begin(self, places: Sequence[Place]) -> None:
        """Have all these done, as far ahead as there is room."""
        self._coming = zip(places, self._map(places), strict=True)

    def take(self, candidate: int, testset: TestSet, case: Case) -> Restored:
        """Return one result, done ahead or not. Raises what the worker raised."""
        wanted = Place(candidate, *self._places[testset.name, testset.task, case.name])
        found = next((result for place, result in self._coming if place == wanted), None)
        result = next(self._map([wanted])) if found is None else found
        if isinstance(result, CycleRDMError):
            raise result
        assert isinstance(result, Restored)
        return result

    def _map(self, places: Sequence[Place]) -> Iterator[Any]:
        window = MOST_WAITING_RESULTS * self._pool.share.workers
        items = ((place, None) for place in places)
        return self._pool.map(items, len(places), _lost, window=window, block=1)


def _lost(place: Place, reason: str) -> PictureError:
    return PictureError(f"two workers died over it, one with nothing else in hand: {reason}")


class ClusterCandidate(NetworkCandidate):
    """Weights of one task at work in all workers of a pool."""

    def __init__(self, number: int, setting: Setting, stream: Stream) -> None:
        self.setting = setting
        self._number, self._stream = number, stream

    def restore(self, testset: TestSet, case: Case, loaded: Loaded) -> Restored:
        """Take the result that a worker has made; seconds and memory are the worker's."""
        return self._stream.take(self._number, testset, case)


class ClusterContender:
    """Weights at work in all workers of a pool, whatever the task."""

    def __init__(self, number: int, told: Told, stream: Stream) -> None:
        self.name, self.device, self.number, self.stream = told.name, told.device, number, stream
        self._told = told

    def for_task(self, task: str) -> ClusterCandidate:
        """Return the weights of one task."""
        return ClusterCandidate(self.number, self._told.settings[task], self.stream)

    def machine(self) -> dict[str, str | int]:
        """Return what the first worker's machine is."""
        return self._told.machine


def begin(
    candidates: Sequence[Contender],
    sets: Sequence[TestSet],
    known: Callable[[TestSet, Case, NetworkCandidate], bool],
) -> None:
    """Start the workers on every case that is not `known`, in the order in which a run will ask."""
    ours = [contender for contender in candidates if isinstance(contender, ClusterContender)]
    if ours:
        ours[0].stream.begin([
            Place(contender.number, number, index)
            for number, testset in enumerate(sets)
            for index, case in enumerate(testset.cases)
            for contender in ours
            if not known(testset, case, contender.for_task(testset.task))
        ])  # fmt: skip
