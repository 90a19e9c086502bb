"""One measurement of speed in a process of its own, so that its memory and its start are its own.

`python -m cyclerdm_cli.benchmark.probe` reads a task as JSON from standard input and writes what it measured.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cyclerdm_cli.benchmark.cost import SIDE as COST_SIDE
from cyclerdm_cli.benchmark.cost import PeakMemory, gmac, machine
from cyclerdm_cli.benchmark.stopwatch import Stopwatch, wait_for
from cyclerdm_cli.cycle.paper import PaperNetwork
from cyclerdm_cli.device import PRECISIONS, choose_engine
from cyclerdm_cli.pictures.atomic import write_atomically
from cyclerdm_cli.pictures.listing import list_inputs
from cyclerdm_cli.pictures.naming import plan_outputs
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode
from cyclerdm_cli.restoring.batch import LARGE, Watch, restore_files
from cyclerdm_cli.restoring.one_file import FileOptions, Work
from cyclerdm_cli.restoring.outcome import Outcome
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.restoring.restorers import Kit, Restorers
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.weights.choosing import Choice
from cyclerdm_cli.weights.loading import load_network

PAPER = "paper"
"""In place of a file of weights: the authors' network with random numbers, which take the same time."""
PAPER_WARM_UP = 64
"""Pixels a side that the authors' network is warmed up on."""
EVALUATIONS = 10
"""Of the authors' network in each stage."""


@dataclass(frozen=True)
class Errand:
    """What one process measures."""

    picture: str
    """A file, or a folder of files that are restored as a batch."""
    weights: str
    """A file, or PAPER."""
    task: str
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    warm: bool = False
    """Restore once beforehand: for what a second picture takes."""
    launched: float = 0.0
    """When the process was started, in seconds of `time.time`."""


def measure(errand: Errand) -> dict[str, Any]:
    """Return seconds and MiB by what they were for, the device, the precision, and the machine."""
    engine = choose_engine(errand.device, errand.precision, tuple(PRECISIONS))
    paper = errand.weights == PAPER
    network = PaperNetwork().eval().requires_grad_(False) if paper else load_network(Path(errand.weights))[0]
    watch = Stopwatch(network)
    # One evaluation a stage stands for all ten: they are alike.
    options = RestoreOptions(tile=errand.tile, steps=1 if paper else 0)
    path = Path(errand.weights)
    given = {errand.task: Choice(path.name, path, 0, None)}
    kit = Kit(given, options, {}, errand.device, errand.precision, networks={path: watch})
    restorers = Restorers(kit, [errand.task])
    restorers.open()
    found: dict[str, Any] = {"start": time.time() - errand.launched}
    memory = PeakMemory(engine.device)
    memory.start()
    source = Path(errand.picture)
    if source.is_dir():
        found |= _folder(source, restorers, errand)
    else:
        found |= _file(source, restorers.for_task(errand.task), watch, errand)
    if paper:
        seconds = found["seconds"]
        further = (EVALUATIONS - 1) * sum(seconds[f"stage {stage}"] for stage in (1, 2, 3))
        found["seconds"] = seconds | {
            name: seconds[name] + further for name in ("network", "restoring", "whole")
        }
    precision = next(word for word, dtype in PRECISIONS.items() if dtype == engine.precision)
    if errand.warm and not paper:
        stages = options.stages_of(network)
        found["gmac_a_megapixel"] = gmac(network, 0, stages) * 1e6 / COST_SIDE**2
    found |= {"device": engine.device.type, "precision": precision, "memory_mib": memory.read()}
    return found | {"machine": machine(engine.device)}


def _file(source: Path, restorer: Restorer, watch: Stopwatch, errand: Errand) -> dict[str, Any]:
    began = time.perf_counter()
    picture = read_picture(source)
    read = time.perf_counter()
    height, width = picture.size
    large = height * width >= LARGE and not errand.warm and picture.pixels.flags.writeable
    if errand.warm:
        side = PAPER_WARM_UP if errand.weights == PAPER else None  # all of it would take it a minute
        restorer.restore(picture.pixels[:side, :side])
        watch.seconds.clear()
    wait_for(restorer.engine.device)
    ready = time.perf_counter()
    pixels = restorer.restore(picture.pixels, in_place=large)
    restored = time.perf_counter()
    data = encode(picture.with_pixels(pixels), WriteOptions())
    with tempfile.TemporaryDirectory() as folder:
        write_atomically(Path(folder) / source.name, data)
        written = time.perf_counter()
    stages = dict(watch.seconds)
    network = sum(stages.values())
    seconds = {
        "reading": read - began,
        **stages,
        "wavelet, tiles": restored - ready - network,
        "writing": written - restored,
        "network": network,
        "restoring": restored - ready,
        "whole": read - began + written - ready,
    }
    return {
        "megapixels": height * width / 1e6,
        "seconds": seconds,
        "to_file": time.time() - errand.launched,
    }


def _folder(source: Path, restorers: Restorers, errand: Errand) -> dict[str, Any]:
    if errand.warm:
        small = np.zeros((256, 256, 3), np.uint8)
        restorers.for_task(errand.task).restore(small)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_outputs(list_inputs([str(source)]), f"{folder}/", errand.task)
        work = Work(restorers, [find_task(errand.task)], FileOptions())
        began = time.perf_counter()
        restore_files(work, plan, Watch(outcomes.append))
        spent = time.perf_counter() - began
    areas = [outcome.size[0] * outcome.size[1] for outcome in outcomes if outcome.size]
    return {"megapixels": sum(areas) / 1e6, "pictures": len(areas), "seconds": {"whole": spent}}


def main() -> None:
    """Measure what standard input asks for."""
    json.dump(measure(Errand(**json.load(sys.stdin))), sys.stdout)


def to_json(errand: Errand) -> str:
    """Return what `main` reads."""
    return json.dumps(asdict(errand))


if __name__ == "__main__":
    main()
