"""A pool of workers on a Ray cluster: items go out in blocks, what became of each comes back in the items' order.

Nothing here knows what the work is. Of the items only a window is in memory, however many there are.
"""

from __future__ import annotations

import os
import platform
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from cyclerdm_cli import __version__
from cyclerdm_cli.cluster.share import Share
from cyclerdm_cli.errors import ClusterError, CycleRDMError
from cyclerdm_cli.processor import ways_to_wait

Item = TypeVar("Item")
Result = TypeVar("Result")
BLOCK = 16
"""Items that travel together, at most; towards the end there are fewer, so that all workers end together."""
BLOCKS_IN_HAND = 2
"""Of a worker: it begins the next while the last items of the first are being written."""
WINDOW = 10_000
"""Items that may be done before the one that is reported next."""
TRIES = 2
"""Workers that an item may cost before it counts as the cause."""
STARTS = 3
"""Workers that may die one after the other while they start."""
PATIENCE = 0.2
"""Seconds between two looks at whether the work shall stop."""
ROOM = 30
"""Seconds until people are told that the cluster has no room yet."""


@dataclass(frozen=True)
class About:
    """What a worker says of itself when it is ready."""

    kind: str
    """Of device and precision: the same for all workers, since results depend on it."""
    facts: Any = None


@dataclass(frozen=True)
class Said:
    """A line for people, among the results."""

    line: str


class Station(Protocol):
    """What a worker does; made once in each worker's process, where `handle` is called by two threads at once."""

    def about(self) -> About:
        """Tell what is found here."""
        ...

    def handle(self, block: Sequence[Any], again: bool) -> Iterator[Any]:
        """Yield what became of each item, in order; `again`: a worker that had them in hand is lost."""
        ...

    def stop(self) -> None:
        """End the blocks in hand in good order; what is not begun is left out."""
        ...


class Host:
    """A worker's process, as Ray calls it."""

    def __init__(self, make: Callable[[], Station], home: str, version: str) -> None:
        self._make, self._home, self._version = make, home, version

    def open(self) -> tuple[About, str]:
        """Make the station; returns what it says of itself, and the machine's name in the cluster."""
        if self._version != __version__:
            raise ClusterError(
                f"{platform.node()} has cyclerdm {__version__}, here it is {self._version}",
                hint="the same version on all machines",
            )
        if os.path.isdir(self._home):  # relative names mean the same as where the command was started
            os.chdir(self._home)
        self._station = self._make()
        return self._station.about(), ray.get_runtime_context().get_node_id()

    def handle(self, block: Sequence[Any], again: bool) -> Iterator[Any]:
        """Pass a block on."""
        yield from self._station.handle(block, again)

    def stop(self) -> None:
        """Pass it on."""
        self._station.stop()


@dataclass
class _Entry(Generic[Item]):
    index: int
    item: Item
    deaths: int = 0
    """Workers that were lost over it."""


@dataclass(eq=False)
class _Worker(Generic[Item]):
    actor: Any
    opening: Any
    """What `open` returns, until it has."""
    node: str = ""
    blocks: dict[Any, deque[_Entry[Item]]] = field(default_factory=dict)
    """By the stream of their results: what is not done yet of each block in hand."""
    alone: bool = False
    """Whether it has an item in hand that nothing else may come with."""


class Pool(Generic[Item, Result]):
    """Workers that come and go."""

    def __init__(self, make: Callable[[], Station], share: Share, say: Callable[[str], None]) -> None:
        """Hire workers and wait for the first.

        Args:
            make: makes the station; travels to every worker once.
            share: how many workers, and what each asks for.
            say: is given lines for people.

        Raises:
            ClusterError: no worker can start. CycleRDMError: what `make` raised.
        """
        self.share, self._say = share, say
        self._make = ray.put(make)
        self._failed_starts = 0
        self.losses = 0
        """Workers lost so far."""
        self.workers: list[_Worker[Item]] = [self._hire() for _ in range(share.workers)]
        about: About | None = None
        while about is None:
            opened, _ = ray.wait([worker.opening for worker in self.workers], timeout=ROOM)
            if not opened:
                say(f"the cluster has no room yet for {share}: waiting")
            for worker in [worker for worker in self.workers if worker.opening in opened]:
                about = self._opened(worker, about)
        self.about = about

    def _hire(self) -> _Worker[Item]:
        asked = {
            "num_cpus": self.share.cpus, "num_gpus": self.share.gpus,
            "runtime_env": {"env_vars": ways_to_wait()},
        }  # fmt: skip
        host = ray.remote(Host).options(**asked, max_concurrency=BLOCKS_IN_HAND + 1)
        actor: Any = host.remote(self._make, os.getcwd(), __version__)
        return _Worker(actor, actor.open.remote())

    def _opened(self, worker: _Worker[Item], first: About | None) -> About | None:
        """Take in a worker that has started, or another in its place; returns what the first one said."""
        try:
            about, worker.node = ray.get(worker.opening)
        except RayTaskError as fault:
            raise _own(fault) from fault
        except RayError as fault:
            self._failed_starts += 1
            if self._failed_starts >= STARTS:
                raise ClusterError(f"the cluster's workers die while they start: {_reason(fault)}") from fault
            self.replace(worker)
            return first
        worker.opening = None
        self._failed_starts = 0
        if first is not None and about.kind != first.kind:
            self._say(f"a worker of another kind is left out: {about.kind}, the first has {first.kind}")
            self.workers.remove(worker)
            ray.kill(worker.actor)
        return first or about

    def replace(self, worker: _Worker[Item]) -> None:
        """Hire another for one that is lost."""
        self.workers.remove(worker)
        ray.kill(worker.actor)
        self.workers.append(self._hire())

    def map(
        self,
        items: Iterable[tuple[Item, Result | None]],
        count: int,
        lost: Callable[[Item, str], Result],
        stopped: Callable[[], bool] = lambda: False,
        *,
        window: int = WINDOW,
        block: int = BLOCK,
    ) -> Iterator[Result]:
        """Yield what became of each item, in the items' order.

        Args:
            items: read as far as the window reaches; those that come with a result go to no worker.
            count: how many there are.
            lost: makes the result of an item that cost two workers, told the reason.
            stopped: asked often; once it says yes, what is not begun is left out.
            window: items that may be done before the one that is reported next.
            block: items that travel together, at most.

        Raises:
            ClusterError: workers die while they start. CycleRDMError: what a station raised.
        """
        return _Round(self, iter(items), count, lost, stopped, window, block).results()


class _Round(Generic[Item, Result]):
    """One `map`: what is in hand, what is to be done again, what is done and waits for its turn."""

    def __init__(
        self,
        pool: Pool[Item, Result],
        items: Iterator[tuple[Item, Result | None]],
        count: int,
        lost: Callable[[Item, str], Result],
        stopped: Callable[[], bool],
        window: int,
        most: int,
    ) -> None:
        self.window, self.most = window, most
        self.pool, self.items, self.left = pool, items, count
        self.lost, self.stopped = lost, stopped
        self.stopping = self.exhausted = False
        self.taken = self.next = 0
        self.again: deque[_Entry[Item]] = deque()
        self.done: dict[int, Result] = {}

    def results(self) -> Iterator[Result]:
        """See `Pool.map`."""
        while True:
            if not self.stopping and self.stopped():
                self._stop()
            if not self.stopping:
                self._give_out()
            while self.next in self.done:
                yield self.done.pop(self.next)
                self.next += 1
            if any(worker.blocks for worker in self.pool.workers) or (self.again and not self.stopping):
                self._take_in()
            elif self.exhausted or self.stopping:
                break
        yield from (self.done[index] for index in sorted(self.done))

    def _stop(self) -> None:
        self.stopping = True
        for worker in self.pool.workers:
            if worker.blocks:
                worker.actor.stop.remote()

    def _give_out(self) -> None:
        for depth in range(1, BLOCKS_IN_HAND + 1):
            for worker in self.pool.workers:
                if worker.opening is not None or worker.alone or len(worker.blocks) >= depth:
                    continue
                # What a worker was lost over is tried with nothing beside it, so that only the guilty are blamed.
                if self.again:
                    if not worker.blocks:
                        worker.alone = True
                        self._give(worker, [self.again.popleft()], again=True)
                elif block := self._next_block():
                    self._give(worker, block, again=False)

    def _give(self, worker: _Worker[Item], block: list[_Entry[Item]], again: bool) -> None:
        stream = worker.actor.handle.options(num_returns="streaming").remote(
            [entry.item for entry in block], again
        )
        worker.blocks[stream] = deque(block)

    def _next_block(self) -> list[_Entry[Item]]:
        size = min(self.most, max(1, self.left // (2 * BLOCKS_IN_HAND * len(self.pool.workers))))
        block: list[_Entry[Item]] = []
        while len(block) < size and self.taken - self.next < self.window:
            item, settled = next(self.items, (None, None))
            if item is None:
                self.exhausted = True
                break
            if settled is None:
                block.append(_Entry(self.taken, item))
            else:
                self.done[self.taken] = settled
            self.taken += 1
            self.left -= 1
        return block

    def _take_in(self) -> None:
        """Wait for news of any worker, and for a little while only."""
        workers = self.pool.workers
        streams = {stream: worker for worker in workers for stream in worker.blocks}
        openings = {worker.opening: worker for worker in workers if worker.opening is not None}
        everything = [*streams, *openings]
        ready, _ = ray.wait(everything, timeout=PATIENCE)
        if ready:
            ready, _ = ray.wait(everything, num_returns=len(everything), timeout=0)
        for one in ready:
            if one in openings:
                self.pool._opened(openings[one], self.pool.about)
            elif streams[one] in workers:  # it may be lost by now, with all its streams
                self._hear(streams[one], one)

    def _hear(self, worker: _Worker[Item], stream: Any) -> None:
        waiting = worker.blocks[stream]
        try:
            result = ray.get(next(stream))
        except StopIteration:
            if waiting and not self.stopping:
                raise RuntimeError(f"{len(waiting)} items came back without a result") from None
            del worker.blocks[stream]
            worker.alone = worker.alone and bool(worker.blocks)
        except RayTaskError as fault:
            raise _own(fault) from fault
        except RayError as fault:
            self._bury(worker, fault)
        else:
            if isinstance(result, Said):
                self.pool._say(result.line)
            else:
                self.done[waiting.popleft().index] = result

    def _bury(self, worker: _Worker[Item], fault: RayError) -> None:
        """Take what a lost worker had in hand to be done again; blame it only where its machine goes on."""
        innocent = isinstance(fault, ActorUnavailableError) or not _is_alive(worker.node)
        self.pool.losses += 1
        self.pool.replace(worker)
        entries = sorted(
            (entry for block in worker.blocks.values() for entry in block), key=lambda entry: entry.index
        )
        for entry in entries:
            entry.deaths += 0 if innocent else 1
            if entry.deaths >= TRIES:
                self.done[entry.index] = self.lost(entry.item, _reason(fault))
        left = [entry for entry in entries if entry.deaths < TRIES]
        self.again = deque(sorted([*self.again, *left], key=lambda entry: entry.index))


def machines() -> list[dict[str, Any]]:
    """Return the cluster's machines that are alive, in Ray's words."""
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call, unused-ignore]
    return [machine for machine in found if machine["Alive"]]


def _is_alive(node: str) -> bool:
    return any(machine["NodeID"] == node for machine in machines())


def _reason(fault: RayError) -> str:
    """Return why a worker died, without Ray's many words around it."""
    words = " ".join(str(fault).split())
    for mark in ("Worker exit detail: ", "The actor is dead because "):
        if mark in words:
            words = words.rpartition(mark)[2]
            break
    return words.partition(". ")[0].rstrip(".")


def _own(fault: RayTaskError) -> Exception:
    """Return what was raised in the worker."""
    cause = fault.cause
    if isinstance(cause, CycleRDMError):
        return cause
    return ClusterError(f"a worker failed: {type(cause).__name__}: {' '.join(str(cause).split())}")
