"""Learning what it means when tasks are tried on pictures: from scenes that are damaged here.

Several networks learn, each by itself, and their mean is kept: as one network, whose parts they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.errors import DataError, UsageError
from cyclerdm_cli.recognising.sightings import SightingSource, handfuls_of, helpers_may_be_stopped
from cyclerdm_cli.training.checkpoint import of_another_run, read_checkpoint, write_checkpoint
from cyclerdm_cli.training.configuration import check_kinds
from cyclerdm_cli.training.photographs import Photographs
from cyclerdm_cli.weights.file import read_all, read_header, write_weights
from cyclerdm_cli.words.clip import VERDICT_PREFIX
from cyclerdm_cli.words.eye import load_trial
from cyclerdm_cli.words.trials import NUMBERS_OF_TRIALS, VERDICT_WIDTH, Verdict
from cyclerdm_cli.words.wordings import NAMES

NETWORKS_JOINED = 4
"""Networks that learn, each by itself, and are joined to one."""
STEPS, BATCH = 2_500, 256
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.05
"""Learning rate at the start, falling in a line to nothing; weight decay."""
NOISE_ON_EVIDENCE = 0.3
"""Standard deviation of the noise on standardised evidence: real pictures differ from those made here."""
DROPOUT = 0.2
"""Share of the hidden values that is set to 0 at each step."""
EVIDENCE_FILE = "evidence.pt"
"""What a run keeps beside its result, so that it can go on."""
SAVE_EVERY = 60.0
"""Seconds."""
FEWEST_SCENES = 100
"""Scenes without which there is nothing to learn."""


@dataclass(frozen=True)
class VerdictConfig:
    """A recipe. `learn_verdict` has the rest."""

    iterations: int = 0
    """Handfuls of scenes; 0 leaves the end to `minutes`."""
    minutes: float = 0.0
    """Time in which scenes are damaged and tasks tried on them; 0 leaves the end to `iterations`."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field. Raises UsageError with the field, its value and the allowed range."""
        check_kinds(self, "training a verdict")
        for name in ("iterations", "minutes"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"training a verdict: {name} is {getattr(self, name)}", hint="allowed: 0 or more"
                )
        if not self.iterations and not self.minutes:
            raise UsageError("training has no end", hint="give --iterations or --minutes")


class Evidence(NamedTuple):
    """Scenes to learn from."""

    tried: Tensor
    """(N, NUMBERS_OF_TRIALS), see `trials.Trial`."""
    labels: Tensor
    """(N, names), 1 for what is true."""


def learn_verdict(evidence: Evidence, seed: int) -> Verdict:
    """Return a verdict that learned from evidence; the same evidence and seed give the same."""
    std, mean = torch.std_mean(evidence.tried, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        members = [_member(evidence, mean, std + 1e-3) for _ in range(NETWORKS_JOINED)]
    verdict = Verdict(names=evidence.labels.shape[1])
    joined = {
        "first.weight": torch.cat([one.first.weight for one in members]),
        "first.bias": torch.cat([one.first.bias for one in members]),
        "last.weight": torch.cat([one.last.weight for one in members], 1) / NETWORKS_JOINED,
        "last.bias": torch.stack([one.last.bias for one in members]).mean(0),
        "mean": mean,
        "std": std + 1e-3,
    }
    verdict.load_state_dict(joined)
    return verdict.eval()


def _member(evidence: Evidence, mean: Tensor, std: Tensor) -> Verdict:
    verdict = Verdict(VERDICT_WIDTH // NETWORKS_JOINED, evidence.labels.shape[1])
    verdict.load_state_dict({"mean": mean, "std": std}, strict=False)
    normal = verdict.normal(evidence.tried)
    optimizer = torch.optim.AdamW(verdict.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / STEPS)
        picks = torch.randint(len(normal), (BATCH,))
        shown = normal[picks] + NOISE_ON_EVIDENCE * torch.randn(BATCH, normal.shape[1])
        loss = F.binary_cross_entropy_with_logits(verdict.opinion(shown, DROPOUT), evidence.labels[picks])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return verdict


def gather_evidence(
    config: VerdictConfig,
    photographs: Photographs,
    folder: Path,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
    names: tuple[str, ...] = NAMES,
) -> Evidence:
    """Damage scenes and try tasks on them, until the recipe's end or until it shall stop.

    What is gathered stays in the folder; what is there already counts.

    Args:
        names: of what may be wrong; those of the CLIP that the verdict goes with.

    Raises:
        WeightsError: the weights to be tried cannot be read.
        DataError: no photograph is large and bright enough.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / EVIDENCE_FILE
    found: dict[str, Any] = {"handfuls": 0, "minutes": 0.0, "parts": []}
    if file.exists():
        kept = read_checkpoint(file, torch.device("cpu"))
        if set(kept) != set(found):
            raise of_another_run(file)
        found = kept
    source = SightingSource(photographs, seed=config.seed, names=names, trial=load_trial())
    if not source.shows_any():
        raise DataError("no photograph is large and bright enough to learn from")
    begun = last = time.monotonic() - 60 * found["minutes"]

    def done() -> bool:
        by_handfuls = config.iterations and found["handfuls"] >= config.iterations
        return bool(by_handfuls or (config.minutes and found["minutes"] >= config.minutes) or stopped())

    with helpers_may_be_stopped(stopped):
        for seen in () if done() else handfuls_of(source, found["handfuls"], 1):
            found["parts"].append((seen.tried, seen.labels))
            found["handfuls"] += 1
            now = time.monotonic()
            found["minutes"] = (now - begun) / 60
            if now - last > SAVE_EVERY or done():
                last = now
                write_checkpoint(file, found)
                say(f"{found['handfuls']} handfuls, {found['minutes']:.1f} min")
            if done():
                break
    if not found["parts"]:  # stopped at once
        return Evidence(torch.empty(0, NUMBERS_OF_TRIALS), torch.empty(0, len(names)))
    return Evidence(*(torch.cat(part) for part in zip(*found["parts"], strict=True)))


def write(
    path: Path,
    clip: Path,
    verdict: Verdict,
    config: VerdictConfig,
    evidence: Evidence,
    licence: str,
    note: str,
) -> None:
    """Write the file of a CLIP once more, with a verdict. Raises WeightsError."""
    header = read_header(clip)
    numbers = {name: value for name, value in read_all(clip).items() if not name.startswith(VERDICT_PREFIX)}
    numbers |= {VERDICT_PREFIX + name: value for name, value in verdict.state_dict().items()}
    recipe = {**asdict(config), "scenes": len(evidence.labels)}
    header = replace(
        header, licence=licence, training_data=note, created=datetime.now(UTC).date().isoformat(),
        training={**header.training, "verdict": recipe},
    )  # fmt: skip
    write_weights(path, numbers, header)
