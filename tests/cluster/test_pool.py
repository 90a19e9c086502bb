"""The pool by itself: order, what is tried again, what is given up."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra cluster")

from cyclerdm_cli.cluster.connection import joined
from cyclerdm_cli.cluster.pool import MOST_IN_A_BLOCK, Pool
from cyclerdm_cli.cluster.share import Share
from cyclerdm_cli.cluster.staff import BLOCKS_IN_HAND
from cyclerdm_cli.cluster.station import About, Said
from cyclerdm_cli.errors import ClusterError, UsageError


def station(folder: Path, fault: Exception | None = None) -> Callable[[], Any]:
    """Return what makes a station that doubles numbers, dies over 13, and leaves a trace of each item."""

    # Inside a function, so that it travels whole: workers know nothing of the tests' folder.
    class Doubler:
        def __init__(self) -> None:
            if fault is not None:
                raise fault

        def about(self) -> About:
            return About("doubling")

        def handle(self, block: Sequence[int], again: bool) -> Iterator[Any]:
            for number in block:
                with (folder / str(number)).open("a") as trace:
                    trace.write(f"{os.getpid()}\n")
                if number == 13:
                    os._exit(1)
                time.sleep(0.005 if number != 5 or again else 0.3)
                if number == 7:
                    yield Said("seven")
                yield 2 * number

        def stop(self) -> None:
            pass

    return Doubler


def hire(folder: Path, say: Callable[[str], None] = lambda line: None, workers: int = 2) -> Pool[int, int]:
    return Pool(station(folder), Share(workers, 1), say)


def unsettled(numbers: range) -> Iterator[tuple[int, int | None]]:
    return ((number, None) for number in numbers)


def test_results_come_in_order_and_what_kills_is_given_up_after_two_workers(
    address: str, tmp_path: Path
) -> None:
    said: list[str] = []
    with joined(address):
        pool = hire(tmp_path, said.append)
        found = list(pool.map(unsettled(range(60)), 60, lambda number, reason: -number))
        assert found == [-13 if number == 13 else 2 * number for number in range(60)]
        assert said == ["seven"]
        assert pool.losses == 2
        assert len((tmp_path / "13").read_text().splitlines()) == 2
        # Those who were in hand beside it may have been begun twice, and all others once.
        twice = [name for name in range(60) if len((tmp_path / str(name)).read_text().splitlines()) > 1]
        assert 13 in twice
        assert len(twice) <= MOST_IN_A_BLOCK * BLOCKS_IN_HAND


def test_the_items_are_read_no_farther_than_the_window(address: str, tmp_path: Path) -> None:
    taken = 0

    def items() -> Iterator[tuple[int, int | None]]:
        nonlocal taken
        for taken in range(1, 201):
            yield taken, (0 if taken % 2 else None)

    with joined(address):
        most = 0
        found = hire(tmp_path).map(items(), 200, lambda number, reason: -1, window=20)
        for done, result in enumerate(found):
            assert result == (0 if done % 2 == 0 else 2 * (done + 1))
            most = max(most, taken - done)
    assert done == 199
    assert most <= 21
    assert not (tmp_path / "1").exists(), "what is settled goes to no worker"


def test_what_the_station_raises_is_raised_here(address: str, tmp_path: Path) -> None:
    for fault, kind in ((UsageError("no such thing", "another"), UsageError), (KeyError("x"), ClusterError)):
        with joined(address), pytest.raises(kind, match=r"no such thing \(another\)|KeyError"):
            Pool(station(tmp_path, fault), Share(1, 1), print)


def test_workers_that_die_as_they_start_are_not_hired_for_ever(address: str) -> None:
    def make() -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    with joined(address), pytest.raises(ClusterError, match="die while they start"):
        Pool(make, Share(1, 1), print)
