"""All that shapes a training run, validated once and passed whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cyclerdm_cli.errors import UsageError

KERNELS = 0
"""Stands in a phase's stages for the search for kernels of blur, which is a part of stage 1."""


def check_kinds(values: Any, where: str) -> None:
    """Check that the fields of a dataclass hold what they are declared to: a file may say anything.

    Raises:
        UsageError: with the field, its value and what it should be.
    """
    for name, kind in get_type_hints(type(values)).items():
        value, many = getattr(values, name), get_origin(kind) is tuple
        wanted = get_args(kind)[0] if many else kind
        if not isinstance(wanted, type):
            continue  # a choice of words or a table: checked with the ranges
        allowed = (int, float) if wanted is float else (wanted,)
        fitting = [
            isinstance(one, allowed) and (wanted is bool or not isinstance(one, bool))
            for one in (value if many and isinstance(value, tuple) else [value])
        ]
        if isinstance(value, tuple) != many or not all(fitting):
            words = f"a row of {wanted.__name__}" if many else wanted.__name__
            raise UsageError(f"{where}: {name} is {value!r}", hint=f"allowed: {words}")


def check_ranges(where: str, checks: tuple[tuple[str, Any, bool, str], ...]) -> None:
    """Raise UsageError for the first of (name, value, whether it is good, what is allowed) that is not good."""
    for name, value, good, allowed in checks:
        if not good:
            raise UsageError(f"{where}: {name} is {value}", hint=f"allowed: {allowed}")


@dataclass(frozen=True)
class Phase:
    """A part of a run: which stages are learned, from what, how fast. Each has a warm-up and a cosine of its
    own."""

    stages: tuple[int, ...] = (1, 2, 3)
    """The stages that are learned, through one another; 0 is the search for kernels of blur."""
    share: float = 1.0
    """Of the run, against the other phases."""
    scenes: int = 4
    """Scenes a batch."""
    scene: int = 128
    """Side in pixels of a scene: what is degraded, and looked at as a whole picture."""
    patch: int = 128
    """Side in pixels of a patch, what the network sees of a scene."""
    patches_per_scene: int = 1
    learning_rate: float = 1e-3
    """Peak, reached after the warm-up; falls along a cosine to a hundredth."""
    warm_up: int = 30
    """Iterations."""
    batch_repeats: int = 0
    """Optimiser steps on scenes seen before, after each new batch, while kernels are learned."""

    def __post_init__(self) -> None:
        """Check every field. Raises UsageError with the field, its value and the allowed range."""
        check_kinds(self, "training: a phase")
        known = set(self.stages) <= {KERNELS, 1, 2, 3} and len(set(self.stages)) == len(self.stages)
        checks = (
            ("stages", self.stages, bool(self.stages) and known, "some of 0 (kernels), 1, 2, 3"),
            ("share", self.share, self.share >= 0, "0 or more"),
            ("scenes", self.scenes, self.scenes >= 1, "1 or more"),
            ("patch", self.patch, self.patch >= 32 and self.patch % 32 == 0, "a multiple of 32"),
            ("scene", self.scene, self.scene >= self.patch, f"the patch, {self.patch}, or more"),
            ("patches_per_scene", self.patches_per_scene, self.patches_per_scene >= 1, "1 or more"),
            ("learning_rate", self.learning_rate, 0 < self.learning_rate < 1, "above 0, below 1"),
            ("warm_up", self.warm_up, self.warm_up >= 1, "1 or more"),
            ("batch_repeats", self.batch_repeats, self.batch_repeats >= 0, "0 or more"),
        )
        check_ranges("training: a phase", checks)


@dataclass(frozen=True)
class TrainingConfig:
    """A recipe for the weights of one task."""

    task: str
    """Name of the task that is learned."""
    iterations: int = 0
    """Optimiser steps of all phases; 0 leaves the end to `minutes`."""
    minutes: float = 0.0
    """Wall-clock time of all phases; 0 leaves the end to `iterations`."""
    clean_share: float = 0.03
    """Share of scenes that stay clean."""
    smooth_share: float = 0.02
    """Share of scenes that are drawn colour gradients instead of photographs: skies show every faint pattern."""
    pair_share: float = 0.5
    """Share of batches that are from pairs, where there are pairs and a degradation."""
    rough_weight: float = 0.5
    """Weight of the loss of stage 1; that of the last stage is 1."""
    normal_weight: float = 0.5
    """Weight of the loss of stage 2."""
    balance: float = 0.0
    """How far the error of a patch is divided by its damage, 0 to 1: faint damage then counts as strong does."""
    frequency_weight: float = 0.0
    """Weight of L1 between the spectra of the result, amplitude and phase: fine texture, at some cost in PSNR."""
    weight_decay: float = 1e-4
    gradient_norm: float = 1.0
    """Gradients are clipped to this norm."""
    momentum: float = 0.95
    """Of Muon."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones kept."""
    precision: Literal["bf16", "fp32"] = "bf16"
    compile: bool = False
    """Compile the network (torch.compile): pays on a GPU after about a minute."""
    seed: int = 0
    checkpoint_minutes: float = 2.0
    log_every: int = 50
    """Iterations between lines of the log."""
    validations: int = 6
    """How often the averaged weights are measured in the run."""
    validation_pictures: int = 12
    """Pictures at a validation."""
    network: dict[str, Any] = field(default_factory=dict)
    """Fields of the network's configuration that differ from what suits the task."""
    phases: tuple[Phase, ...] = (Phase(),)
    """One after the other; each begins with the averaged weights of the one before."""

    def __post_init__(self) -> None:
        """Check every field. Raises UsageError with the field, its value and the allowed range."""
        check_kinds(self, "training")
        shares = (self.clean_share, self.smooth_share)
        checks = (
            ("iterations", self.iterations, self.iterations >= 0, "0 or more"),
            ("minutes", self.minutes, self.minutes >= 0, "0 or more"),
            ("clean_share", self.clean_share, self.clean_share >= 0 and sum(shares) < 1, "0 up to 1"),
            ("smooth_share", self.smooth_share, self.smooth_share >= 0, "0 up to 1"),
            ("pair_share", self.pair_share, 0 <= self.pair_share <= 1, "0 to 1"),
            ("rough_weight", self.rough_weight, self.rough_weight >= 0, "0 or more"),
            ("normal_weight", self.normal_weight, self.normal_weight >= 0, "0 or more"),
            ("balance", self.balance, 0 <= self.balance <= 1, "0 to 1"),
            ("frequency_weight", self.frequency_weight, self.frequency_weight >= 0, "0 or more"),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more"),
            ("gradient_norm", self.gradient_norm, self.gradient_norm > 0, "above 0"),
            ("momentum", self.momentum, 0 <= self.momentum < 1, "0 up to 1"),
            ("ema", self.ema, 0 <= self.ema < 1, "0 up to 1"),
            ("checkpoint_minutes", self.checkpoint_minutes, self.checkpoint_minutes >= 0, "0 or more"),
            ("log_every", self.log_every, self.log_every >= 1, "1 or more"),
            ("validations", self.validations, self.validations >= 0, "0 or more"),
            ("validation_pictures", self.validation_pictures, self.validation_pictures >= 1, "1 or more"),
            ("precision", self.precision, self.precision in ("bf16", "fp32"), "bf16 or fp32"),
            ("phases", self.phases, sum(phase.share for phase in self.phases) > 0, "some of a share above 0"),
        )  # fmt: skip
        check_ranges("training", checks)
        if not self.iterations and not self.minutes:
            raise UsageError("training has no end", hint="give --iterations or --minutes")

    def phase_at(self, share: float) -> tuple[int, float]:
        """Return which phase a share of the run falls into, and the share of that phase that is done."""
        whole, begun = sum(phase.share for phase in self.phases), 0.0
        for number, phase in enumerate(self.phases):
            length = phase.share / whole
            if length > 0 and (share < begun + length or number == self._last):
                return number, min(1.0, (share - begun) / length)
            begun += length
        raise AssertionError("a run has phases")

    @property
    def _last(self) -> int:
        return max(number for number, phase in enumerate(self.phases) if phase.share > 0)

    @property
    def largest_scene(self) -> int:
        """Side in pixels of the largest scene of any phase."""
        return max(phase.scene for phase in self.phases)
