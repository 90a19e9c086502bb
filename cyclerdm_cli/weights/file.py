"""One file of weights: safetensors, half precision, with all that is needed to use it inside its header."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cyclerdm_cli.errors import WeightsError

HEADER_KEY = "cyclerdm"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Header:
    """What travels with the numbers."""

    architecture: str
    """A key of `loading.ARCHITECTURES`."""
    config: dict[str, Any]
    """The architecture's configuration, JSON-ready."""
    tasks: tuple[str, ...]
    licence: str
    training_data: str
    """What they were trained on, in words, with the licences."""
    created: str
    """Date, ISO 8601."""
    training: dict[str, Any]
    """The resolved recipe."""
    format: int = FORMAT_VERSION


def write_weights(path: Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    """Write a file of weights whole or not at all; floating-point tensors are stored in half precision.

    Raises:
        WeightsError: a tensor is not finite, or the file cannot be written.
    """
    stored = {}
    for name, tensor in tensors.items():
        half = tensor.detach().cpu().half() if tensor.is_floating_point() else tensor.detach().cpu()
        if half.is_floating_point() and not bool(torch.isfinite(half).all()):
            raise WeightsError(f"{path}: not written, {name} is not finite")
        stored[name] = half.contiguous()
    data = save(stored, metadata={HEADER_KEY: json.dumps(asdict(header))})
    temporary = path.with_name(f".cyclerdm-{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as fault:
        raise WeightsError(f"{path}: cannot be written: {fault.strerror}") from fault
    finally:
        temporary.unlink(missing_ok=True)


def read_header(path: Path) -> Header:
    """Read what a file of weights says of itself, without its numbers.

    Raises:
        WeightsError: missing, damaged, or not a file of weights of this program.
    """
    with _opened(path) as weights:
        metadata = weights.metadata() or {}
    if HEADER_KEY not in metadata:
        raise WeightsError(f"{path}: no cyclerdm weights inside", hint="safetensors made by `cyclerdm train`")
    try:
        values = json.loads(metadata[HEADER_KEY])
        header = Header(**{**values, "tasks": tuple(values["tasks"])})
    except (ValueError, TypeError, KeyError) as fault:
        raise WeightsError(f"{path}: the description inside is damaged") from fault
    if header.format > FORMAT_VERSION:
        raise WeightsError(
            f"{path}: made by a newer version (format {header.format})", hint="upgrade cyclerdm"
        )
    return header


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the numbers, as float32 on the CPU. Raises WeightsError as `read_header` does."""
    with _opened(path) as weights:
        return {name: weights.get_tensor(name).float() for name in weights.keys()}  # noqa: SIM118


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file of weights") from None
    except (SafetensorError, OSError) as fault:
        raise WeightsError(f"{path}: damaged, or not safetensors: {fault}".splitlines()[0]) from fault
