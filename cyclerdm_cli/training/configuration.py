"""All that shapes a training run, validated once and passed whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cyclerdm_cli.errors import UsageError


def check_kinds(values: Any, where: str) -> None:
    """Check that the fields of a dataclass hold what they are declared to: a file may say anything.

    Raises:
        UsageError: with the field, its value and what it should be.
    """
    for name, kind in get_type_hints(type(values)).items():
        value, many = getattr(values, name), get_origin(kind) is tuple
        wanted = get_args(kind)[0] if many else kind
        if not isinstance(wanted, type):
            continue  # a choice of words: checked with the ranges
        allowed = (int, float) if wanted is float else (wanted,)
        fitting = [
            isinstance(one, allowed) and (wanted is bool or not isinstance(one, bool))
            for one in (value if many and isinstance(value, tuple) else [value])
        ]
        if isinstance(value, tuple) != many or not all(fitting):
            words = f"a row of {wanted.__name__}" if many else wanted.__name__
            raise UsageError(f"{where}: {name} is {value!r}", hint=f"allowed: {words}")


@dataclass(frozen=True)
class ObjectiveWeights:
    """The weight of each term of the objective."""

    tone: float = 0.2
    """The tone curve alone: teaches the whole-picture summary directly."""
    frequency: float = 0.02
    """L1 between the spectra, amplitude and phase: keeps fine texture."""
    structure: float = 0.0
    """1 - SSIM: local contrast, at some cost in PSNR."""
    bands: float = 0.0
    """L1 between the high wavelet bands: edges."""
    prompts: float = 0.0
    """The CLIP prompt loss: how much like its damage a result looks to an open_clip model; see `clip`."""
    low_band: float = 0.2
    """The calibrated low-frequency band, in stage 3."""
    kernel: float = 1.0
    """The kernels of blurred scenes, and the error that is left once they are undone; 0: what reads them rests."""

    def __post_init__(self) -> None:
        """Check every field. Raises UsageError."""
        check_kinds(self, "training: weights")


@dataclass(frozen=True)
class TrainingConfig:
    """A recipe. The defaults make the weights of the package."""

    tasks: tuple[str, ...]
    """Names of the tasks that are learned; a new network's task table has them in this order."""
    iterations: int = 0
    """Optimiser steps; 0 leaves the end to `minutes`."""
    minutes: float = 0.0
    """Wall-clock time; 0 leaves the end to `iterations`."""
    scenes: int = 16
    """Scenes a batch."""
    scene: int = 192
    """Side in pixels of a scene: what is degraded, and summed up by its thumbnail."""
    patches: tuple[int, ...] = (128,)
    """Sides in pixels of a patch, what the network sees of a scene; several share the run equally, in order."""
    patches_per_scene: int = 2
    tasks_per_batch: int = 8
    """At most so many turns, each of one task, share out the scenes of a batch equally."""
    clean_share: float = 0.04
    """Share of scenes that stay clean."""
    mixture_share: float = 0.03
    """Share of turns with two damages, one upon the other, to be undone at once."""
    pair_share: float = 0.5
    """Share of a task's turns that are from pairs, where there are pairs and a degradation."""
    learning_rate: float = 1.5e-3
    """Peak, reached after the warm-up; falls along a cosine to a hundredth."""
    shared_pace: float = 1.0
    """Share of the learning rate at which what all tasks share moves. Going on from weights, 0.1 keeps the tasks
    from pulling it to and fro while each learns at the full rate what is its own."""
    kernel_pace: float = 0.3
    """The same of what reads the kernels of blur: until it knows enough, a wrong kernel does harm."""
    warm_up: int = 30
    """Iterations."""
    weight_decay: float = 1e-4
    gradient_norm: float = 1.0
    """Gradients are clipped to this norm."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones kept."""
    stage_shares: tuple[float, float, float] = (0.45, 0.35, 0.2)
    """How often each stage is trained."""
    later_stages_from: float = 0.8
    """Share of the run before which only stage 1 is trained."""
    kernels_first: float = 0.0
    """Share of the run in which nothing but the kernels of blur is learned."""
    kernel_repeats: int = 6
    """Optimiser steps on as many scenes seen before, after each new batch, as long as kernels alone are learned."""
    start_share: float = 0.85
    """How often a stage is trained from its very start, time 1; otherwise the time is uniform."""
    clip: str = ""
    """MODEL:WEIGHTS for the prompt loss: open_clip's name or a JSON file, and a local file or a cached tag."""
    prompt_iterations: int = 300
    """Batches on which the prompts are learned beforehand."""
    precision: Literal["bf16", "fp32"] = "bf16"
    compile: bool = False
    """Compile the network (torch.compile): pays on a GPU after about a minute."""
    seed: int = 0
    checkpoint_minutes: float = 2.0
    log_every: int = 50
    """Iterations between lines of the log."""
    validations: int = 8
    """How often the averaged weights are measured in the run, task by task."""
    validation_pictures: int = 6
    """Pictures of each task at a validation."""
    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)

    def __post_init__(self) -> None:
        """Check every field. Raises UsageError with the field, its value and the allowed range."""
        check_kinds(self, "training")
        checks = (
            ("iterations", self.iterations, self.iterations >= 0, "0 or more"),
            ("minutes", self.minutes, self.minutes >= 0, "0 or more"),
            ("scenes", self.scenes, self.scenes >= 1, "1 or more"),
            ("patches", self.patches, bool(self.patches) and all(p >= 32 and p % 32 == 0 for p in self.patches),
             "multiples of 32"),
            ("scene", self.scene, self.scene >= max(self.patches, default=0),
             f"the largest patch, {max(self.patches, default=0)}, or more"),
            ("patches_per_scene", self.patches_per_scene, self.patches_per_scene >= 1, "1 or more"),
            ("tasks_per_batch", self.tasks_per_batch, self.tasks_per_batch >= 1, "1 or more"),
            ("mixture_share", self.mixture_share, 0 <= self.mixture_share <= 1, "0 to 1"),
            ("pair_share", self.pair_share, 0 <= self.pair_share <= 1, "0 to 1"),
            ("clean_share", self.clean_share, 0 <= self.clean_share < 1, "0 up to 1"),
            ("learning_rate", self.learning_rate, 0 < self.learning_rate < 1, "above 0, below 1"),
            ("shared_pace", self.shared_pace, 0 <= self.shared_pace <= 1, "0 to 1"),
            ("kernel_pace", self.kernel_pace, 0 <= self.kernel_pace <= 1, "0 to 1"),
            ("warm_up", self.warm_up, self.warm_up >= 1, "1 or more"),
            ("validations", self.validations, self.validations >= 0, "0 or more"),
            ("validation_pictures", self.validation_pictures, self.validation_pictures >= 1, "1 or more"),
            ("kernels_first", self.kernels_first, 0 <= self.kernels_first <= 1, "0 to 1"),
            ("kernel_repeats", self.kernel_repeats, self.kernel_repeats >= 0, "0 or more"),
            ("ema", self.ema, 0 <= self.ema < 1, "0 up to 1"),
            ("precision", self.precision, self.precision in ("bf16", "fp32"), "bf16 or fp32"),
            ("stage_shares", self.stage_shares, len(self.stage_shares) == 3 and sum(self.stage_shares) > 0,
             "three shares, not all 0"),
        )  # fmt: skip
        for name, value, good, allowed in checks:
            if not good:
                raise UsageError(f"training: {name} is {value}", hint=f"allowed: {allowed}")
        if not self.iterations and not self.minutes:
            raise UsageError("training has no end", hint="give --iterations or --minutes")

    @property
    def turns(self) -> int:
        """How many tasks have their turn in a batch: as many as `tasks_per_batch` admits and divide the scenes."""
        return max(turns for turns in range(1, self.tasks_per_batch + 1) if self.scenes % turns == 0)

    def patch_at(self, share: float) -> int:
        """Return the side of a patch when a share of the run is done."""
        return self.patches[min(int(share * len(self.patches)), len(self.patches) - 1)]
