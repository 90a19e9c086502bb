"""Networks of the default architecture, small enough for tests."""

from __future__ import annotations

from pathlib import Path

import torch

from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork
from cyclerdm_cli.weights.file import Header, write_weights

TINY = CompactConfig(
    task="denoise",
    light_widths=(8, 8, 8, 8),
    widths=(8, 12, 16),
    down_blocks=(1, 1, 1),
    up_blocks=(1, 1),
    calibration_widths=(8, 8),
)
"""Detail alone."""


def tiny_network(seed: int = 0, config: CompactConfig = TINY) -> CompactNetwork:
    """Return a small network that changes pictures: no layer is left at its zero start."""
    torch.manual_seed(seed)
    network = CompactNetwork(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if not bool(parameter.any()):
                parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


def write_tiny(path: Path, seed: int, tasks: tuple[str, ...]) -> None:
    """Write a file of weights that says it knows some tasks; the network inside knows all."""
    header = Header("compact", TINY.to_json(), tasks, "CC0-1.0", "none: random numbers", "2026-01-01", {})
    write_weights(path, tiny_network(seed).state_dict(), header)
