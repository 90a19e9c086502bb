"""What works in a worker's process, and what passes between it and the pool."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import ray

from cyclerdm_cli import __version__
from cyclerdm_cli.errors import ClusterError


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
        """Have the station work on a block."""
        yield from self._station.handle(block, again)

    def stop(self) -> None:
        """Have the station end the blocks in hand."""
        self._station.stop()
