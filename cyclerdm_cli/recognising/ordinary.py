"""An ordinary CLIP, by open_clip's name or a local file, as a reader of prompts in the place of our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cyclerdm_cli.recognising.openclip import import_open_clip, load_clip
from cyclerdm_cli.words.wordings import NAMES, wordings

EXAMPLES = 32
"""Sentences of each meaning that a new one is compared with."""
NEAREST = 4
"""How many of a meaning's examples count: those that are most like the sentence."""
SHARPNESS = 50.0
"""What cosines are multiplied with before the softmax over meanings."""
SHARE = 0.3
"""Share of the softmax from which a meaning counts as meant; two together have about a half each."""


@dataclass(frozen=True)
class OrdinaryReader:
    """Compares sentences with the package's wordings in the space of a model that never learned them."""

    model: Any
    tokenizer: Any
    examples: Tensor
    """(len(NAMES) + 1, EXAMPLES, D) of length 1; the last are sentences that ask for nothing."""

    names = NAMES
    """Its examples are of all of them."""

    @torch.inference_mode()
    def read(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        """Return how likely each of NAMES is meant by sentences: (B, len(NAMES)); see `understanding.Reader`."""
        cosines = torch.einsum("bd,ked->bke", _embedded(self.model, self.tokenizer, sentences), self.examples)
        likeness = cosines.topk(NEAREST, -1).values.mean(-1)
        shares = (SHARPNESS * likeness).softmax(-1)[:, :-1]
        # The two steps of a probability: half at SHARE, all at twice that.
        return (shares / (2 * SHARE)).clamp(max=1).double().numpy()


def ordinary_reader(wanted: str) -> OrdinaryReader:
    """Load `MODEL:WEIGHTS` as a reader. Raises UsageError and WeightsError as `load_clip`."""
    model = load_clip(wanted, torch.device("cpu"))
    name = Path(wanted.rpartition(":")[0]).name.removesuffix(".json")
    tokenizer, random = import_open_clip().get_tokenizer(name), Random(0)
    meanings: list[tuple[str, ...]] = [*((name,) for name in NAMES), ()]
    drawn = [wordings().draw(meaning, random) for meaning in meanings for _ in range(EXAMPLES)]
    with torch.inference_mode():
        examples = _embedded(model, tokenizer, drawn).view(len(meanings), EXAMPLES, -1)
    return OrdinaryReader(model, tokenizer, examples)


def _embedded(model: Any, tokenizer: Any, sentences: Sequence[str]) -> Tensor:
    return F.normalize(model.encode_text(tokenizer(list(sentences))).float(), dim=-1)
