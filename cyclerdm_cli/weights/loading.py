"""From a file of weights to a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.cycle.compact_configuration import CompactConfig
from cyclerdm_cli.cycle.cycle import Network
from cyclerdm_cli.cycle.paper import PaperConfig, PaperNetwork
from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.errors import CycleRDMError, WeightsError
from cyclerdm_cli.weights.file import Header, count_numbers, read_header, read_tensors
from cyclerdm_cli.weights.ranges import ranges_of

ARCHITECTURES: dict[str, Callable[[dict[str, Any]], Network]] = {
    "compact": lambda config: CompactNetwork(CompactConfig.from_json(config)),
    "paper": lambda config: PaperNetwork(PaperConfig.from_json(config)),
}
"""How each architecture is built from its configuration; a new one is one line here."""


class AtMost(TorchFunctionMode):
    """Stops the building of a network that is far larger than its file, before it takes all the memory.

    The meta device would have no such trouble, but for each operation there torch imports for 0.7 s.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = numbers

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`. Raises ValueError where it would make more numbers than are left."""
        if func in (torch.empty, torch.zeros, torch.ones, torch.randn):
            self.left -= math.prod(args[0] if isinstance(args[0], tuple | list) else args)
            if self.left < 0:
                raise ValueError("more numbers are asked for than there are")
        return func(*args, **(kwargs or {}))


def load_network(path: Path, device: torch.device | str = "cpu") -> tuple[Network, Header]:
    """Build the network that a file of weights describes, float32 on the device, ready to restore.

    Raises:
        WeightsError: damaged, of an unknown architecture, or its numbers do not fit the architecture.
    """
    header = read_header(path)
    if header.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise WeightsError(f"{path}: unknown architecture {header.architecture!r}", hint=f"known: {known}")
    try:
        with AtMost(2 * count_numbers(path) + 1_000_000):
            network = ARCHITECTURES[header.architecture](header.config)
        Wavelet.named(header.config.get("wavelet", "haar"))
    except CycleRDMError as fault:
        raise WeightsError(f"{path}: {fault}") from fault
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError) as fault:
        raise WeightsError(f"{path}: its configuration makes no {header.architecture} network") from fault
    tensors = read_tensors(path, _shapes(network), str(device))
    network.load_state_dict(tensors, assign=True)
    if isinstance(network, CompactNetwork):
        try:
            network.know_ranges(ranges_of(path, header))
        except ValueError as fault:
            raise WeightsError(f"{path}: the description inside is damaged: {fault}") from fault
    return network.eval().requires_grad_(False), header


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
