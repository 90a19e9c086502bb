"""The training loop, from top to bottom."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.errors import CycleRDMError
from cyclerdm_cli.training.average import Average
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.data import BatchSource
from cyclerdm_cli.training.kernels import KernelMemory
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.optimizer import TaskwiseAdam
from cyclerdm_cli.training.processes import ALONE, Processes

CHECKPOINT = "checkpoint.pt"
DETAIL = ("heads", "down", "middle", "up", "tails", "gain")
"""Names of the parts of the network that work on pixels."""
READER = ("reader", "blend")
"""Names of those that undo blur before it; all others steer it."""


@dataclass
class Progress:
    """How far a run has come; survives interruption inside the checkpoint."""

    iteration: int = 0
    seconds: float = 0.0
    """Wall-clock time spent training, over all sittings."""

    def share(self, config: TrainingConfig) -> float:
        """Return the share of the run that is done, by iterations or minutes, whichever is further."""
        by_iterations = self.iteration / config.iterations if config.iterations else 0.0
        by_minutes = self.seconds / 60 / config.minutes if config.minutes else 0.0
        return min(1.0, max(by_iterations, by_minutes))


def learning_rate(config: TrainingConfig, iteration: int, share: float) -> float:
    """Return the rate at an iteration and a share of the run: a cosine down to a hundredth, after the warm-up."""
    warmth = min(1.0, (iteration + 1) / config.warm_up)
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return config.learning_rate * warmth * (0.01 + 0.99 * cosine)


def draw_stage(config: TrainingConfig, share: float, iteration: int) -> int:
    """Draw which stage this iteration trains; 0 is the search for kernels before the first."""
    if share < config.kernels_first:
        return 0
    if share < config.later_stages_from:
        return 1
    chance = random.Random(f"{config.seed} stage {iteration}")
    return chance.choices((1, 2, 3), weights=config.stage_shares)[0]


Report = Callable[[dict[str, Any]], None]
Examine = Callable[[nn.Module], dict[str, Any]]


def train(
    network: CompactNetwork,
    source: BatchSource,
    config: TrainingConfig,
    folder: Path,
    *,
    objective: Objective | None = None,
    processes: Processes = ALONE,
    resume: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    report: Report = lambda record: None,
    examine: Examine | None = None,
) -> dict[str, Tensor]:
    """Train a network and return its averaged weights, float32 on the CPU.

    Args:
        network: on the device that trains; changed in place.
        source: of the batches.
        config: the recipe.
        folder: where `checkpoint.pt` is kept.
        objective: what is minimised; by default that of the recipe, without CLIP.
        processes: this one among those that train together.
        resume: go on from the checkpoint in the folder.
        stopped: asked after each iteration; True ends the sitting after a checkpoint.
        report: is given each record of the log.
        examine: measures a network with the averaged weights, `config.validations` times and at the end; what
            it returns goes to `report`.

    Raises:
        CycleRDMError: the loss is no longer finite, or a checkpoint cannot be written; the last one stays.
    """
    device = next(network.parameters()).device
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = TaskwiseAdam(network, config)
    # Clipped apart: a tone far off has a gradient many times that of all details.
    named = list(network.named_parameters())
    details, readers = ([one for name, one in named if name.startswith(part)] for part in (DETAIL, READER))
    steering = [one for name, one in named if not name.startswith((*DETAIL, *READER))]
    average = Average.start(config.ema, network)
    progress, checkpoint = Progress(), folder / CHECKPOINT
    if resume:
        progress = _load(checkpoint, network, optimizer, average, device)
    loss_of = objective or Objective(config.weights)
    if config.kernel_repeats:
        loss_of = replace(loss_of, memory=KernelMemory())
    if config.compile:
        network.compile(dynamic=False)

    def move(loss: Tensor, rate: float, present: list[bool]) -> None:
        """Take one step of the optimiser."""
        network.zero_grad(set_to_none=True)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        processes.average_gradients([*steering, *details, *readers])
        for parameters in (steering, details, readers):
            nn.utils.clip_grad_norm_(parameters, config.gradient_norm)
        optimizer.step(rate, present)
        average.update(network, progress.iteration)

    losses: dict[str, list[Tensor]] = {}
    last_log = last_save = time.monotonic()
    clock = time.monotonic() - progress.seconds
    while True:
        share, stop = processes.agree(progress.share(config), stopped(), device)
        if share >= 1 or stop:
            break
        batch = source.draw(progress.iteration, share)
        stage = draw_stage(config, share, progress.iteration)
        rate = learning_rate(config, progress.iteration, share)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            loss = loss_of(network, batch, stage)
        present = processes.each_anywhere(batch.mixture.amax(0) > 0)
        move(loss, rate, present)
        for _ in range(config.kernel_repeats if stage == 0 else 0):
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                again = loss_of.once_more(network, len(batch.scene))
            move(again, rate, present)
        losses.setdefault(f"stage{stage}", []).append(processes.mean(loss.detach()))
        progress.iteration += 1
        progress.seconds = time.monotonic() - clock

        if progress.iteration % config.log_every == 0:
            seconds, last_log = time.monotonic() - last_log, time.monotonic()
            patches = config.log_every * len(batch.clean) * processes.world
            report({
                "iteration": progress.iteration,
                "share": round(share, 4),
                "minutes": round(progress.seconds / 60, 2),
                "patches_per_second": round(patches / seconds, 1),
                "learning_rate": rate,
                "loss": _means(losses, progress, checkpoint),
            })  # fmt: skip
            losses = {}
        if examine and int(progress.share(config) * config.validations) > int(share * config.validations):
            _means(losses, progress, checkpoint)
            if processes.leads:
                report({"iteration": progress.iteration, **examine(average.of(network))})
        if processes.leads and time.monotonic() - last_save > 60 * config.checkpoint_minutes:
            _means(losses, progress, checkpoint)
            _save(checkpoint, network, optimizer, average, progress, config)
            last_save = time.monotonic()
    _means(losses, progress, checkpoint)
    if processes.leads:
        _save(checkpoint, network, optimizer, average, progress, config)
    return {name: value.cpu() for name, value in average.values.items()}


def _means(losses: dict[str, list[Tensor]], progress: Progress, checkpoint: Path) -> dict[str, float]:
    """Return the mean loss of each stage. Raises CycleRDMError where one is not finite."""
    means = {stage: float(torch.stack(values).mean()) for stage, values in sorted(losses.items())}
    if not all(math.isfinite(value) for value in means.values()):
        raise CycleRDMError(
            f"the loss is not finite at iteration {progress.iteration}",
            hint=f"a lower --learning-rate; {checkpoint} holds the last good state",
        )
    return means


def _save(
    path: Path, network: nn.Module, optimizer: TaskwiseAdam, average: Average, progress: Progress,
    config: TrainingConfig,
) -> None:  # fmt: skip
    """Write a checkpoint whole, or leave the one before it."""
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.values,
        "progress": asdict(progress),
        "config": asdict(config),
    }
    partial = path.with_suffix(".part")
    try:
        torch.save(state, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as fault:
        reason = str(fault).splitlines()[0]
        raise CycleRDMError(f"{path}: not written: {reason}", hint="the checkpoint before is kept") from fault
    finally:
        partial.unlink(missing_ok=True)


def _load(
    path: Path, network: nn.Module, optimizer: TaskwiseAdam, average: Average, device: torch.device
) -> Progress:
    """Bring back what `_save` kept. Raises CycleRDMError where it is missing or of another network."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average.values = state["average"]
        return Progress(**state["progress"])
    except FileNotFoundError:
        raise CycleRDMError(f"{path}: no checkpoint to resume from", hint="leave out --resume") from None
    except Exception as fault:
        raise CycleRDMError(f"{path}: this checkpoint cannot be resumed: {fault}".splitlines()[0]) from fault
