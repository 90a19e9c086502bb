"""A network of the default architecture, small enough for tests."""

from __future__ import annotations

from dataclasses import replace

import torch

from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork
from cyclerdm_cli.tasks.catalogue import TASKS

TINY = CompactConfig(
    tasks=tuple(task.name for task in TASKS),
    tone_tasks=tuple(task.name for task in TASKS if task.tone),
    widths=(8, 12, 16),
    encoder_blocks=(1, 1),
    middle_blocks=1,
    decoder_blocks=(1, 1),
    condition=16,
    gain_width=8,
)


LOOKING = replace(TINY, blur_tasks=tuple(task.name for task in TASKS if task.blur))
"""The same, which looks for the kernels of blur."""


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
