"""The authors' checkpoints, pickles, turned once into a file of weights; nothing else reads pickles."""

from __future__ import annotations

import argparse
import math
import pickle
import re
import warnings
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclerdm_cli.cycle.paper import PaperConfig, PaperNetwork
from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.weights.checking import sha256_of
from cyclerdm_cli.weights.entry import Entry, check_name
from cyclerdm_cli.weights.file import Header, write_weights
from cyclerdm_cli.weights.keeping import add_imported, is_imported
from cyclerdm_cli.weights.places import weights_folder
from cyclerdm_cli.weights.publishing import describe
from cyclerdm_cli.weights.registry import read_registry

WRAPPER = "module."
"""What DataParallel puts before each key."""
ASKED_TO_RUN = re.compile(r"(?:GLOBAL|global) ([\w.]+)")
"""What torch says of a pickle that asks for more than numbers."""


def import_weights(
    path: Path, name: str, task: str, licence: str, training_data: str, *, overwrite: bool = False
) -> tuple[Entry, Path]:
    """Turn a checkpoint of the authors into weights that go by a name on this machine.

    Returns the new entry, and where its file lies.

    Raises:
        UsageError: the name is taken. WeightsError: as `convert`.
    """
    if name in read_registry().names() and not (overwrite and is_imported(name)):
        hint = "--overwrite replaces them" if is_imported(name) else "give another --name"
        raise UsageError(f"there are weights called {name!r} already", hint=hint)
    check_name(name)
    target = weights_folder() / f"{name}.safetensors"
    convert(path, target, task, licence, training_data)
    entry = describe(target, name, source=f"imported from {path.name}", precisions=("fp32", "bf16"))
    add_imported(entry)
    return entry, target


def convert(path: Path, target: Path, task: str, licence: str, training_data: str) -> None:
    """Write the averaged values of a checkpoint as a file of weights, float32 as they are.

    Raises:
        WeightsError: refused, damaged, or its keys and shapes are not those of the paper's network.
    """
    values = averaged_values(read_checkpoint(path), path)
    config = PaperConfig()
    wanted = {key: tensor.shape for key, tensor in PaperNetwork(config).state_dict().items()}
    for key in sorted(set(values) ^ set(wanted)):
        state = "unknown" if key in values else "missing"
        raise WeightsError(f"{path}: {key} is {state} in the paper's network")
    for key, shape in wanted.items():
        if values[key].shape != shape:
            raise WeightsError(f"{path}: {key} has the shape {tuple(values[key].shape)}, not {tuple(shape)}")
    header = Header(
        architecture="paper",
        config=asdict(config),
        tasks=(task,),
        licence=licence,
        training_data=training_data,
        created=datetime.now(UTC).date().isoformat(),
        training={"imported_from": path.name, "sha256": sha256_of(path)},
    )
    write_weights(target, values, header, half=False)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint's containers and tensors; a pickle that asks for anything else is refused.

    Raises:
        WeightsError: refused, or damaged; nothing that it asks to run has run.
    """
    try:
        # Namespaces hold training's options in such checkpoints: plain attributes, nothing that runs.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a protocol that the reader then takes or refuses
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such checkpoint") from None
    except pickle.UnpicklingError as fault:
        asked = ASKED_TO_RUN.search(str(fault))
        if asked:
            raise WeightsError(
                f"{path}: refused, it asks to run {asked[1]}", hint="a checkpoint of numbers alone is read"
            ) from None
        raise WeightsError(f"{path}: refused or damaged, no checkpoint of numbers alone") from None
    except Exception as fault:  # the reader has no exception of its own for what is damaged
        raise WeightsError(f"{path}: damaged, or no checkpoint of PyTorch's") from fault
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, not a checkpoint")
    return content


def averaged_values(checkpoint: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """Return the averaged value of each tensor, by its key without DataParallel's prefix.

    Raises:
        WeightsError: there is no `state_dict`, or something in it is no tensor of plain numbers that are there.
    """
    trained = checkpoint.get("state_dict")
    averaged = checkpoint.get("ema_helper") or {}
    if not isinstance(trained, dict) or not isinstance(averaged, dict):
        raise WeightsError(f"{path}: no checkpoint in the authors' layout", hint="state_dict and ema_helper")
    # Where no average was kept of a tensor, its last value stands.
    values = {str(key).removeprefix(WRAPPER): value for key, value in [*trained.items(), *averaged.items()]}
    for key, value in values.items():
        reason = _oddness(value) if isinstance(value, Tensor) else f"a {type(value).__name__}, no tensor"
        if reason:
            raise WeightsError(f"{path}: {key} is {reason}", hint="plain numbers such as float32 are wanted")
    return values


def _oddness(tensor: Tensor) -> str:
    """Return what a tensor is, where it is none of plain numbers in memory."""
    if tensor.device.type != "cpu":
        return f"a tensor without numbers, on the device {tensor.device.type!r}"
    if tensor.is_quantized:
        return "quantised"
    if tensor.layout is not torch.strided or tensor.is_nested:
        return "no dense tensor"
    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        return f"of the type {str(tensor.dtype).removeprefix('torch.')}"
    return "" if math.prod(tensor.shape) else "a tensor without numbers"
