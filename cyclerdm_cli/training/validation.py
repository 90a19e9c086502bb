"""How good a network is, task by task, on photographs that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cyclerdm_cli.cycle.compact import CompactNetwork, thumbnail_of
from cyclerdm_cli.cycle.cycle import cycle
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.tasks.degradation import degradation_of
from cyclerdm_cli.training.data import Photographs


@dataclass(frozen=True)
class TaskScore:
    """Mean PSNR over the validation pictures, in dB, RGB, 8 bits."""

    degraded: float
    restored: float

    @property
    def gained(self) -> float:
        """What restoring brought, in dB."""
        return self.restored - self.degraded


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each picture, (B,) in dB, after rounding both to 8 bits."""
    rounded = [(picture.float().clamp(0, 1) * 255).round() for picture in (first, second)]
    return 10 * torch.log10(255**2 / (rounded[0] - rounded[1]).square().mean((1, 2, 3)).clamp_min(1e-4))


@torch.inference_mode()
def validate(
    network: CompactNetwork,
    photographs: Photographs,
    tasks: Sequence[Task],
    *,
    side: int = 256,
    count: int = 40,
    precision: torch.dtype = torch.float32,
) -> dict[str, TaskScore]:
    """Restore the middle of each photograph, degraded by a fixed seed; severities evenly spread.

    Args:
        network: as it is; its task table must hold the tasks.
        photographs: to degrade; those that do not suit a task are left out of it.
        tasks: to measure.
        side: of the square cut from each photograph, in pixels.
        count: of photographs at most.
        precision: of the network's computation.
    """
    scores = {}
    device = photographs.pixels.device
    for task in tasks:
        suitable = photographs.suitable(task)
        chosen = suitable[torch.linspace(0, len(suitable) - 1, min(count, len(suitable))).long()]
        before, after = [], []
        for number, index in enumerate(chosen):
            generator = torch.Generator(device).manual_seed(number)
            clean = photographs.cut(index[None], side, generator)
            severity = torch.tensor([(number + 0.5) / len(chosen)], device=device)
            degraded, mask = degradation_of(task)(clean, severity, generator)
            restored = restore_batch(network, task.name, degraded, mask, precision)
            before.append(psnr(degraded, clean))
            after.append(psnr(restored, clean))
        scores[task.name] = TaskScore(float(torch.cat(before).mean()), float(torch.cat(after).mean()))
    return scores


def restore_batch(
    network: CompactNetwork, task: str, degraded: Tensor, mask: Tensor | None, precision: torch.dtype
) -> Tensor:
    """Run the whole cycle on a batch whose sides are multiples of `network.config.multiple`."""
    missing = torch.zeros_like(degraded[:, :1]) if mask is None else mask
    stages = network.bind(task, thumbnail_of(degraded), missing, 1, torch.Generator())
    with torch.autocast(degraded.device.type, precision, enabled=precision != torch.float32):
        restored = cycle(stages, degraded).restored
    return restored if mask is None else torch.where(mask > 0, restored.to(degraded.dtype), degraded)
