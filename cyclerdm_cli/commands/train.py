"""`cyclerdm train`: from a folder of photographs to a file of weights."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyclerdm_cli.commands import train_prompts, train_verdict
from cyclerdm_cli.commands.inputs import refuse_inputs
from cyclerdm_cli.commands.recipe_options import recipe_options
from cyclerdm_cli.commands.reporting import INTERRUPTED, faults_in_one_line, put_line, words
from cyclerdm_cli.commands.task_words import task_names
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import TASKS, Task, find_task, new_task

if TYPE_CHECKING:
    from cyclerdm_cli.training.run import Run


def add_to(app: typer.Typer) -> None:
    """Add `train` to the program."""

    @app.command(
        help="Train weights from clean photographs, where the damage is made on the fly, or from pairs.\n\n"
        "Example: [bold]cyclerdm train --task derain --data photos --minutes 20 --out runs/derain[/]"
    )
    @faults_in_one_line
    @recipe_options
    def train(
        data: Annotated[
            list[str],
            typer.Option(
                "--data",
                help="A folder of clean photographs, or of pairs in DIR/lq and DIR/gt. May be repeated.",
            ),
        ],
        task: Annotated[
            str | None,
            typer.Option(
                "--task",
                help="A task, or several with commas between, or all, one after the other; a new name for pairs.",
            ),
        ] = None,
        model: Annotated[
            str,
            typer.Option(
                "--model",
                help="compact, the network that restores; prompts, the CLIP behind --task auto and --prompt; or "
                "verdict, what --task auto thinks of tasks that it tries.",
            ),
        ] = "compact",
        out: Annotated[Path, typer.Option("--out", help="Folder for weights, log and checkpoint.")] = Path(
            "runs/train"
        ),
        valid: Annotated[
            Path | None,
            typer.Option(
                "--valid", help="Photographs to measure on; else every 20th of the data is kept apart."
            ),
        ] = None,
        recipe: Annotated[
            str,
            typer.Option("--recipe", help="package, as the package's weights are made, or a file in TOML."),
        ] = "package",
        config: Annotated[Path | None, typer.Option("--config", help="The same as --recipe FILE.")] = None,
        init: Annotated[
            str | None,
            typer.Option(
                "--init",
                help="Weights to start from, in all parts that fit: a name or a file; for prompts and verdict, "
                "builtin or a file.",
            ),
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", help="Replace a run that --out holds already.")
        ] = False,
        device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
        licence: Annotated[
            str, typer.Option("--licence", help="Of the weights; written into them.")
        ] = "unspecified",
        data_note: Annotated[
            str,
            typer.Option("--data-note", help="Where the photographs come from; written into the weights."),
        ] = "",
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Print the recipe, the data found and an estimate.")
        ] = False,
        *,
        fields: dict[str, Any],
    ) -> None:
        if config is not None:
            recipe = str(config)
        read = [recipe, init], [valid, *map(Path, data)]
        if model in ("prompts", "verdict"):
            if task is not None:
                raise UsageError(f"--task goes with --model compact, not with {model}")
            refuse_to_train_over(out, *read)
            request = train_prompts.Request(data, out, init, resume, device, licence, data_note, dry_run)
            (train_prompts if model == "prompts" else train_verdict).carry_out(request, fields, config)
            return
        if model != "compact":
            raise UsageError(f"unknown model {model!r}", hint="one of: compact, prompts, verdict")
        if task is None:
            raise UsageError("train needs --task", hint="a task, several with commas between, or all")
        tasks = _tasks(task, data)
        common = _Common(
            recipe, fields, data, out, valid, init, resume, overwrite, device, licence, data_note
        )
        for one in tasks:
            refuse_to_train_over(out if len(tasks) == 1 else out / one.name, *read)
        for one in tasks:
            _train(common.run_of(one, alone=len(tasks) == 1), dry_run)


@dataclass(frozen=True)
class _Common:
    """What the runs of several tasks share."""

    recipe: str
    fields: dict[str, Any]
    data: list[str]
    out: Path
    valid: Path | None
    init: str | None
    resume: bool
    overwrite: bool
    device: str
    licence: str
    data_note: str

    def run_of(self, task: Task, alone: bool) -> Run:
        """Return the run of one task; several have a folder each."""
        from cyclerdm_cli.training.recipe import read_recipe
        from cyclerdm_cli.training.run import Run, data_folders

        return Run(
            task,
            read_recipe(task, self.device, self.recipe, self.fields),
            data_folders(self.data),
            self.out if alone else self.out / task.name,
            self.valid,
            self.init,
            self.resume,
            self.overwrite,
            self.device,
            self.licence,
            self.data_note,
            Path(self.recipe).name,
        )


def _train(run: Run, dry_run: bool) -> None:
    """Train one task, or say what would be done."""
    from cyclerdm_cli.training.run import estimate, find_data, perform

    if dry_run:
        found = find_data(run)
        put_line(json.dumps({**asdict(run.recipe), "data": str(found), **estimate(run, found)}, indent=2))
        return
    asked_to_stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked_to_stop.append(received))
    console = words()
    weights = perform(
        run,
        say=lambda line: console.print(line, markup=False),
        stopped=lambda: bool(asked_to_stop),
        report=lambda record: console.print(_line(record), markup=False),
    )
    if asked_to_stop:
        console.print(f"stopped; the same command with --resume goes on in {run.out}", markup=False)
        raise typer.Exit(INTERRUPTED)
    put_line(str(weights))


RESULTS = (
    "weights.safetensors", "recipe.json", "log.jsonl", "checkpoint.pt", "curves.png", "samples.png",
    "clip.safetensors", "evidence.pt",
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


def _tasks(wanted: str, data: list[str]) -> tuple[Task, ...]:
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
        return f"{record['iteration']} iterations, dB gained: {gains}"
    share = record["share"]
    left = f", {record['minutes'] * (1 / share - 1):.0f} min left" if share > 0.01 else ""
    return (
        f"{record['iteration']} iterations, {record['minutes']:.1f} min{left}, "
        f"{record['patches_per_second']:.0f} patches/s, phase {record['phase'] + 1}, loss {record['loss']:.4f}"
    )
