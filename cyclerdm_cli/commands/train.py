"""`cyclerdm train`: from a folder of photographs to a file of weights."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyclerdm_cli.commands.reporting import INTERRUPTED, faults_in_one_line, put_line, words
from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.tasks.catalogue import TASKS, Task, find_task

if TYPE_CHECKING:
    from cyclerdm_cli.training.configuration import TrainingConfig


def add_to(app: typer.Typer) -> None:
    """Add `train` to the program."""

    @app.command(
        help="Train weights from clean photographs; the damage is made on the fly.\n\n"
        "Example: [bold]cyclerdm train --task all --data photos --minutes 60 --out runs/first[/]"
    )
    @faults_in_one_line
    def train(
        data: Annotated[Path, typer.Option("--data", help="A folder of clean photographs.")],
        task: Annotated[str, typer.Option("--task", help="Tasks, with commas between, or all.")] = "all",
        out: Annotated[Path, typer.Option("--out", help="Folder for weights, log and checkpoint.")] = Path(
            "runs/train"
        ),
        config: Annotated[
            Path | None, typer.Option("--config", help="A recipe in TOML; options given here go before it.")
        ] = None,
        init: Annotated[
            str | None, typer.Option("--init", help="Weights to start from: a name or a file.")
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
        iterations: Annotated[
            int | None, typer.Option("--iterations", min=0, help="Optimiser steps.")
        ] = None,
        minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="Wall-clock time.")] = None,
        scenes: Annotated[int | None, typer.Option("--scenes", help="Scenes a batch.")] = None,
        scene: Annotated[int | None, typer.Option("--scene", help="Side of a scene in pixels.")] = None,
        patch: Annotated[int | None, typer.Option("--patch", help="Side of a patch in pixels.")] = None,
        learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="At its peak.")] = None,
        precision: Annotated[str | None, typer.Option("--precision", help="bf16 or fp32.")] = None,
        seed: Annotated[int | None, typer.Option("--seed")] = None,
        device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
        licence: Annotated[
            str, typer.Option("--licence", help="Of the weights; written into them.")
        ] = "unspecified",
        data_note: Annotated[
            str,
            typer.Option("--data-note", help="Where the photographs come from; written into the weights."),
        ] = "",
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    ) -> None:
        flags = {
            "iterations": iterations, "minutes": minutes, "scenes": scenes, "scene": scene, "patch": patch,
            "learning_rate": learning_rate, "precision": precision, "seed": seed,
        }  # fmt: skip
        tasks = TASKS if task == "all" else tuple(find_task(name.strip()) for name in task.split(","))
        recipe = _recipe(tasks, config, {name: value for name, value in flags.items() if value is not None})
        if dry_run:
            put_line(json.dumps(asdict(recipe), indent=2))
            return
        _train(tasks, recipe, data, out, init, resume, device, licence, data_note)


def _recipe(tasks: tuple[Task, ...], path: Path | None, flags: dict[str, Any]) -> TrainingConfig:
    """Combine defaults, a TOML file and flags, in rising order. Raises UsageError naming an unknown key."""
    import tomllib
    from difflib import get_close_matches

    from cyclerdm_cli.training.configuration import ObjectiveWeights, TrainingConfig

    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as fault:
            raise UsageError(f"{path}: {fault}") from fault
    known = {field.name for field in fields(TrainingConfig)} - {"tasks"}
    for key in set(values) - known:
        nearest = get_close_matches(key, known, n=1)
        raise UsageError(
            f"{path}: unknown key {key!r}", hint=f"did you mean {nearest[0]!r}?" if nearest else ""
        )
    if "weights" in values:
        try:
            values["weights"] = ObjectiveWeights(**values["weights"])
        except TypeError as fault:
            raise UsageError(f"{path}: [weights]: {fault}") from fault
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    merged = {**values, **flags}
    if not merged.get("iterations") and not merged.get("minutes"):
        merged["minutes"] = 60.0
    return TrainingConfig(tasks=tuple(task.name for task in tasks), **merged)


def _train(
    tasks: tuple[Task, ...], recipe: TrainingConfig, data: Path, out: Path, init: str | None, resume: bool,
    device_name: str, licence: str, data_note: str,
) -> None:  # fmt: skip
    import torch

    from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork
    from cyclerdm_cli.restoring.device import choose_engine
    from cyclerdm_cli.training.data import BatchSource, read_photographs
    from cyclerdm_cli.training.trainer import train
    from cyclerdm_cli.weights.file import Header, read_header, write_weights
    from cyclerdm_cli.weights.loading import fill
    from cyclerdm_cli.weights.registry import locate

    console = words()
    engine = choose_engine(device_name)
    torch.manual_seed(recipe.seed)
    network_config = CompactConfig(recipe.tasks, tuple(task.name for task in tasks if task.tone))
    path = None
    if init is not None:
        _, path = locate(init)
        header = read_header(path)
        if header.architecture != "compact":
            raise WeightsError(f"{path}: --init needs compact weights, these are {header.architecture}")
        network_config = CompactConfig.from_json(header.config)
        if network_config.tasks != recipe.tasks:
            raise WeightsError(
                f"{path}: made for {', '.join(network_config.tasks)}", hint="train the same tasks"
            )
    network = CompactNetwork(network_config)
    if path is not None:
        fill(network, path)
    network = network.to(engine.device)
    photographs = read_photographs(data, recipe.scene, engine.device)
    console.print(f"{len(photographs.files)} photographs, {engine}", markup=False)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n", encoding="utf-8")
    source = BatchSource(photographs, tasks, recipe)

    asked_to_stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked_to_stop.append(received))
    values = train(
        network, source, recipe, out, resume=resume, stopped=lambda: bool(asked_to_stop),
        report=lambda record: console.print(_line(record), markup=False),
    )  # fmt: skip
    if asked_to_stop:
        console.print(
            f"stopped; the same command with --resume goes on from {out / 'checkpoint.pt'}", markup=False
        )
        raise typer.Exit(INTERRUPTED)
    header = Header(
        architecture="compact", config=network_config.to_json(), tasks=recipe.tasks, licence=licence,
        training_data=data_note or f"{len(photographs.files)} photographs",
        created=datetime.now(UTC).date().isoformat(), training=asdict(recipe),
    )  # fmt: skip
    write_weights(out / "weights.safetensors", values, header)
    put_line(str(out / "weights.safetensors"))


def _line(record: dict[str, Any]) -> str:
    losses = ", ".join(f"{stage} {loss:.3f}" for stage, loss in record["loss"].items())
    return (
        f"{record['iteration']} iterations, {record['minutes']:.1f} min, "
        f"{record['patches_per_second']:.0f} patches/s, loss {losses}"
    )
