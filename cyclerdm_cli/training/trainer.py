"""The training loop, from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.errors import CycleRDMError
from cyclerdm_cli.training.average import Average
from cyclerdm_cli.training.configuration import KERNELS, Phase, TrainingConfig
from cyclerdm_cli.training.data import BatchSource
from cyclerdm_cli.training.kernels import KernelMemory
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.optimizer import PhaseOptimizer
from cyclerdm_cli.training.processes import ALONE, Processes

CHECKPOINT = "checkpoint.pt"
PARTS = {KERNELS: ("reader",), 1: ("light",), 2: ("detail", "steering"), 3: ("calibration", "handed_on")}
"""The parts of the network that each stage consists of, by the beginnings of their names."""


@dataclass
class Progress:
    """How far a run has come; survives interruption inside the checkpoint."""

    iteration: int = 0
    seconds: float = 0.0
    """Wall-clock time spent training, over all sittings."""
    phase: int = 0
    """Number of the phase at work."""
    phase_began: int = 0
    """Iteration at which it began."""

    def share(self, config: TrainingConfig) -> float:
        """Return the share of the run that is done, by iterations or minutes, whichever is further."""
        by_iterations = self.iteration / config.iterations if config.iterations else 0.0
        by_minutes = self.seconds / 60 / config.minutes if config.minutes else 0.0
        return min(1.0, max(by_iterations, by_minutes))


def learning_rate(phase: Phase, iteration: int, share: float) -> float:
    """Return the rate at an iteration and a share of a phase: a cosine down to a hundredth, after the warm-up."""
    warmth = min(1.0, (iteration + 1) / phase.warm_up)
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return phase.learning_rate * warmth * (0.01 + 0.99 * cosine)


Report = Callable[[dict[str, Any]], None]
Examine = Callable[[nn.Module], dict[str, Any]]


class Learner:
    """A network, its averaged weights and its optimiser, phase after phase."""

    def __init__(self, network: CompactNetwork, config: TrainingConfig, processes: Processes) -> None:
        self.network, self.config, self.processes = network, config, processes
        self.progress = Progress()
        self.objective = Objective(config, KernelMemory())
        self.optimizer = self._optimizer()
        self.average = Average.start(config.ema, network)

    @property
    def phase(self) -> Phase:
        """Return the phase at work."""
        return self.config.phases[self.progress.phase]

    def _optimizer(self) -> PhaseOptimizer:
        parts = tuple(part for stage in self.phase.stages for part in PARTS[stage])
        precision = torch.bfloat16 if self.config.precision == "bf16" else torch.float32
        return PhaseOptimizer(self.network, parts, self.config.momentum, self.config.weight_decay, precision)

    def enter(self, phase: int) -> None:
        """Begin a phase, from the averaged weights of the one before."""
        if phase == self.progress.phase:
            return
        self.network.load_state_dict(self.average.values)
        self.progress.phase, self.progress.phase_began = phase, self.progress.iteration
        self.average = Average.start(self.config.ema, self.network)
        self.optimizer = self._optimizer()

    def learn(self, source: BatchSource, share: float) -> Tensor:
        """Take a step on a new batch, at a share of the phase: return its loss."""
        since = self.progress.iteration - self.progress.phase_began
        rate = learning_rate(self.phase, since, share)
        batch = source.draw(self.progress.iteration, self.phase)
        device = batch.clean.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bf16"):
            loss = self.objective(self.network, batch, self.phase.stages)
        self._move(loss, rate, since)
        for _ in range(self.phase.batch_repeats if KERNELS in self.phase.stages else 0):
            assert self.network.reader is not None
            assert self.objective.memory is not None
            with torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bf16"):
                again = self.objective.memory.error(self.network.reader, len(batch.scene))
            self._move(again, rate, since)
        self.progress.iteration += 1
        return loss.detach()

    def _move(self, loss: Tensor, rate: float, since: int) -> None:
        parameters = self.optimizer.parameters
        self.network.zero_grad(set_to_none=True)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        self.processes.average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, self.config.gradient_norm)
        self.optimizer.step(rate)
        self.average.update(self.network, since)

    def save(self, path: Path) -> None:
        """Write a checkpoint whole, or leave the one before it. Raises CycleRDMError."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.values,
            "progress": asdict(self.progress),
            "task": self.config.task,
        }
        partial = path.with_suffix(".part")
        try:
            torch.save(state, partial)
            partial.replace(path)
        except (OSError, RuntimeError) as fault:
            reason = str(fault).splitlines()[0]
            raise CycleRDMError(
                f"{path}: not written: {reason}", hint="the checkpoint before is kept"
            ) from fault
        finally:
            partial.unlink(missing_ok=True)

    def load(self, path: Path, device: torch.device) -> None:
        """Bring back what `save` kept. Raises CycleRDMError where it is missing or of another task or network."""
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except FileNotFoundError:
            raise CycleRDMError(f"{path}: no checkpoint to resume from", hint="leave out --resume") from None
        except Exception as fault:
            raise CycleRDMError(f"{path}: this checkpoint cannot be read: {fault}".splitlines()[0]) from fault
        task = state.get("task") if isinstance(state, dict) else None
        if task != self.config.task:
            raise CycleRDMError(
                f"{path}: this run learned {task}, not {self.config.task}", hint="another --out"
            )
        try:
            self.progress = Progress(**state["progress"])
            self.optimizer = self._optimizer()
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average.values = state["average"]
        except Exception as fault:
            raise CycleRDMError(
                f"{path}: this checkpoint is of another network or recipe", hint="another --out"
            ) from fault  # fmt: skip


def train(
    network: CompactNetwork,
    source: BatchSource,
    config: TrainingConfig,
    folder: Path,
    *,
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
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
    learner, checkpoint = Learner(network, config, processes), folder / CHECKPOINT
    if resume:
        learner.load(checkpoint, device)
    if config.compile:
        network.compile(dynamic=False)
    progress = learner.progress
    losses: list[Tensor] = []
    last_log = last_save = time.monotonic()
    clock = time.monotonic() - progress.seconds
    while True:
        share, stop = processes.agree(progress.share(config), stopped(), device)
        if share >= 1 or stop:
            break
        phase, share_of_phase = config.phase_at(share)
        learner.enter(phase)
        losses.append(processes.mean(learner.learn(source, share_of_phase)))
        progress.seconds = time.monotonic() - clock

        if progress.iteration % config.log_every == 0:
            seconds, last_log = time.monotonic() - last_log, time.monotonic()
            patches = (
                config.log_every * learner.phase.scenes * learner.phase.patches_per_scene * processes.world
            )
            report({
                "iteration": progress.iteration,
                "share": round(share, 4),
                "minutes": round(progress.seconds / 60, 2),
                "patches_per_second": round(patches / seconds, 1),
                "phase": phase,
                "loss": _mean(losses, progress, checkpoint),
            })  # fmt: skip
            losses = []
        if examine and int(progress.share(config) * config.validations) > int(share * config.validations):
            _mean(losses, progress, checkpoint)
            if processes.leads:
                report({"iteration": progress.iteration, **examine(learner.average.of(network))})
        if processes.leads and time.monotonic() - last_save > 60 * config.checkpoint_minutes:
            _mean(losses, progress, checkpoint)
            learner.save(checkpoint)
            last_save = time.monotonic()
    _mean(losses, progress, checkpoint)
    if processes.leads:
        learner.save(checkpoint)
    return {name: value.cpu() for name, value in learner.average.values.items()}


def _mean(losses: list[Tensor], progress: Progress, checkpoint: Path) -> float:
    """Return the mean loss. Raises CycleRDMError where it is not finite."""
    mean = float(torch.stack(losses).mean()) if losses else 0.0
    if not math.isfinite(mean):
        raise CycleRDMError(
            f"the loss is not finite at iteration {progress.iteration}",
            hint=f"a lower --learning-rate; {checkpoint} holds the last good state",
        )
    return mean
