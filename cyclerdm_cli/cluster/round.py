"""One round of a pool's work: items go out in blocks, what became of each comes back in the items' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from cyclerdm_cli.cluster.losses import is_innocent, raised_within, reason
from cyclerdm_cli.cluster.staff import BLOCKS_IN_HAND, Entry, Staff, Worker
from cyclerdm_cli.cluster.station import Said

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_WORKERS_LOST = 2
"""Over one item, until it counts as the cause."""
SECONDS_BETWEEN_LOOKS = 0.2
"""At whether the work shall stop."""


class Round(Generic[Item, Result]):
    """One `map`: what is in hand, what is to be done again, what is done and waits for its turn."""

    def __init__(
        self,
        staff: Staff[Item],
        items: Iterator[tuple[Item, Result | None]],
        count: int,
        lost: Callable[[Item, str], Result],
        stopped: Callable[[], bool],
        window: int,
        most: int,
    ) -> None:
        self.window, self.most = window, most
        self.staff, self.items, self.left = staff, items, count
        self.lost, self.stopped = lost, stopped
        self.stopping = self.exhausted = False
        self.taken = self.next = 0
        self.again: deque[Entry[Item]] = deque()
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
            if any(worker.blocks for worker in self.staff.workers) or (self.again and not self.stopping):
                self._take_in()
            elif self.exhausted or self.stopping:
                break
        yield from (self.done[index] for index in sorted(self.done))

    def _stop(self) -> None:
        self.stopping = True
        for worker in self.staff.workers:
            if worker.blocks:
                worker.actor.stop.remote()

    def _give_out(self) -> None:
        for depth in range(1, BLOCKS_IN_HAND + 1):
            for worker in self.staff.workers:
                if worker.opening is not None or worker.alone or len(worker.blocks) >= depth:
                    continue
                # What a worker was lost over is tried with nothing beside it, so that only the guilty are blamed.
                if self.again:
                    if not worker.blocks:
                        worker.alone = True
                        self._give(worker, [self.again.popleft()], again=True)
                elif block := self._next_block():
                    self._give(worker, block, again=False)

    def _give(self, worker: Worker[Item], block: list[Entry[Item]], again: bool) -> None:
        stream = worker.actor.handle.options(num_returns="streaming").remote(
            [entry.item for entry in block], again
        )
        worker.blocks[stream] = deque(block)

    def _next_block(self) -> list[Entry[Item]]:
        size = min(self.most, max(1, self.left // (2 * BLOCKS_IN_HAND * len(self.staff.workers))))
        block: list[Entry[Item]] = []
        while len(block) < size and self.taken - self.next < self.window:
            item, settled = next(self.items, (None, None))
            if item is None:
                self.exhausted = True
                break
            if settled is None:
                block.append(Entry(self.taken, item))
            else:
                self.done[self.taken] = settled
            self.taken += 1
            self.left -= 1
        return block

    def _take_in(self) -> None:
        """Wait for news of any worker, and for a little while only."""
        workers = self.staff.workers
        streams = {stream: worker for worker in workers for stream in worker.blocks}
        openings = {worker.opening: worker for worker in workers if worker.opening is not None}
        everything = [*streams, *openings]
        ready, _ = ray.wait(everything, timeout=SECONDS_BETWEEN_LOOKS)
        if ready:
            ready, _ = ray.wait(everything, num_returns=len(everything), timeout=0)
        for one in ready:
            if one in openings:
                self.staff.take_in(openings[one], self.staff.about)
            elif streams[one] in workers:  # it may be lost by now, with all its streams
                self._hear(streams[one], one)

    def _hear(self, worker: Worker[Item], stream: Any) -> None:
        waiting = worker.blocks[stream]
        try:
            result = ray.get(next(stream))
        except StopIteration:
            if waiting and not self.stopping:
                raise RuntimeError(f"{len(waiting)} items came back without a result") from None
            del worker.blocks[stream]
            worker.alone = worker.alone and bool(worker.blocks)
        except RayTaskError as fault:
            raise raised_within(fault) from fault
        except RayError as fault:
            self._bury(worker, fault)
        else:
            if isinstance(result, Said):
                self.staff.say(result.line)
            else:
                self.done[waiting.popleft().index] = result

    def _bury(self, worker: Worker[Item], fault: RayError) -> None:
        """Take what a lost worker had in hand to be done again; blame it only where its machine goes on."""
        innocent = is_innocent(worker.node, fault)
        self.staff.losses += 1
        self.staff.replace(worker)
        entries = sorted(
            (entry for block in worker.blocks.values() for entry in block), key=lambda entry: entry.index
        )
        for entry in entries:
            entry.deaths += 0 if innocent else 1
            if entry.deaths >= MOST_WORKERS_LOST:
                self.done[entry.index] = self.lost(entry.item, reason(fault))
        left = [entry for entry in entries if entry.deaths < MOST_WORKERS_LOST]
        self.again = deque(sorted([*self.again, *left], key=lambda entry: entry.index))
