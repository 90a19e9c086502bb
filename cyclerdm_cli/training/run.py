"""A training run as a whole: from folders of pictures to a file of weights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.cycle.compact_configuration import CompactConfig
from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.errors import DataError, UsageError
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.training.batches import BatchSource
from cyclerdm_cli.training.beginning import ARCHITECTURE, find_parent, start_network
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.examining import examiner
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.page import write_page
from cyclerdm_cli.training.photographs import (
    FITTED,
    SIZES,
    hold_out,
    pairs_in,
    pictures_in,
    read_pairs,
    read_photographs,
)
from cyclerdm_cli.training.processes import Processes
from cyclerdm_cli.training.ranges import measure_ranges
from cyclerdm_cli.training.records import LOG, RunLog, draw_curves
from cyclerdm_cli.training.trainer import CHECKPOINT, train
from cyclerdm_cli.weights.checking import sha256_of
from cyclerdm_cli.weights.file import Header, read_header, write_weights

RECIPE, WEIGHTS = "recipe.json", "weights.safetensors"
Say = Callable[[str], None]


@dataclass(frozen=True)
class DataFolder:
    """A folder to learn from."""

    path: Path
    pairs: bool = False
    """Whether it holds pairs, in `lq` and `gt`; otherwise clean photographs."""


@dataclass(frozen=True)
class Run:
    """All that is asked of a run."""

    task: Task
    recipe: TrainingConfig
    data: tuple[DataFolder, ...]
    out: Path
    valid: Path | None = None
    """Clean photographs to measure on; without, every twentieth of the data is kept apart."""
    init: str | None = None
    """Weights to start from: a name or a file."""
    resume: bool = False
    overwrite: bool = False
    """Whether a run that the folder holds already is replaced."""
    device: str = "auto"
    licence: str = "unspecified"
    data_note: str = ""
    recipe_name: str = ""
    """What the recipe is called in the lineage of the weights."""


@dataclass(frozen=True)
class DataFound:
    """The files of a run."""

    photographs: tuple[Path, ...]
    pairs: tuple[tuple[tuple[Path, Path], ...], ...]
    """A row of pairs for each folder."""
    held_photographs: tuple[Path, ...]
    held_pairs: tuple[tuple[Path, Path], ...]

    def __str__(self) -> str:
        """Say how many there are, in words."""
        parts = [f"{len(self.photographs)} photographs"] if self.photographs else []
        parts += [f"{sum(map(len, self.pairs))} pairs"] if self.pairs else []
        held = len(self.held_photographs) + len(self.held_pairs)
        return " and ".join(parts) + (f", {held} kept apart to measure on" if held else "")


def find_data(run: Run) -> DataFound:
    """List the files of a run.

    Raises:
        DataError: a folder is missing or empty, a pair is incomplete, or there is nothing to learn from.
    """
    photographs: list[Path] = []
    held_photographs = pictures_in(run.valid) if run.valid else []
    pairs: list[tuple[tuple[Path, Path], ...]] = []
    held_pairs: tuple[tuple[Path, Path], ...] = ()
    for folder in run.data:
        if folder.pairs:
            learned, held = hold_out(pairs_in(folder.path))
            pairs.append(tuple(learned))
            held_pairs += tuple(held)
        else:
            found = pictures_in(folder.path)
            learned_photographs, held_out = (found, []) if run.valid else hold_out(found)
            photographs += learned_photographs
            held_photographs += held_out
    if not pairs and not (photographs and run.task.degrades):
        raise DataError(
            f"nothing to learn {run.task.name} from",
            hint="--data takes clean photographs"
            if run.task.degrades
            else "--data DIR takes pairs, in DIR/lq and DIR/gt",
        )
    return DataFound(tuple(photographs), tuple(pairs), tuple(held_photographs), held_pairs)


def perform(
    run: Run, say: Say, stopped: Callable[[], bool], report: Callable[[dict[str, Any]], None]
) -> Path:
    """Train, and write into the run's folder the weights, the log, curves as a picture and a page, and samples.

    Args:
        run: what is asked.
        say: is given lines for people.
        stopped: asked after each iteration; True ends the sitting after a checkpoint.
        report: is given each record of the log.

    Returns:
        The file of weights; where the run was stopped it is that of the averaged weights so far.

    Raises:
        CycleRDMError: bad data, weights that do not fit, a loss that is not finite, a full disk.
    """
    processes = Processes.joined()
    try:
        return _perform(run, processes, say, stopped, report)
    finally:
        processes.leave()


def _perform(
    run: Run, processes: Processes, say: Say, stopped: Callable[[], bool],
    report: Callable[[dict[str, Any]], None],
) -> Path:  # fmt: skip
    engine = choose_engine(run.device)
    found = find_data(run)
    again = processes.started_again(engine.device)
    going_on = processes.leads and again and _has_own_checkpoint(run.out)
    resume = run.resume or processes.any_of(going_on, engine.device)
    if processes.leads and not resume and not again:
        _clear(run)
    network = start_network(run.task, run.recipe, run.init).to(engine.device)
    source = read_source(run, found, engine.device, processes)
    log = None
    if processes.leads:
        _begin(run, f"{found}; {engine}", source, again, resume, say)
        log = RunLog(run.out)

    def write_down(record: dict[str, Any]) -> None:
        if log is not None:
            log.add(record)
            report(record)
            if "validation" in record:
                write_page(run.out, run.out.name, log.read())

    values = train(
        network, source, run.recipe, run.out, processes=processes, resume=resume, stopped=stopped,
        report=write_down, examine=examiner(run, found, engine.device, log, say),
    )  # fmt: skip
    path = run.out / WEIGHTS
    if processes.leads:
        header = _header(run, network.config, found)
        if not stopped():
            header = replace(header, ranges=_measure(network.config, values, source, run.recipe))
        write_weights(path, values, header)
        if log is not None:
            records = log.read()
            draw_curves(records).save(run.out / "curves.png")
            write_page(run.out, run.out.name, records)
    return path


def _measure(
    config: CompactConfig, values: dict[str, torch.Tensor], source: BatchSource, recipe: TrainingConfig
) -> dict[str, Any]:
    """Return the ranges of what flows in the network with the averaged weights."""
    network = CompactNetwork(config)
    network.load_state_dict(values)
    return measure_ranges(network.to(source.device), source, recipe)


def _clear(run: Run) -> None:
    """Remove an earlier run from the folder where that is asked for. Raises UsageError where it is not."""
    left = [run.out / name for name in (CHECKPOINT, WEIGHTS, LOG) if (run.out / name).exists()]
    if left and not run.overwrite:
        raise UsageError(
            f"{run.out}: holds a run already", hint="--resume goes on with it, --overwrite replaces it"
        )
    for path in left:
        path.unlink()


def _begin(run: Run, found: str, source: BatchSource, again: bool, resume: bool, say: Say) -> None:
    """Say what is learned from, and write the recipe down."""
    say(found)
    if source.photographs and source.photographs.left_out:
        names = source.photographs.left_out
        side = run.recipe.largest_scene
        say(f"{len(names)} left out, unreadable or below {side} pixels: {', '.join(names[:5])}")
    run.out.mkdir(parents=True, exist_ok=True)
    if again:
        say("started again: " + ("going on from the last checkpoint" if resume else "no checkpoint yet"))
    else:
        (run.out / RECIPE).write_text(json.dumps(asdict(run.recipe), indent=2) + "\n", encoding="utf-8")


def _header(run: Run, config: CompactConfig, found: DataFound) -> Header:
    """Return what the weights say of themselves, with every run that led to them."""
    created = datetime.now(UTC).date().isoformat()
    data, lineage, parent = run.data_note or str(found), [], None
    if run.init is not None:
        path = find_parent(run.init, run.task)
        lineage, parent = list(read_header(path).lineage), sha256_of(path)
    lineage.append({
        "parent": parent, "recipe": run.recipe_name, "task": run.task.name, "seed": run.recipe.seed,
        "iterations": run.recipe.iterations, "minutes": run.recipe.minutes, "data": data, "created": created,
    })  # fmt: skip
    return Header(
        architecture=ARCHITECTURE, config=config.to_json(), tasks=(run.task.name,), licence=run.licence,
        training_data=data, created=created, training=asdict(run.recipe), lineage=lineage,
    )  # fmt: skip


def _has_own_checkpoint(out: Path) -> bool:
    """Tell whether a checkpoint was written since the run began, rather than by an earlier run in this folder."""
    try:
        return (out / CHECKPOINT).stat().st_mtime_ns >= (out / RECIPE).stat().st_mtime_ns
    except FileNotFoundError:
        return False


def read_source(run: Run, found: DataFound, device: torch.device, processes: Processes) -> BatchSource:
    """Decode what is learned from."""
    scene = run.recipe.largest_scene
    sizes = (*SIZES, FITTED) if run.task.tone else SIZES
    return BatchSource(
        run.task,
        run.recipe,
        read_photographs(found.photographs, scene, device, sizes) if found.photographs else None,
        tuple(read_pairs(row, scene, device) for row in found.pairs),
        device,
        processes.rank,
        processes.world,
    )


def estimate(run: Run, found: DataFound) -> dict[str, Any]:
    """Time a few iterations of each phase on a few of the photographs, and say how long the run will take.

    Returns:
        `patches_per_second` of each phase, and `minutes` or `iterations`, whichever the recipe leaves open.
    """
    engine = choose_engine(run.device)
    few = DataFound(found.photographs[:8], tuple(row[:4] for row in found.pairs), (), ())
    network, objective = (
        start_network(run.task, run.recipe, run.init).to(engine.device),
        Objective(run.recipe),
    )
    source = read_source(run, few, engine.device, Processes())
    speeds, seconds, whole = [], 0.0, sum(phase.share for phase in run.recipe.phases)
    for phase in run.recipe.phases:
        times = []
        for iteration in range(3):
            begun = time.monotonic()
            batch = source.draw(iteration, phase)
            with torch.autocast(engine.device.type, torch.bfloat16, enabled=run.recipe.precision == "bf16"):
                objective(network, batch, phase.stages).backward()  # type: ignore[no-untyped-call]
            if engine.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.monotonic() - begun)
        speeds.append(round(len(batch.clean) / min(times), 1))
        seconds += min(times) * phase.share / whole
    if run.recipe.iterations:
        return {"patches_per_second": speeds, "minutes": round(run.recipe.iterations * seconds / 60, 1)}
    return {"patches_per_second": speeds, "iterations": int(run.recipe.minutes * 60 / seconds)}


def data_folders(words: list[str]) -> tuple[DataFolder, ...]:
    """Read `--data`: a folder with `lq` and `gt` inside holds pairs, any other photographs."""
    return tuple(
        DataFolder(Path(word), (Path(word) / "lq").is_dir() and (Path(word) / "gt").is_dir())
        for word in words
    )
