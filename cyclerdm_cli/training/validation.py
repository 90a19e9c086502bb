"""How good a network is, task by task, on photographs that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cyclerdm_cli.cycle.cycle import Network, Place, cycle
from cyclerdm_cli.cycle.filling import fill
from cyclerdm_cli.cycle.shorter import keep_first
from cyclerdm_cli.cycle.view import view_of_batch
from cyclerdm_cli.metrics import psnr as picture_psnr
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.tasks.degradation import degradation_of
from cyclerdm_cli.training.photographs import Pairs, Photographs


@dataclass(frozen=True)
class TaskScore:
    """Mean PSNR over the validation pictures, in dB, RGB, 8 bits."""

    degraded: float
    restored: float

    @property
    def gained(self) -> float:
        """What restoring brought, in dB."""
        return self.restored - self.degraded


CEILING = 88.0
"""dB that count for pictures that are identical: the mean over a task stays finite."""


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each picture, (B,) in dB, after rounding both to 8 bits."""
    rounded = [
        (picture.float().clamp(0, 1) * 255).round().byte().cpu().numpy() for picture in (first, second)
    ]
    return torch.tensor([min(picture_psnr(*pair), CEILING) for pair in zip(*rounded, strict=True)])


@dataclass(frozen=True)
class Held:
    """What was kept apart from training."""

    photographs: Photographs | None = None
    """Clean ones, degraded by a fixed seed."""
    pairs: dict[str, Pairs] = field(default_factory=dict)
    """By the task's name; they go before the photographs."""


Show = Callable[[Task, Tensor, Tensor, Tensor], None]
"""Is given a task and one degraded, restored and clean picture, (3, H, W) in [0, 1]."""


@torch.no_grad()
def validate(
    network: Network,
    held: Held,
    task: Task,
    *,
    side: int = 256,
    count: int = 40,
    precision: torch.dtype = torch.float32,
    stages: int = 0,
    show: Show = lambda task, degraded, restored, clean: None,
) -> TaskScore | None:
    """Restore a square of each picture kept apart; photographs are degraded with severities evenly spread.

    Args:
        network: as it is.
        held: the pictures; those that do not suit the task are left out.
        task: to measure.
        side: of the square, in pixels, a multiple of the network's; smaller where the pictures are.
        count: of pictures at most.
        precision: of the network's computation.
        stages: that are run; 0 for the network's own number.
        show: is given the middle one of the pictures.

    Returns:
        None where nothing was kept apart for the task.
    """
    before, after = [], []
    samples = list(_samples(task, held, side, count, network.multiple))
    for number, (degraded, mask, clean) in enumerate(samples):
        restored = restore_batch(network, degraded, mask, precision, stages)
        before.append(psnr(degraded, clean))
        after.append(psnr(restored, clean))
        if number == len(samples) // 2:
            show(task, degraded[0], restored[0].float().clamp(0, 1), clean[0])
    return TaskScore(float(torch.cat(before).mean()), float(torch.cat(after).mean())) if samples else None


def _samples(
    task: Task, held: Held, side: int, count: int, multiple: int
) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
    """Yield (degraded, mask, clean), each of one picture; the same ones every time."""
    source = held.pairs[task.name].lq if task.name in held.pairs else held.photographs
    if source is None or (task.name not in held.pairs and not task.degrades):
        return
    suitable = torch.arange(len(source.sides)) if task.name in held.pairs else source.suitable(task)
    chosen = suitable[torch.linspace(0, len(suitable) - 1, min(count, len(suitable))).long()]
    device = source.pixels.device
    for number, index in enumerate(chosen):
        generator = torch.Generator(device).manual_seed(number)
        fitting = min(side, int(source.sides[index].min()) // multiple * multiple)
        if task.name in held.pairs:
            pair = held.pairs[task.name]
            degraded, clean = pair.cut_from(index[None], fitting, generator)
            yield degraded, None, clean
        else:
            clean = source.cut(index[None], fitting, generator)
            severity = torch.tensor([(number + 0.5) / len(chosen)], device=device)
            damaged = degradation_of(task)(clean, severity, generator)
            yield damaged.lq, damaged.mask, clean if damaged.wanted is None else damaged.wanted


def restore_batch(
    network: Network, degraded: Tensor, mask: Tensor | None, precision: torch.dtype, stages: int = 0
) -> Tensor:
    """Run the cycle on whole pictures, (B, 3, H, W), whose sides are multiples of the network's."""
    missing = torch.zeros_like(degraded[:, :1]) if mask is None else mask
    given = fill(degraded, missing) if network.fills_holes else degraded
    with torch.autocast(degraded.device.type, precision, enabled=precision != torch.float32):
        findings = network.look(view_of_batch(given))
        bound = network.bind(findings, Place.whole(given), missing, 0, torch.Generator())
        restored = cycle(keep_first(bound, stages or network.stages_by_default), given).restored
    return restored if mask is None else torch.where(mask > 0, restored.to(degraded.dtype), degraded)
