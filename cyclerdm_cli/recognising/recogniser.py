"""Training the CLIP that names damage: open_clip's own model class, sentences, and described photographs.

The objective is SigLIP's (Zhai et al., ICCV 2023), a sigmoid for each pair of picture and sentence, since a picture
may have two damages; besides, every picture and every sentence is told from the tasks' own prompts, as
DA-CLIP's controller is (Luo et al., ICLR 2024). Damaging and describing a photograph costs more than learning
from it, so that each description is kept and seen many times.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.recognising.openclip import import_open_clip
from cyclerdm_cli.recognising.sightings import (
    Sightings,
    SightingSource,
    draw_names,
    handfuls_of,
    helpers_may_be_stopped,
    labels_of,
)
from cyclerdm_cli.training.average import Average
from cyclerdm_cli.training.checkpoint import of_another_run, read_checkpoint, write_checkpoint
from cyclerdm_cli.training.configuration import check_kinds
from cyclerdm_cli.training.photographs import Photographs
from cyclerdm_cli.weights.file import Header, write_weights
from cyclerdm_cli.words.clip import ARCHITECTURE, Scale, load_clip
from cyclerdm_cli.words.tokens import Vocabulary
from cyclerdm_cli.words.windows import GRID, PATCH, SIDE
from cyclerdm_cli.words.wordings import NAMES, anchors, wordings

EMBEDDING = 64
VISION: dict[str, Any] = {
    "image_size": SIDE, "patch_size": PATCH, "width": 128, "head_width": 32, "layers": 3, "pool_type": "avg",
    "patch_dropout": 0.2,
}  # fmt: skip
TEXT: dict[str, Any] = {"context_length": 24, "width": 64, "heads": 2, "layers": 2}
SCALE, BIAS = 10.0, -3.0
"""What cosines are multiplied with and moved by before the sigmoid, at the start; both are learned."""
BATCH = 96
"""Descriptions an optimiser step."""
SENTENCES = 128
"""Sentences a step; the first BATCH at most are of the pictures."""
FIRST_MEMORY = 384
"""Descriptions that are waited for before the first step; their spread sets the scale for good."""
LATER_MEMORY = 6_000
"""The same where a model goes on: it would learn a few by heart, and forget what it knows."""
WARM_UP = 50
LOG_EVERY = 50
CHECKPOINT = "checkpoint.pt"
CHECKPOINT_EVERY = 60.0
"""Seconds."""


@dataclass(frozen=True)
class RecogniserConfig:
    """A recipe. The defaults make the file in the package."""

    iterations: int = 0
    """Optimiser steps; 0 leaves the end to `minutes`."""
    minutes: float = 0.0
    """Wall-clock time; 0 leaves the end to `iterations`."""
    steps_per_handful: int = 2
    """Optimiser steps for each handful of new scenes: how often a description is seen."""
    memory: int = 40_000
    """Descriptions kept; each takes 14 kB."""
    learning_rate: float = 1e-3
    """Peak, reached after WARM_UP steps; falls along a cosine to nothing."""
    weight_decay: float = 0.05
    ema: float = 0.999
    """Decay of the averaged numbers, which are the ones kept."""
    precision: str = "bf16"
    workers: int = 1
    """Processes that damage and describe photographs."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field. Raises UsageError with the field, its value and the allowed range."""
        check_kinds(self, "training prompts")
        checks = (
            ("iterations", self.iterations >= 0, "0 or more"),
            ("minutes", self.minutes >= 0, "0 or more"),
            ("steps_per_handful", self.steps_per_handful >= 1, "1 or more"),
            ("memory", self.memory >= FIRST_MEMORY, f"{FIRST_MEMORY} or more"),
            ("learning_rate", 0 < self.learning_rate < 1, "above 0, below 1"),
            ("weight_decay", self.weight_decay >= 0, "0 or more"),
            ("ema", 0 <= self.ema < 1, "0 up to 1"),
            ("precision", self.precision in ("bf16", "fp32"), "bf16 or fp32"),
            ("workers", self.workers >= 1, "1 or more"),
        )
        for name, good, allowed in checks:
            if not good:
                raise UsageError(
                    f"training prompts: {name} is {getattr(self, name)}", hint=f"allowed: {allowed}"
                )
        if not self.iterations and not self.minutes:
            raise UsageError("training has no end", hint="give --iterations or --minutes")


@dataclass
class Progress:
    """How far a run has come; what a checkpoint keeps beside the numbers."""

    iteration: int = 0
    minutes: float = 0.0
    handfuls: int = 0

    def share(self, config: RecogniserConfig) -> float:
        """Return how much of the run is done, in [0, 1]."""
        if config.iterations:
            return min(self.iteration / config.iterations, 1)
        return min(self.minutes / config.minutes, 1)


class Memory:
    """Descriptions, the newest in the place of the oldest once it is full."""

    def __init__(self, room: int) -> None:
        self.room, self.count = room, 0
        self.descriptions = torch.empty((room, 3, SIDE, SIDE), dtype=torch.half)
        self.labels = torch.empty((room, len(NAMES)))

    def __len__(self) -> int:
        return min(self.count, self.room)

    def keep(self, seen: Sightings) -> None:
        """Add a handful."""
        places = torch.arange(self.count, self.count + len(seen.labels)) % self.room
        self.descriptions[places] = seen.descriptions.half()
        self.labels[places] = seen.labels
        self.count += len(seen.labels)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return BATCH descriptions, (B, 3, SIDE, SIDE) float32, and their labels."""
        picks = torch.randint(len(self), (BATCH,), generator=generator)
        return self.descriptions[picks].float(), self.labels[picks]

    def scale(self) -> Scale:
        """Return mean and spread of every number of a description over all windows kept."""
        patches = self.descriptions[: len(self)].float().view(-1, 3, GRID, PATCH, GRID, PATCH)
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
        std = patches.std(0)
        return Scale(patches.mean(0), torch.where(std > 1e-6, std, 1.0))


def build(vocabulary: Vocabulary) -> nn.Module:
    """Return open_clip's CLIP of our configuration, with random numbers. Raises UsageError without open_clip."""
    model: nn.Module = import_open_clip().model.CLIP(
        EMBEDDING, dict(VISION), {**TEXT, "vocab_size": vocabulary.size},
        init_logit_scale=math.log(SCALE), init_logit_bias=BIAS,
    )  # fmt: skip
    return model


class Recogniser:
    """A model, its optimiser, and how far they have come."""

    def __init__(self, config: RecogniserConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.vocabulary = Vocabulary.of(wordings().every_word())
        self.model: Any = build(self.vocabulary).to(device)
        decayed, others = (
            [one for one in self.model.parameters() if (one.ndim > 1) == decays] for decays in (True, False)
        )
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
        )
        self.average = Average.start(config.ema, self.model)
        self.anchors = self._tokens(anchors())
        self.scale: Scale | None = None
        self.progress = Progress()

    def _tokens(self, sentences: list[str]) -> Tensor:
        length = TEXT["context_length"]
        return torch.tensor([self.vocabulary.encode(one, length) for one in sentences], device=self.device)

    def step(self, memory: Memory) -> dict[str, float]:
        """Learn from a batch of what is kept; return the terms of the loss."""
        if self.scale is None:
            self.scale = memory.scale()
        seed = self.config.seed * 1_000_003 + self.progress.iteration
        generator, random = torch.Generator().manual_seed(seed), Random(seed)
        rise = min((self.progress.iteration + 1) / WARM_UP, 1.0)
        for group in self.optimizer.param_groups:
            fall = 0.5 + 0.5 * math.cos(math.pi * self.progress.share(self.config))
            group["lr"] = self.config.learning_rate * rise * fall
        descriptions, labels = memory.draw(generator)
        meant = [
            tuple(name for name, there in zip(NAMES, row, strict=True) if there)
            for row in labels[: SENTENCES // 2].tolist()
        ]
        meant += [() if random.random() < 0.3 else draw_names(random) for _ in range(SENTENCES - len(meant))]
        meanings = torch.stack([labels_of(names) for names in meant]).to(self.device)
        tokens = self._tokens([wordings().draw(names, random) for names in meant])

        self.model.train()
        seen, labels = self.scale.normalised(descriptions).to(self.device), labels.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            pictures = self.model.encode_image(seen)
            texts = self.model.encode_text(torch.cat([tokens, self.anchors]))
        terms = self._terms(pictures.float(), texts.float(), labels, meanings)
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.model, self.progress.iteration)
        self.progress.iteration += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    def _terms(self, pictures: Tensor, texts: Tensor, labels: Tensor, meanings: Tensor) -> dict[str, Tensor]:
        pictures, texts = F.normalize(pictures, dim=-1), F.normalize(texts, dim=-1)
        sentences, prompts = texts[: -len(NAMES)], texts[-len(NAMES) :]
        scale, bias = self.model.logit_scale.exp(), self.model.logit_bias
        own = meanings[: SENTENCES // 2]
        pairs = scale * pictures @ sentences[: len(own)].T + bias
        same = (labels[:, None] == own[None]).all(-1)
        # A sentence that tells half of the truth is neither right nor wrong.
        clear = same | ~((labels[:, None] * own[None]).sum(-1) > 0)
        matched = F.binary_cross_entropy_with_logits(pairs, same.float(), reduction="none")
        return {
            "picture": 4 * F.binary_cross_entropy_with_logits(scale * pictures @ prompts.T + bias, labels),
            "sentence": F.binary_cross_entropy_with_logits(scale * sentences @ prompts.T + bias, meanings),
            "pair": (matched * clear).sum() / clear.sum(),
        }

    def checkpoint(self) -> dict[str, Any]:
        """Return all that `resume` needs."""
        scale = None if self.scale is None else [self.scale.mean, self.scale.std]
        return {
            "model": self.model.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "scale": scale,
            "vocabulary": list(self.vocabulary.stems),
        }

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint. Raises CycleRDMError where it cannot be read, UsageError for other words."""
        kept = read_checkpoint(path, self.device)
        if kept.get("vocabulary") != list(self.vocabulary.stems):
            raise UsageError(
                "the checkpoint was made with other wordings", hint="start anew, in another --out"
            )
        try:
            self.model.load_state_dict(kept["model"])
            self.average.values = kept["average"]
            self.optimizer.load_state_dict(kept["optimizer"])
            self.scale = None if kept["scale"] is None else Scale(*kept["scale"])
            self.progress = Progress(**kept["progress"])
        except Exception as fault:
            raise of_another_run(path) from fault

    def start_from(self, path: Path) -> None:
        """Begin with the numbers of a file that `write` made. Raises WeightsError, UsageError for other words."""
        clip = load_clip(path)
        if clip.vocabulary.stems != self.vocabulary.stems:
            raise UsageError(f"{path}: made with other wordings", hint="leave out --init")
        self.model.load_state_dict(clip.numbers)
        self.average = Average.start(self.config.ema, self.model)
        self.scale = clip.scale

    def write(self, path: Path, licence: str, training_data: str) -> None:
        """Write the file that `restore --task auto` takes. Raises WeightsError."""
        assert self.scale is not None
        config = {
            "embed_dim": EMBEDDING,
            "vision_cfg": VISION,
            "text_cfg": {**TEXT, "vocab_size": self.vocabulary.size},
            "names": list(NAMES),
            "vocabulary": list(self.vocabulary.stems),
            "window_mean": [round(value, 5) for value in self.scale.mean.flatten().tolist()],
            "window_std": [round(value, 7) for value in self.scale.std.flatten().tolist()],
        }
        header = Header(
            ARCHITECTURE, config, NAMES[:-1], licence, training_data, datetime.now(UTC).date().isoformat(),
            {**asdict(self.config), **asdict(self.progress)},
        )  # fmt: skip
        write_weights(path, self.average.values, header)


def learn(
    recogniser: Recogniser,
    photographs: Photographs,
    folder: Path,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> None:
    """Train until the recipe's end, or until it shall stop; a checkpoint stays in the folder.

    A resumed run goes on with new scenes: the descriptions kept are not in the checkpoint.
    """
    config, progress, kept = recogniser.config, recogniser.progress, folder / CHECKPOINT
    folder.mkdir(parents=True, exist_ok=True)
    memory, source = Memory(config.memory), SightingSource(photographs, seed=config.seed)
    enough = min(FIRST_MEMORY if recogniser.scale is None else LATER_MEMORY, config.memory)
    last = saved = time.monotonic()
    sums: dict[str, float] = {}
    with helpers_may_be_stopped(stopped):
        for seen in handfuls_of(source, progress.handfuls, config.workers):
            if stopped():
                break
            memory.keep(seen)
            progress.handfuls += 1
            for _ in range(config.steps_per_handful if len(memory) >= enough else 0):
                if progress.share(config) >= 1 or stopped():
                    write_checkpoint(kept, recogniser.checkpoint())
                    return
                for name, value in recogniser.step(memory).items():
                    sums[name] = sums.get(name, 0.0) + value / LOG_EVERY
                if progress.iteration % LOG_EVERY == 0:
                    _log(progress, sums, folder, say)
                    sums = {}
            now = time.monotonic()
            progress.minutes += (now - last) / 60
            last = now
            if now - saved > CHECKPOINT_EVERY:
                write_checkpoint(kept, recogniser.checkpoint())
                saved = now
    write_checkpoint(kept, recogniser.checkpoint())


def _log(progress: Progress, sums: dict[str, float], folder: Path, say: Callable[[str], None]) -> None:
    record = {**asdict(progress), "loss": {name: round(value, 4) for name, value in sums.items()}}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")
    losses = ", ".join(f"{name} {value:.3f}" for name, value in sums.items())
    say(
        f"{progress.iteration} steps, {progress.handfuls} handfuls, {progress.minutes:.1f} min, loss {losses}"
    )
