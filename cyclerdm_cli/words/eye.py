"""What is wrong with a picture, as `--task auto` sees it: the picture tower, trials, and a verdict on both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.weights.ensuring import locate
from cyclerdm_cli.weights.loading import load_network
from cyclerdm_cli.words.clip import Clip, load_clip, packaged
from cyclerdm_cli.words.trials import BLUR, DETAILS, TONES, Trial
from cyclerdm_cli.words.windows import described


@dataclass(frozen=True)
class Eye:
    """Sees what is wrong."""

    clip: Clip
    trial: Trial | None = None
    """Without one the tower's word counts alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those of NAMES that it can tell apart."""
        return self.clip.names

    @torch.inference_mode()
    def see(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return how likely each of NAMES is of a picture, (H, W, 3) uint8 sRGB: (len(NAMES),), not of sum 1.

        It is 0 for a task that the file of the CLIP does not know.
        """
        # As it is and mirrored: what was a guess is rarely one twice.
        ways = [described(pixels), described(np.ascontiguousarray(pixels[:, ::-1]))]
        seen = self.clip.look(torch.stack(ways)).mean(0, keepdim=True)
        if self.trial is not None and self.clip.verdict is not None:
            seen = self.clip.verdict(self.trial(pixels)[None], seen)
        return self.clip.spread(seen.sigmoid().double().numpy())[0]


def load_eye(path: Path | None = None) -> Eye:
    """Load the package's CLIP, or another file of `cyclerdm train --model prompts`, and what it needs for trials.

    Raises:
        WeightsError: missing, damaged, or a file of something else.
    """
    clip = load_clip(path or packaged())
    return Eye(clip, None if clip.verdict is None else load_trial())


def load_trial() -> Trial:
    """Load the weights in the package to try their tasks. Raises WeightsError."""
    networks = {task: load_network(locate(None, task)[1])[0] for task in (*TONES, *DETAILS, BLUR)}
    return Trial(networks, choose_engine("cpu").precision)
