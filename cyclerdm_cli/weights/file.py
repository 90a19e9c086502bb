"""One file of weights: safetensors, with all that is needed to use it inside its header.

Reading a header needs no torch.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from cyclerdm_cli.cycle.configuration import built
from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.mounts import flush

if TYPE_CHECKING:
    from torch import Tensor

HEADER_KEY = "cyclerdm"
FORMAT_VERSION = 1
LINEAGE: dict[str, type | tuple[type, ...]] = {
    "parent": (str, type(None)), "recipe": str, "task": str, "seed": int, "iterations": int,
    "minutes": (int, float), "data": str, "created": str,
}  # fmt: skip
"""What is said of each run: the sha256 of the file that it went on from, or null; the recipe's name; what was
learned, from which data in words, and how long; when it ended, ISO 8601."""


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
    lineage: list[dict[str, Any]] = field(default_factory=list)
    """Every run that led to these weights, the first one first; each has the keys of LINEAGE, and may have more."""
    ranges: dict[str, Any] = field(default_factory=dict)
    """Lowest and highest number of what flows in the network, by part and place; with them it runs in integers."""


def write_weights(path: Path, tensors: Mapping[str, Tensor], header: Header, *, half: bool = True) -> None:
    """Write a file of weights whole or not at all; floating-point tensors in half precision, or in float32.

    Raises:
        WeightsError: a tensor is not finite, or the file cannot be written.
    """
    from safetensors.torch import save

    stored = {}
    for name, tensor in tensors.items():
        kept = tensor.detach().cpu()
        if kept.is_floating_point():
            kept = kept.half() if half else kept.float()
            if not bool(kept.isfinite().all()):
                raise WeightsError(f"{path}: not written, {name} is not finite")
        stored[name] = kept.contiguous()
    data = save(stored, metadata={HEADER_KEY: json.dumps(asdict(header))})
    temporary = path.with_name(f".cyclerdm-{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            flush(stream.fileno())
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
    with _opened(path, "np") as weights:
        metadata = weights.metadata() or {}
    if HEADER_KEY not in metadata:
        raise WeightsError(f"{path}: no cyclerdm weights inside", hint="safetensors made by `cyclerdm train`")
    try:
        header = built(Header, json.loads(metadata[HEADER_KEY]))
        for run in header.lineage:
            _check_run(run)
    except (ValueError, RecursionError) as fault:
        words = "it is nested too deep" if isinstance(fault, RecursionError) else fault
        raise WeightsError(f"{path}: the description inside is damaged: {words}") from fault
    if header.format > FORMAT_VERSION:
        raise WeightsError(
            f"{path}: made by a newer version (format {header.format})", hint="upgrade cyclerdm"
        )
    return header


def _check_run(run: Any) -> None:
    """Raise ValueError where a run of the lineage is not told as LINEAGE has it."""
    if not isinstance(run, dict):
        raise ValueError("a table is wanted")
    for key, kind in LINEAGE.items():
        if not isinstance(run.get(key, ...), kind) or isinstance(run[key], bool):
            raise ValueError(f"{key} is of another kind")
    if run["parent"] is not None and not re.fullmatch("[0-9a-f]{64}", run["parent"]):
        raise ValueError("parent: a sha256 is wanted")


def count_numbers(path: Path) -> int:
    """Return how many numbers a file has, without reading them. Raises WeightsError as `read_header`."""
    with _opened(path, "np") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]], device: str = "cpu") -> dict[str, Tensor]:
    """Read the numbers, tensor by tensor to a device, as float32; nothing is read before all shapes fit.

    Args:
        path: of the file.
        shapes: what is wanted, by name.
        device: in torch's words.

    Raises:
        WeightsError: as `read_header`, or naming the first tensor that is missing, unknown or of another shape.
    """
    with _opened(path, "pt", device) as weights:
        found = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
        for name in sorted(set(found) ^ set(shapes)):
            state = "unknown" if name in found else "missing"
            raise WeightsError(f"{path}: {name} is {state} in this architecture")
        for name, shape in found.items():
            if shape != shapes[name]:
                raise WeightsError(f"{path}: {name} has the shape {shape}, not {shapes[name]}")
        return {name: weights.get_tensor(name).float() for name in found}


def read_all(path: Path) -> dict[str, Tensor]:
    """Read all numbers to the CPU, as float32. Raises WeightsError as `read_header`."""
    with _opened(path, "pt") as weights:
        return {name: weights.get_tensor(name).float() for name in weights.keys()}  # noqa: SIM118


def _opened(path: Path, framework: str, device: str = "cpu") -> Any:
    try:
        return safe_open(path, framework=framework, device=device)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file of weights") from None
    except (SafetensorError, OSError) as fault:
        raise WeightsError(f"{path}: damaged, or not safetensors: {fault}".splitlines()[0]) from fault
