"""Workers on a Ray cluster: hired, waited for, taken in or sent away, and replaced when they are lost."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from cyclerdm_cli import __version__
from cyclerdm_cli.cluster.losses import raised_within, reason
from cyclerdm_cli.cluster.share import Share
from cyclerdm_cli.cluster.station import About, Host, Station
from cyclerdm_cli.errors import ClusterError
from cyclerdm_cli.processor import ways_to_wait

Item = TypeVar("Item")
BLOCKS_IN_HAND = 2
"""Of a worker: it begins the next while the last items of the first are being written."""
MOST_FAILED_STARTS = 3
"""Workers that may die one after the other while they start."""
SECONDS_UNTIL_TOLD = 30
"""Until people are told that the cluster has no room yet."""


@dataclass
class Entry(Generic[Item]):
    """An item on its way."""

    index: int
    """Its place among all items."""
    item: Item
    deaths: int = 0
    """Workers that were lost over it."""


@dataclass(eq=False)
class Worker(Generic[Item]):
    """One that was hired, and what it has in hand."""

    actor: Any
    opening: Any
    """What `open` returns, until it has."""
    node: str = ""
    blocks: dict[Any, deque[Entry[Item]]] = field(default_factory=dict)
    """By the stream of their results: what is not done yet of each block in hand."""
    alone: bool = False
    """Whether it has an item in hand that nothing else may come with."""


class Staff(Generic[Item]):
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
        self.share, self.say = share, say
        self._make = ray.put(make)
        self._failed_starts = 0
        self.losses = 0
        """Workers lost so far."""
        self.workers: list[Worker[Item]] = [self._hire() for _ in range(share.workers)]
        about: About | None = None
        while about is None:
            opened, _ = ray.wait([worker.opening for worker in self.workers], timeout=SECONDS_UNTIL_TOLD)
            if not opened:
                say(f"the cluster has no room yet for {share}: waiting")
            for worker in [worker for worker in self.workers if worker.opening in opened]:
                about = self.take_in(worker, about)
        self.about = about

    def _hire(self) -> Worker[Item]:
        asked = {
            "num_cpus": self.share.cpus, "num_gpus": self.share.gpus,
            "runtime_env": {"env_vars": ways_to_wait()},
        }  # fmt: skip
        host = ray.remote(Host).options(**asked, max_concurrency=BLOCKS_IN_HAND + 1)
        actor: Any = host.remote(self._make, os.getcwd(), __version__)
        return Worker(actor, actor.open.remote())

    def take_in(self, worker: Worker[Item], first: About | None) -> About | None:
        """Take in a worker that has started, or another in its place; returns what the first one said."""
        try:
            about, worker.node = ray.get(worker.opening)
        except RayTaskError as fault:
            raise raised_within(fault) from fault
        except RayError as fault:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise ClusterError(f"the cluster's workers die while they start: {reason(fault)}") from fault
            self.replace(worker)
            return first
        worker.opening = None
        self._failed_starts = 0
        if first is not None and about.kind != first.kind:
            self.say(f"a worker of another kind is left out: {about.kind}, the first has {first.kind}")
            self.workers.remove(worker)
            ray.kill(worker.actor)
        return first or about

    def replace(self, worker: Worker[Item]) -> None:
        """Hire another for one that is lost."""
        self.workers.remove(worker)
        ray.kill(worker.actor)
        self.workers.append(self._hire())
