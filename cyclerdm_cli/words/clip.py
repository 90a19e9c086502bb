"""The package's CLIP: what it makes of a picture and of a sentence, as probabilities over all that may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.file import Header, read_all, read_header
from cyclerdm_cli.words.tokens import Vocabulary
from cyclerdm_cli.words.towers import read_picture, read_text
from cyclerdm_cli.words.trials import Verdict
from cyclerdm_cli.words.windows import GRID, PATCH
from cyclerdm_cli.words.wordings import NAMES, anchors

ARCHITECTURE = "clip"
"""In the header of the file of weights."""
VERDICT_PREFIX = "verdict."
"""Begins the names of those numbers in the file that are not of open_clip's model."""
MOST_DEVIATIONS = 6.0
"""Standard deviations beyond which a number of a description says no more."""
LEAST_KNOWN = 0.5
"""A sentence of which no more than this share of the words is known is in another language, or in none."""


@dataclass(frozen=True)
class Scale:
    """What brings the numbers of a window's description around zero, measured where the CLIP was trained."""

    mean: Tensor
    """(3, PATCH, PATCH)."""
    std: Tensor
    """The same; 1 where a number never changes."""

    def normalised(self, descriptions: Tensor) -> Tensor:
        """Map (B, 3, SIDE, SIDE) to the same shape, in [-MOST_DEVIATIONS, MOST_DEVIATIONS]."""
        mean, std = (part.repeat(1, GRID, GRID) for part in (self.mean, self.std))
        return ((descriptions - mean) / std).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)


@dataclass(frozen=True)
class Clip:
    """Two towers, and where each of the names lies in their space."""

    names: tuple[str, ...]
    """Those of NAMES that it learned; the catalogue may have tasks that are newer than the file."""

    numbers: dict[str, Tensor]
    """Of the whole model, by open_clip's names, float32."""
    vision_config: dict[str, Any]
    text_config: dict[str, Any]
    scale: Scale
    vocabulary: Vocabulary
    anchors: Tensor
    """(len(names), D) of length 1: the embeddings of the tasks' own prompts, and of the clean picture's."""
    verdict: Verdict | None = None
    """Weighs what the picture tower sees against what comes of trials."""

    @torch.inference_mode()
    def look(self, descriptions: Tensor) -> Tensor:
        """Return the logarithms of the odds of each of its names, (B, len(names)), for descriptions of pictures."""
        seen = self.scale.normalised(descriptions)
        return self._logits(read_picture(self.numbers, self.vision_config, seen))

    @torch.inference_mode()
    def read(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        """Return how likely each of NAMES is meant, (B, len(NAMES)); 0 where most words or the name are unknown."""
        length = self.text_config["context_length"]
        known = [self.vocabulary.known(self.vocabulary.encode(one, length)) for one in sentences]
        likely = self._logits(self.embed(sentences)).sigmoid().double().numpy()
        return self.spread(np.where(np.array(known)[:, None] > LEAST_KNOWN, likely, 0.0))

    def spread(self, likely: NDArray[np.float64]) -> NDArray[np.float64]:
        """Widen probabilities of its own names, (B, len(names)), to all NAMES, (B, len(NAMES)), with 0."""
        found = np.zeros((len(likely), len(NAMES)))
        found[:, [NAMES.index(name) for name in self.names]] = likely
        return found

    def embed(self, sentences: Sequence[str]) -> Tensor:
        """Return the sentences' embeddings, (B, D), of any length."""
        length = self.text_config["context_length"]
        tokens = torch.tensor([self.vocabulary.encode(one, length) for one in sentences])
        return read_text(self.numbers, self.text_config, tokens)

    def _logits(self, embeddings: Tensor) -> Tensor:
        cosines = F.normalize(embeddings, dim=-1) @ self.anchors.T
        return self.numbers["logit_scale"].exp() * cosines + self.numbers["logit_bias"]


def packaged() -> Path:
    """Return the file of the CLIP that comes with the package."""
    return Path(str(files("cyclerdm_cli") / "weights" / "clip.safetensors"))


def load_clip(path: Path) -> Clip:
    """Load a CLIP that `cyclerdm train --model prompts` made.

    Raises:
        WeightsError: missing, damaged, or a file of something else.
    """
    header = read_header(path)
    if header.architecture != ARCHITECTURE:
        raise WeightsError(f"{path}: weights of a {header.architecture} network, not a CLIP")
    try:
        return _clip_of(read_all(path), header)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as fault:
        raise WeightsError(f"{path}: its numbers make no CLIP of this program") from fault


def _clip_of(numbers: dict[str, Tensor], header: Header) -> Clip:
    config = header.config
    names = tuple(config["names"])
    if not set(names) <= set(NAMES) or len(set(names)) < len(names) or "clean" not in names:
        raise ValueError("it knows other tasks")
    weighed = [name for name in numbers if name.startswith(VERDICT_PREFIX)]
    weighing = {name.removeprefix(VERDICT_PREFIX): numbers.pop(name) for name in weighed}
    verdict = Verdict(names=len(names)) if weighing else None
    if verdict is not None:
        verdict.load_state_dict(weighing)
        verdict.requires_grad_(False)
    unnamed = Clip(
        names,
        numbers,
        config["vision_cfg"],
        config["text_cfg"],
        Scale(*(torch.tensor(config[f"window_{part}"]).view(3, PATCH, PATCH) for part in ("mean", "std"))),
        Vocabulary(tuple(config["vocabulary"])),
        torch.empty(0),
    )
    with torch.inference_mode():
        found = F.normalize(unnamed.embed(anchors(names)), dim=-1)
    return replace(unnamed, anchors=found, verdict=verdict)
