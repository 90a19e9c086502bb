"""Networks of the default architecture, small enough for tests."""

from __future__ import annotations

import torch

from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork

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
