"""`cyclerdm train`: from a folder of photographs to a file of weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cyclerdm_cli.commands import train_prompts, train_verdict
from cyclerdm_cli.commands.inputs import refuse_inputs
from cyclerdm_cli.commands.options import takes
from cyclerdm_cli.commands.recipe_options import recipe_options
from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.commands.train_sitting import sitting
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import TASKS, Task, find_task, new_task
from cyclerdm_cli.tasks.spelling import task_names

if TYPE_CHECKING:
    from cyclerdm_cli.training.run import Run

MODELS_BESIDE = {"prompts": train_prompts.carry_out, "verdict": train_verdict.carry_out}
"""What is trained beside the network that restores, by the words after `--model`."""


def add_to(app: typer.Typer) -> None:
    """Add `train` to the program."""
    app.command(
        help="Train weights from clean photographs, where the damage is made on the fly, or from pairs.\n\n"
        "Example: [bold]cyclerdm train --task derain --data photos --minutes 20 --out runs/derain[/]"
    )(train)


@faults_in_one_line
@recipe_options
@takes(TrainRequest)
def train(request: TrainRequest, *, fields: dict[str, Any]) -> None:
    """Train what was asked for, with the fields of the recipe that were given, or say what would be done."""
    read = [request.recipe_name, request.init], [request.valid, *map(Path, request.data)]
    if request.model in MODELS_BESIDE:
        if request.task is not None:
            raise UsageError(f"--task goes with --model compact, not with {request.model}")
        refuse_to_train_over(request.out, *read)
        MODELS_BESIDE[request.model](request, fields)
        return
    if request.model != "compact":
        raise UsageError(f"unknown model {request.model!r}", hint="one of: compact, prompts, verdict")
    if request.task is None:
        raise UsageError("train needs --task", hint="a task, several with commas between, or all")
    tasks = _tasks(request.task, request.data)
    folders = {task: request.out if len(tasks) == 1 else request.out / task.name for task in tasks}
    for out in folders.values():
        refuse_to_train_over(out, *read)
    for task, out in folders.items():
        _train(_run_of(request, fields, task, out), request.dry_run)


def _run_of(request: TrainRequest, fields: dict[str, Any], task: Task, out: Path) -> Run:
    """Return the run of one task, into a folder of its own."""
    from cyclerdm_cli.training.recipe import read_recipe
    from cyclerdm_cli.training.run import Run, data_folders

    return Run(
        task,
        read_recipe(task, request.device, request.recipe_name, fields),
        data_folders(list(request.data)),
        out,
        request.valid,
        request.init,
        request.resume,
        request.overwrite,
        request.device,
        request.licence,
        request.data_note,
        Path(request.recipe_name).name,
    )


def _train(run: Run, dry_run: bool) -> None:
    """Train one task, or say what would be done."""
    from cyclerdm_cli.training.run import estimate, find_data, perform

    if dry_run:
        found = find_data(run)
        put_line(json.dumps({**asdict(run.recipe), "data": str(found), **estimate(run, found)}, indent=2))
        return
    with sitting(run.out) as (say, stopped):
        weights = perform(run, say, stopped, report=lambda record: say(_line(record)))
    put_line(str(weights))


RESULTS = (
    "weights.safetensors", "recipe.json", "log.jsonl", "checkpoint.pt", "curves.png", "curves.html",
    "samples.png", "clip.safetensors", "evidence.pt",
)  # fmt: skip
"""What trainings write into their folder."""


def refuse_to_train_over(
    out: Path, files: Iterable[Path | str | None], folders: Iterable[Path | None]
) -> None:
    """Raise UsageError where what a training writes would take the place of what it reads."""
    refuse_inputs((out / name for name in dict.fromkeys(RESULTS)), (Path(file) for file in files if file))
    for folder in filter(None, folders):
        if out.resolve() in {(folder / part).resolve() for part in ("", "lq", "gt")}:
            raise UsageError(
                f"--out {out}: the results would lie among the photographs", hint="another folder for --out"
            )


def _tasks(wanted: str, data: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks to train; a name that the catalogue lacks is a new one where all data are pairs."""
    if wanted.strip().casefold() == "all":
        return TASKS
    names = task_names(wanted)
    known = [task.name for task in TASKS]
    if len(set(names)) < len(names):
        raise UsageError(f"--task {wanted}: a task is named twice")
    pairs = len(names) == 1 and all((Path(word) / "lq").is_dir() for word in data)
    return tuple(new_task(name) if name not in known and pairs else find_task(name) for name in names)


def _line(record: dict[str, Any]) -> str:
    if "validation" in record:
        gains = ", ".join(f"{task} {gain:+.2f}" for task, gain in record["validation"].items())
        learned = "".join(
            f" ({gain:+.2f} on pairs learned from)" for gain in record.get("learned", {}).values()
        )
        return f"{record['iteration']} iterations, dB gained: {gains}{learned}"
    share = record["share"]
    left = f", {record['minutes'] * (1 / share - 1):.0f} min left" if share > 0.01 else ""
    return (
        f"{record['iteration']} iterations, {record['minutes']:.1f} min{left}, "
        f"{record['patches_per_second']:.0f} patches/s, phase {record['phase'] + 1}, loss {record['loss']:.4f}"
    )
