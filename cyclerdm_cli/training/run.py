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

from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork
from cyclerdm_cli.errors import DataError, UsageError, WeightsError
from cyclerdm_cli.restoring.device import Engine, choose_engine
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.data import (
    BatchSource,
    hold_out,
    pairs_in,
    pictures_in,
    read_pairs,
    read_photographs,
)
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.optimizer import parts_of
from cyclerdm_cli.training.processes import Processes
from cyclerdm_cli.training.prompts import prompt_loss
from cyclerdm_cli.training.records import RunLog, Sheet, draw_curves
from cyclerdm_cli.training.trainer import CHECKPOINT, train
from cyclerdm_cli.training.validation import Held, validate
from cyclerdm_cli.weights.file import Header, read_header, write_weights
from cyclerdm_cli.weights.loading import fill
from cyclerdm_cli.weights.registry import locate

RECIPE = "recipe.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class DataFolder:
    """A folder to learn from."""

    path: Path
    task: str = ""
    """Whose pairs it holds; empty for clean photographs."""


@dataclass(frozen=True)
class Run:
    """All that is asked of a run."""

    tasks: tuple[Task, ...]
    recipe: TrainingConfig
    data: tuple[DataFolder, ...]
    out: Path
    valid: Path | None = None
    """Clean photographs to measure on; without, every twentieth of the data is kept apart."""
    init: str | None = None
    """Weights to start from: a name or a file."""
    resume: bool = False
    device: str = "auto"
    licence: str = "unspecified"
    data_note: str = ""


@dataclass(frozen=True)
class DataFound:
    """The files of a run."""

    photographs: tuple[Path, ...]
    pairs: dict[str, tuple[tuple[tuple[Path, Path], ...], ...]]
    """By task, a row of pairs for each folder."""
    held_photographs: tuple[Path, ...]
    held_pairs: dict[str, tuple[tuple[Path, Path], ...]]

    def __str__(self) -> str:
        """Say how many there are, in words."""
        parts = [f"{len(self.photographs)} photographs"] if self.photographs else []
        parts += [f"{sum(map(len, rows))} pairs for {task}" for task, rows in self.pairs.items()]
        held = len(self.held_photographs) + sum(map(len, self.held_pairs.values()))
        return " and ".join(parts) + (f", {held} kept apart to measure on" if held else "")


def find_data(run: Run) -> DataFound:
    """List the files of a run.

    Raises:
        DataError: a folder is missing or empty, a pair is incomplete, or a task has nothing to learn from.
    """
    photographs: list[Path] = []
    held_photographs = pictures_in(run.valid) if run.valid else []
    pairs: dict[str, list[tuple[tuple[Path, Path], ...]]] = {}
    held_pairs: dict[str, tuple[tuple[Path, Path], ...]] = {}
    for folder in run.data:
        if folder.task:
            learned, held = hold_out(pairs_in(folder.path))
            pairs.setdefault(folder.task, []).append(tuple(learned))
            held_pairs[folder.task] = held_pairs.get(folder.task, ()) + tuple(held)
        else:
            found = pictures_in(folder.path)
            learned_photographs, held_out = (found, []) if run.valid else hold_out(found)
            photographs += learned_photographs
            held_photographs += held_out
    for task in run.tasks:
        if task.name not in pairs and not (photographs and task.degrades):
            raise DataError(
                f"nothing to learn {task.name} from",
                hint="--data takes clean photographs"
                if task.degrades
                else f"--data {task.name}=DIR takes pairs",
            )
    return DataFound(
        tuple(photographs),
        {task: tuple(rows) for task, rows in pairs.items()},
        tuple(held_photographs),
        {task: rows for task, rows in held_pairs.items() if rows},
    )


def perform(
    run: Run, say: Say, stopped: Callable[[], bool], report: Callable[[dict[str, Any]], None]
) -> Path:
    """Train and write `weights.safetensors`, `log.jsonl`, `curves.png`, `samples.png` into the run's folder.

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
    network = start_network(run).to(engine.device)
    source = read_source(run, network.config.tasks, found, engine.device, processes)
    held = read_held(run, found, engine.device)
    if processes.leads:
        say(f"{found}; {engine}")
        if source.photographs and source.photographs.left_out:
            names = source.photographs.left_out
            say(
                f"{len(names)} left out, unreadable or below {run.recipe.scene} pixels: {', '.join(names[:5])}"
            )
        run.out.mkdir(parents=True, exist_ok=True)
        if again:
            say("started again: " + ("going on from the last checkpoint" if resume else "no checkpoint yet"))
        else:
            (run.out / RECIPE).write_text(json.dumps(asdict(run.recipe), indent=2) + "\n", encoding="utf-8")
    log = RunLog(run.out) if processes.leads else None

    def write_down(record: dict[str, Any]) -> None:
        if log is not None:
            log.add(record)
            report(record)

    def examine(averaged: torch.nn.Module) -> dict[str, Any]:
        sheet = Sheet()
        precision = torch.bfloat16 if run.recipe.precision == "bf16" else torch.float32
        assert isinstance(averaged, CompactNetwork)
        count = run.recipe.validation_pictures
        scores = validate(averaged, held, run.tasks, count=count, precision=precision, show=sheet.add)
        if sheet.rows:
            sheet.image().save(run.out / "samples.png")
        if log is not None:
            draw_curves(log.read()).save(run.out / "curves.png")
        return {"validation": {name: round(score.gained, 3) for name, score in scores.items()}}

    prompts, right = prompt_loss(run.recipe, source, run.out)
    if prompts is not None:
        say(f"prompts learned: {100 * right:.0f} % of the pictures told right")
    values = train(
        network, source, run.recipe, run.out, objective=Objective(run.recipe.weights, prompts), processes=processes,
        resume=resume, stopped=stopped, report=write_down, examine=examine,
    )  # fmt: skip
    header = Header(
        architecture="compact", config=network.config.to_json(), tasks=network.config.tasks, licence=run.licence,
        training_data=run.data_note or str(found), created=datetime.now(UTC).date().isoformat(),
        training=asdict(run.recipe),
    )  # fmt: skip
    path = run.out / "weights.safetensors"
    if processes.leads:
        write_weights(path, values, header)
        if log is not None:
            draw_curves(log.read()).save(run.out / "curves.png")
    return path


def _has_own_checkpoint(out: Path) -> bool:
    """Tell whether a checkpoint was written since the run began, rather than by an earlier run in this folder."""
    try:
        return (out / CHECKPOINT).stat().st_mtime_ns >= (out / RECIPE).stat().st_mtime_ns
    except FileNotFoundError:
        return False


def start_network(run: Run) -> CompactNetwork:
    """Build the network, new or from `run.init`.

    Weights that know more tasks than are to be trained keep them, as they are: what all tasks share rests.

    Raises:
        WeightsError: the weights do not know a task, or are of another kind.
    """
    torch.manual_seed(run.recipe.seed)
    blurs = tuple(task.name for task in run.tasks if task.blur)
    config = CompactConfig(run.recipe.tasks, tuple(task.name for task in run.tasks if task.tone), blurs)
    if run.init is None:
        return CompactNetwork(config)
    _, path = locate(run.init)
    header = read_header(path)
    if header.architecture != "compact":
        raise WeightsError(f"{path}: --init needs compact weights, these are {header.architecture}")
    config = CompactConfig.from_json(header.config)
    for name in run.recipe.tasks:
        if name not in config.tasks:
            raise WeightsError(f"{path}: does not know {name}", hint=f"it knows {', '.join(config.tasks)}")
    known = CompactNetwork(config)
    fill(known, path)
    network = known
    if not set(blurs) <= set(config.blur_tasks):  # weights from before kernels were looked for
        network = CompactNetwork(replace(config, blur_tasks=tuple(sorted({*config.blur_tasks, *blurs}))))
        network.load_state_dict(known.state_dict(), strict=False)
    if set(run.recipe.tasks) < set(config.tasks):
        for shared in parts_of(network).shared:
            shared.requires_grad_(False)
    return network


def read_source(
    run: Run, table: tuple[str, ...], found: DataFound, device: torch.device, processes: Processes
) -> BatchSource:
    """Decode what is learned from; `table` names the tasks of the network."""
    scene = run.recipe.scene
    return BatchSource(
        run.tasks,
        run.recipe,
        read_photographs(found.photographs, scene, device) if found.photographs else None,
        {task: tuple(read_pairs(row, scene, device) for row in rows) for task, rows in found.pairs.items()},
        device,
        processes.rank,
        processes.world,
        table,
    )


def read_held(run: Run, found: DataFound, device: torch.device) -> Held:
    """Decode what is measured on."""
    side = max(run.recipe.patches)
    return Held(
        read_photographs(found.held_photographs, side, device, (1.0,)) if found.held_photographs else None,
        {task: read_pairs(rows, side, device) for task, rows in found.held_pairs.items()},
    )


def estimate(run: Run, found: DataFound) -> dict[str, Any]:
    """Time three iterations on a few of the photographs, and say how long the run will take.

    Returns:
        `patches_per_second`, and `minutes` or `iterations`, whichever the recipe leaves open.
    """
    engine: Engine = choose_engine(run.device)
    few = DataFound(
        found.photographs[:8], {task: (rows[0][:4],) for task, rows in found.pairs.items()}, (), {}
    )
    network, objective = start_network(run).to(engine.device), Objective(run.recipe.weights)
    source = read_source(run, network.config.tasks, few, engine.device, Processes())
    times, patches = [], 0
    for iteration in range(3):
        begun = time.monotonic()
        batch = source.draw(iteration, 0.5)
        with torch.autocast(engine.device.type, torch.bfloat16, enabled=run.recipe.precision == "bf16"):
            objective(network, batch, 1).backward()  # type: ignore[no-untyped-call]
        patches = len(batch.clean)
        if engine.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.monotonic() - begun)
    seconds = min(times)
    found_out: dict[str, Any] = {"patches_per_second": round(patches / seconds, 1)}
    if run.recipe.iterations:
        found_out["minutes"] = round(run.recipe.iterations * seconds / 60, 1)
    else:
        found_out["iterations"] = int(run.recipe.minutes * 60 / seconds)
    return found_out


def data_folders(words: list[str], tasks: tuple[Task, ...]) -> tuple[DataFolder, ...]:
    """Read `--data`: `DIR` or `TASK=DIR`; a folder with `lq` and `gt` inside holds pairs.

    Raises:
        UsageError: pairs that may belong to several tasks, or to none that is trained.
    """
    folders = []
    for word in words:
        name, sign, rest = word.partition("=")
        if sign and not Path(word).exists():
            if name not in [task.name for task in tasks]:
                raise UsageError(
                    f"--data {word}: {name} is not trained", hint=f"add it to --task, or --data {rest}"
                )
            folders.append(DataFolder(Path(rest), name))
        elif (Path(word) / "lq").is_dir() and (Path(word) / "gt").is_dir():
            if len(tasks) > 1:
                raise UsageError(f"--data {word}: holds pairs of which task?", hint=f"--data TASK={word}")
            folders.append(DataFolder(Path(word), tasks[0].name))
        else:
            folders.append(DataFolder(Path(word)))
    return tuple(folders)
