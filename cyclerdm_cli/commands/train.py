"""`cyclerdm train`: from a folder of photographs to a file of weights."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cyclerdm_cli.commands import train_prompts, train_verdict
from cyclerdm_cli.commands.inputs import refuse_inputs
from cyclerdm_cli.commands.recipe_options import recipe_options
from cyclerdm_cli.commands.reporting import INTERRUPTED, faults_in_one_line, put_line, words
from cyclerdm_cli.commands.task_words import task_name, task_names
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import TASKS, Task, find_task, new_task


def add_to(app: typer.Typer) -> None:
    """Add `train` to the program."""

    @app.command(
        help="Train weights from clean photographs, where the damage is made on the fly, or from pairs.\n\n"
        "Example: [bold]cyclerdm train --task all --data photos --minutes 60 --out runs/first[/]"
    )
    @faults_in_one_line
    @recipe_options
    def train(
        data: Annotated[
            list[str],
            typer.Option(
                "--data",
                help="A folder of clean photographs, or of pairs in DIR/lq and DIR/gt; TASK=DIR says whose pairs. "
                "May be repeated.",
            ),
        ],
        task: Annotated[
            str,
            typer.Option("--task", help="Tasks, with commas between, or all; a new name for pairs alone."),
        ] = "all",
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
        config: Annotated[
            Path | None, typer.Option("--config", help="A recipe in TOML; options given here go before it.")
        ] = None,
        init: Annotated[
            str | None,
            typer.Option(
                "--init",
                help="Weights to start from: a name or a file; for prompts and verdict, builtin or a file.",
            ),
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
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
        recipe: dict[str, Any],
    ) -> None:
        from cyclerdm_cli.training.recipe import read_recipe
        from cyclerdm_cli.training.run import Run, data_folders, estimate, find_data, perform

        refuse_to_train_over(
            out, [config, init and Path(init)], [valid, *(Path(_folder(one)) for one in data)]
        )
        if model in ("prompts", "verdict"):
            request = train_prompts.Request(data, out, init, resume, device, licence, data_note, dry_run)
            (train_prompts if model == "prompts" else train_verdict).carry_out(request, recipe, config)
            return
        if model != "compact":
            raise UsageError(f"unknown model {model!r}", hint="one of: compact, prompts, verdict")
        tasks = _tasks(task, data)
        resolved = read_recipe(
            tuple(one.name for one in tasks), device, config, recipe, warm=init is not None
        )
        run = Run(
            tasks, resolved, data_folders(data, tasks), out, valid, init, resume, device, licence, data_note
        )
        if dry_run:
            found = find_data(run)
            put_line(json.dumps({**asdict(resolved), "data": str(found), **estimate(run, found)}, indent=2))
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
            console.print(f"stopped; the same command with --resume goes on in {out}", markup=False)
            raise typer.Exit(INTERRUPTED)
        put_line(str(weights))


RESULTS = (
    "weights.safetensors", "recipe.json", "log.jsonl", "checkpoint.pt", "curves.png", "samples.png",
    "clip.safetensors", "evidence.pt", "prompts.pt",
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


def _folder(word: str) -> str:
    """Return the folder of a word after --data, which may name a task before it."""
    _, sign, folder = word.partition("=")
    return folder if sign and not Path(word).exists() else word


def _tasks(wanted: str, data: list[str]) -> tuple[Task, ...]:
    """Return the tasks to train; a name that the catalogue lacks is a new one where there are pairs for it."""
    if wanted.strip().casefold() == "all":
        return TASKS
    names = task_names(wanted)
    known = [task.name for task in TASKS]
    pairs = {task_name(word.partition("=")[0]) for word in data if "=" in word}
    if len(names) == 1 and all((Path(word) / "lq").is_dir() for word in data):
        pairs.add(names[0])
    if len(set(names)) < len(names):
        raise UsageError(f"--task {wanted}: a task is named twice")
    return tuple(new_task(name) if name not in known and name in pairs else find_task(name) for name in names)


def _line(record: dict[str, Any]) -> str:
    if "validation" in record:
        gains = ", ".join(f"{task} {gain:+.2f}" for task, gain in record["validation"].items())
        return f"{record['iteration']} iterations, dB gained: {gains}"
    losses = ", ".join(f"{stage} {loss:.3f}" for stage, loss in record["loss"].items())
    share = record["share"]
    left = f", {record['minutes'] * (1 / share - 1):.0f} min left" if share > 0.01 else ""
    return (
        f"{record['iteration']} iterations, {record['minutes']:.1f} min{left}, "
        f"{record['patches_per_second']:.0f} patches/s, loss {losses}"
    )
