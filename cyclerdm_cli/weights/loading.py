"""From a file of weights to a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork
from cyclerdm_cli.cycle.paper import PaperNetwork
from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.file import Header, read_header, read_tensors

ARCHITECTURES: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "compact": lambda config: CompactNetwork(CompactConfig.from_json(config)),
    "paper": lambda config: PaperNetwork(),
}
"""How each architecture is built from its configuration; a new one is one line here."""


def load_network(path: Path) -> tuple[nn.Module, Header]:
    """Build the network that a file of weights describes, float32 on the CPU, ready to restore.

    Raises:
        WeightsError: damaged, of an unknown architecture, or its numbers do not fit the architecture.
    """
    header = read_header(path)
    if header.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise WeightsError(f"{path}: unknown architecture {header.architecture!r}", hint=f"known: {known}")
    network = ARCHITECTURES[header.architecture](header.config)
    fill(network, path)
    return network.eval().requires_grad_(False), header


def fill(network: nn.Module, path: Path) -> None:
    """Put a file's numbers into a network. Raises WeightsError naming the first that does not fit."""
    tensors, wanted = read_tensors(path), network.state_dict()
    for name in sorted(set(tensors) ^ set(wanted)):
        raise WeightsError(
            f"{path}: {name} is {'unknown' if name in tensors else 'missing'} in this architecture"
        )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(wanted[name].shape)}"
            raise WeightsError(f"{path}: {name} has the shape {shapes}")
    network.load_state_dict(tensors)
