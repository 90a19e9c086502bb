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
from cyclerdm_cli.training.batches import BatchSource
from cyclerdm_cli.training.checkpoint import of_another_run, read_checkpoint, write_checkpoint
from cyclerdm_cli.training.configuration import KERNELS, Phase, TrainingConfig
from cyclerdm_cli.training.kernels import KernelMemory
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.optimizer import PhaseOptimizer
from cyclerdm_cli.training.processes import ALONE, Processes

CHECKPOINT = "checkpoint.pt"
"""The file in a run's folder that it goes on from."""
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
"""Is given each record of the log."""
Examine = Callable[[nn.Module], dict[str, Any]]
"""Measures a network, and returns what belongs into the record."""


class Learner:
    """A network, its averaged weights and its optimiser, phase after phase."""

    def __init__(self, network: CompactNetwork, config: TrainingConfig, processes: Processes) -> None:
        self.network, self.config, self.processes = network, config, processes
        self.progress = Progress()
        self.objective = Objective(config, KernelMemory())
        self.optimizer = self._make_optimizer()
        self.average = Average.start(config.ema, network)

    @property
    def phase(self) -> Phase:
        """Return the phase at work."""
        return self.config.phases[self.progress.phase]

    def _make_optimizer(self) -> PhaseOptimizer:
        """Return an optimiser of the parts that the phase at work trains."""
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
        self.optimizer = self._make_optimizer()

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
        """Take one step down a loss's gradient, so many iterations since the phase began."""
        parameters = self.optimizer.parameters
        self.network.zero_grad(set_to_none=True)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        self.processes.average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, self.config.gradient_norm)
        self.optimizer.step(rate)
        self.average.update(self.network, since)

    def save(self, path: Path) -> None:
        """Write a checkpoint. Raises CycleRDMError as `write_checkpoint`."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.values,
            "progress": asdict(self.progress),
            "task": self.config.task,
        }
        write_checkpoint(path, state)

    def load(self, path: Path, device: torch.device) -> None:
        """Bring back what `save` kept. Raises CycleRDMError where it is missing or of another task or network."""
        state = read_checkpoint(path, device)
        task = state.get("task")
        if task != self.config.task:
            raise CycleRDMError(
                f"{path}: this run learned {task}, not {self.config.task}", hint="another --out"
            )
        try:
            self.progress = Progress(**state["progress"])
            self.optimizer = self._make_optimizer()
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average.values = state["average"]
        except Exception as fault:
            raise of_another_run(path) from fault


class Losses:
    """The losses since the last record of the log."""

    def __init__(self, learner: Learner, checkpoint: Path) -> None:
        self._learner, self._checkpoint = learner, checkpoint
        self._losses: list[Tensor] = []
        self._begun = time.monotonic()

    def add(self, loss: Tensor) -> None:
        """Take the loss of one iteration, () on any device; it is not waited for."""
        self._losses.append(loss)

    def mean(self) -> float:
        """Return their mean. Raises CycleRDMError where it is not finite."""
        mean = float(torch.stack(self._losses).mean()) if self._losses else 0.0
        if not math.isfinite(mean):
            raise CycleRDMError(
                f"the loss is not finite at iteration {self._learner.progress.iteration}",
                hint=f"a lower --learning-rate; {self._checkpoint} holds the last good state",
            )
        return mean

    def record(self, share: float) -> dict[str, Any]:
        """Return the record of what was added at a share of the run, and begin anew."""
        learner, progress = self._learner, self._learner.progress
        seconds, self._begun = time.monotonic() - self._begun, time.monotonic()
        scenes = learner.config.log_every * learner.phase.scenes * learner.processes.world
        record = {
            "iteration": progress.iteration,
            "share": round(share, 4),
            "minutes": round(progress.seconds / 60, 2),
            "patches_per_second": round(scenes * learner.phase.patches_per_scene / seconds, 1),
            "phase": progress.phase,
            "loss": self.mean(),
        }
        self._losses = []
        return record


def _make_learner(
    network: CompactNetwork, config: TrainingConfig, processes: Processes, checkpoint: Path, resume: bool
) -> Learner:
    """Return a learner that stands where the run shall begin, or go on. Raises CycleRDMError as `Learner.load`."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
    learner = Learner(network, config, processes)
    if resume:
        learner.load(checkpoint, next(network.parameters()).device)
    if config.compile:
        network.compile(dynamic=False)
    return learner


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
    checkpoint, device = folder / CHECKPOINT, next(network.parameters()).device
    learner = _make_learner(network, config, processes, checkpoint, resume)
    progress, losses = learner.progress, Losses(learner, checkpoint)
    saved = time.monotonic()
    began = saved - progress.seconds
    while True:
        share, stop = processes.agree(progress.share(config), stopped(), device)
        if share >= 1 or stop:
            break
        phase, share_of_phase = config.phase_at(share)
        learner.enter(phase)
        losses.add(processes.mean(learner.learn(source, share_of_phase)))
        progress.seconds = time.monotonic() - began

        if progress.iteration % config.log_every == 0:
            report(losses.record(share))
        if examine and int(progress.share(config) * config.validations) > int(share * config.validations):
            losses.mean()
            if processes.leads:
                report({"iteration": progress.iteration, **examine(learner.average.of(network))})
        if processes.leads and time.monotonic() - saved > 60 * config.checkpoint_minutes:
            losses.mean()
            learner.save(checkpoint)
            saved = time.monotonic()
    losses.mean()
    if processes.leads:
        learner.save(checkpoint)
    return {name: value.cpu() for name, value in learner.average.values.items()}
