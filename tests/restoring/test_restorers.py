"""A restorer for each task: made once, with its own weights and options, in threads too, and ready to travel."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_network

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.restoring import networks as module
from cyclerdm_cli.restoring.resting import TakesTurns, Turn
from cyclerdm_cli.restoring.restorer import RestoreOptions
from cyclerdm_cli.restoring.restorers import Kit, Restorers
from cyclerdm_cli.weights.choosing import choose
from cyclerdm_cli.weights.entry import Entry

TASKS = ("derain", "dehaze", "denoise", "desnow")


def kit(options: RestoreOptions | None = None, **others: Any) -> Kit:
    weights = {task: choose("small", task) for task in TASKS}
    return Kit(weights, options or RestoreOptions(), device="cpu", precision="fp32", **others)


def test_a_file_is_loaded_once_whichever_threads_ask(families: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = module.load_network

    def slowly(path: Path, *others: Any) -> Any:
        loaded.append(path.stem)
        time.sleep(0.05)
        return load(path, *others)

    monkeypatch.setattr(module, "load_network", slowly)
    restorers = Restorers(kit())
    assert loaded == []
    with ThreadPoolExecutor(8) as threads:
        found = [*threads.map(restorers.for_task, TASKS * 4)]
    assert sorted(loaded) == ["small", "small-dehaze", "small-derain"]
    assert found[2] is found[3], "two tasks of one file at one strength share a restorer"
    assert len(set(map(id, found))) == 3


def test_what_cannot_be_had_is_asked_for_once(families: Path) -> None:
    asked = []

    def bring(entry: Entry) -> None:
        asked.append(entry.name)
        raise WeightsError("not to be had")

    restorers = Restorers(kit(bring=bring))
    for _ in range(2):
        with pytest.raises(WeightsError, match="not to be had"):
            restorers.for_task("derain")
    assert asked == ["small-derain"]


def test_each_task_has_its_own_strength_and_shares_all_other_options(families: Path) -> None:
    restorers = Restorers(kit(RestoreOptions(strength=0.9, seed=7), strengths={"desnow": 0.5}))
    strengths = [restorers.for_task(task).options.strength for task in TASKS]
    assert strengths == [0.9, 0.9, 0.9, 0.5]
    assert {restorers.for_task(task).options.seed for task in TASKS} == {7}
    denoise, desnow = restorers.for_task("denoise"), restorers.for_task("desnow")
    assert denoise.network is desnow.network, "the network itself is there once"


def test_a_kit_that_travels_needs_no_files(families: Path, photograph: np.ndarray) -> None:
    expected = Restorers(kit()).for_task("dehaze").restore(photograph)
    gathered = kit().gathered()
    for path in families.iterdir():
        path.unlink()
    found = Restorers(gathered, ["derain", "dehaze"]).for_task("dehaze").restore(photograph)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("small_program")
def test_memory_is_reckoned_by_the_tasks_in_use(families: Path) -> None:
    limit = 10**9
    limited = Restorers(kit(RestoreOptions(memory=limit)), ["derain", "dehaze"])
    alone = [limited.for_task(task).planner.needs((400, 600), 10**6, 10**6) for task in ("derain", "dehaze")]
    assert limited.needs((400, 600), 10**6, 10**6) == max(alone) > 0
    assert limited.room.size == limited.for_task("derain").planner.room.size
    # Networks that are all in memory leave less to each.
    gathered = kit(RestoreOptions(memory=limit)).gathered()
    numbers = sum(parameter.numel() for parameter in tiny_network().parameters())
    assert gathered.options_for("derain").memory == limit - 2 * 4 * numbers
    free = Restorers(kit(), ["derain"])
    assert (free.needs((400, 600), 0, 0), free.room.size) == (0, None)


def test_tiles_are_counted_task_by_task(families: Path) -> None:
    restorers = Restorers(kit(RestoreOptions(tile=64)))
    one = len(restorers.for_task("derain").planner.plan((100, 200)))
    assert restorers.tiles((100, 200), ["derain", "dehaze"]) == 2 * one
    assert restorers.tiles((100, 200), []) == 0
    assert restorers.pictures_together((100, 200), []) == 1


def test_networks_that_take_turns_are_one_in_memory() -> None:
    turn, loads = Turn(), []

    def network(number: int) -> TakesTurns:
        def load(place: torch.device) -> Any:
            loads.append(number)
            return tiny_network(number).to(place)

        return TakesTurns(load, turn)

    one, two = network(1), network(2)
    assert (one.within, two.within is None) == (None, False)
    assert (one.multiple, one.draws_noise) == (two.multiple, two.draws_noise)
    assert loads == [1, 2], "what planning asks for wakes nothing"
    one.awake()
    assert (one.within is None, two.within) == (False, None)
    assert loads == [1, 2, 1]
    two.to("cpu")
    assert loads == [1, 2, 1, 2]
