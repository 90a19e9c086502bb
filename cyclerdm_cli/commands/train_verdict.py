"""`cyclerdm train --model verdict`: what it means when tasks are tried on pictures, beside what the CLIP saw."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import typer

from cyclerdm_cli.commands.reporting import INTERRUPTED, put_line, words
from cyclerdm_cli.commands.train_prompts import MINUTES, PACKAGED, RESULT
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.errors import DataError, UsageError


def carry_out(request: TrainRequest, recipe: dict[str, Any]) -> None:
    """Train, and print where the file lies. Raises UsageError and DataError for what cannot be meant."""
    import torch

    from cyclerdm_cli.recognising.sightings import SCENES
    from cyclerdm_cli.recognising.verdict import FEWEST, GATHERED, VerdictConfig, gathered, learned, write
    from cyclerdm_cli.training.data import pictures_in, read_photographs
    from cyclerdm_cli.words.clip import load_clip, packaged

    known = {field.name for field in fields(VerdictConfig)}
    for name in sorted(set(recipe) - known):
        raise UsageError(
            f"--{name.replace('_', '-')}: not with --model verdict",
            hint=f"its recipe has {', '.join(sorted(known))}",
        )
    if request.config is not None:
        raise UsageError("--config: not with --model verdict", hint="its few fields are options")
    if request.device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {request.device}: not with --model verdict", hint="it learns on the processor"
        )
    if not {"minutes", "iterations"} & set(recipe):
        recipe["minutes"] = MINUTES
    resolved = VerdictConfig(**recipe)
    paths = [path for folder in request.data for path in pictures_in(Path(folder))]
    if request.dry_run:
        put_line(json.dumps({**asdict(resolved), "data": f"{len(paths)} pictures"}, indent=2))
        return
    clip = packaged() if request.init in (None, PACKAGED) else Path(str(request.init))
    names = load_clip(clip).names
    photographs = read_photographs(paths, SCENES[0], torch.device("cpu"))
    if (request.out / GATHERED).exists() and not request.resume:
        raise UsageError(f"{request.out}: holds a run already", hint="--resume, or another --out")

    asked_to_stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: asked_to_stop.append(received))
    console = words()
    evidence = gathered(
        resolved, photographs, request.out,
        say=lambda line: console.print(line, markup=False), stopped=lambda: bool(asked_to_stop), names=names,
    )  # fmt: skip
    if asked_to_stop:
        console.print(f"stopped; the same command with --resume goes on in {request.out}", markup=False)
        raise typer.Exit(INTERRUPTED)
    if len(evidence.labels) < FEWEST:
        raise DataError(
            f"{len(evidence.labels)} scenes are too few to learn from", hint=f"{FEWEST} or more: --minutes"
        )
    note = request.data_note or f"{len(photographs.files)} photographs"
    verdict = learned(evidence, resolved.seed)
    write(request.out / RESULT, clip, verdict, resolved, evidence, request.licence, note)
    put_line(str(request.out / RESULT))
