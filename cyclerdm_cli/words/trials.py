"""What comes of tasks that are tried on a picture: damage is there where there is something to undo.

What flakes, nights or noise look like varies more than any program that draws them, and a tower that learned from
drawn ones alone is often sure of the wrong thing where they are real. The networks that restore learned for far
longer, and to leave alone what is no damage. So they are tried: what they take away as noise, rain, snow
and drops in a few windows at full size, how they would change tones and colours of the whole, and what kernel the
picture seems to be blurred by. What a small network makes of this counts nearly as much as what the tower saw.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.cycle.cycle import WINDOW_SIDE as LARGEST
from cyclerdm_cli.cycle.cycle import Network, Place, View
from cyclerdm_cli.cycle.deconvolution import (
    SETTINGS,
    Blur,
    natural_power_spectrum,
    power_spectrum,
    transfer_function,
)
from cyclerdm_cli.cycle.light import apply_light, luma_of
from cyclerdm_cli.cycle.view import shrink_to_view, view_of
from cyclerdm_cli.device import computing_in
from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.words.wordings import NAMES


def _tried_for(what: str) -> tuple[str, ...]:
    return tuple(task.name for task in TASKS if task.recognition.tried_for == what)


TONES = _tried_for("light")
"""Tasks that are judged by how they change light and colour of the whole picture."""
DETAILS = _tried_for("detail")
"""Tasks that are judged by what they take away, pixel by pixel."""
BLUR = _tried_for("blur")[0]
QUARTER_WINDOW_SIDE = 160
"""Side in pixels of the windows in pictures that are wider or higher than LARGEST."""
WINDOW_SIDE_MULTIPLE = 32
"""Sides of windows are multiples of this."""
NUMBERS_ON_AVERAGE, NUMBERS_OF_EXTREMES = 10, 2
"""Numbers about what a task takes away on average, and where most and least."""
NUMBERS_OF_TRIALS = 4 * len(TONES) + (NUMBERS_ON_AVERAGE + NUMBERS_OF_EXTREMES) * len(DETAILS) + 3 + 6
"""What comes of trying all tasks: changes of colour, what is taken away, 3 about detail, 6 about the blur."""
LEAST_LEVELS = 0.1
"""Levels of 255 that are added before the logarithm: taking away less than this makes no difference."""
VERDICT_WIDTH = 192
"""Width of the network that says what trials mean."""
MOST_SURE = 4.0
"""Logarithm of the odds beyond which the tower's word says no more."""
WEIGHT_OF_TOWER, WEIGHT_OF_TRIALS = 0.7, 0.56
"""Factors of the two opinions in their sum: below 1, as they are not independent."""
MOST_DEVIATIONS = 5.0
"""Standard deviations beyond which a number says no more."""

Pixels = NDArray[np.uint8]


class Trial:
    """Tries the tasks, on the processor."""

    def __init__(self, networks: Mapping[str, Network], precision: torch.dtype = torch.float32) -> None:
        """Take the networks.

        Args:
            networks: by task: those of TONES, DETAILS and BLUR.
            precision: of the networks' convolutions.
        """
        self.networks, self.precision = networks, precision

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> Tensor:
        """Return what comes of it, (NUMBERS_OF_TRIALS,), for a picture, (H, W, 3) uint8 of any size."""
        lacking = [(0, max(0, WINDOW_SIDE_MULTIPLE - side)) for side in pixels.shape[:2]]
        pixels = np.pad(pixels, (*lacking, (0, 0)), mode="edge") if np.any(lacking) else pixels
        windows = _windows(pixels)
        return torch.cat([self._toned(pixels), self._taken(windows), _detail_of(windows), self._blur(pixels)])

    def _toned(self, pixels: Pixels) -> Tensor:
        """Return how the whole changes by each of TONES: red, green, blue on average, and how much altogether."""
        view, numbers = view_of(pixels, torch.device("cpu")), []
        for task in TONES:
            network = self.networks[task]
            assert isinstance(network, CompactNetwork)
            light = network.look(view).light
            assert light is not None
            change = apply_light(view.small, light, Place.whole(view.small)).clamp(0, 1) - view.small
            numbers.append(torch.cat([change.mean((0, 2, 3)), change.abs().mean()[None]]))
        return 10 * torch.cat(numbers)

    def _taken(self, windows: Tensor) -> Tensor:
        """Return how strong, bright, coloured and directed what each of DETAILS takes away is."""
        taken = 255 * torch.stack([windows - self._restored(task, windows) for task in DETAILS])
        luma = _luma(taken)  # (tasks, n, h, w)
        strength = luma.square().mean((2, 3)).sqrt()
        numbers = [
            luma.clamp_min(0).mean((2, 3)),
            (-luma).clamp_min(0).mean((2, 3)),
            strength,
            (taken - luma[:, :, None]).square().mean((2, 3, 4)).sqrt(),
            luma.mean((2, 3)).abs(),
            luma.abs().amax((2, 3)) / 8,
            luma.diff(dim=3).abs().mean((2, 3)),
            luma.diff(dim=2).abs().mean((2, 3)),
            (luma[..., 1:, 1:] - luma[..., :-1, :-1]).abs().mean((2, 3)),
            (luma[..., 1:, :-1] - luma[..., :-1, 1:]).abs().mean((2, 3)),
        ]
        average = torch.stack(numbers, 1).mean(2)  # (tasks, NUMBERS_ON_AVERAGE)
        extremes = torch.stack([strength.amax(1), strength.amin(1)], 1)
        return (torch.cat([average, extremes], 1) + LEAST_LEVELS).log().flatten()

    def _restored(self, task: str, windows: Tensor) -> Tensor:
        """Run the first two stages of a task on windows, (n, 3, h, w)."""
        network, missing = self.networks[task], torch.zeros_like(windows[:, :1])
        with computing_in(torch.device("cpu"), self.precision):
            findings = network.look(View(lambda: shrink_to_view(windows), lambda: windows[:, None]))
            stages = network.bind(findings, Place.whole(windows), missing, 0, torch.Generator())
            return stages.restore(2, stages.restore(1, windows, windows), windows).float()

    def _blur(self, pixels: Pixels) -> Tensor:
        """Return how far a kernel is trusted, how long, how directed and how strong it is, and the caution."""
        network = self.networks[BLUR]
        assert isinstance(network, CompactNetwork)
        found = network.look(view_of(pixels, torch.device("cpu"))).blur
        assert found is not None
        return describe_blur(found)


def describe_blur(blur: Blur) -> Tensor:
    """Return how far a kernel is trusted, how long, how directed and how strong it is, and the caution: (6,)."""
    side = SETTINGS.kernel_side
    places = torch.arange(side) - side // 2.0
    down, across = blur.kernel.sum(2), blur.kernel.sum(1)  # (1, side)
    rows, columns = ((shares * places).sum(1) for shares in (down, across))
    high = (down * places.square()).sum(1) - rows.square()
    wide = (across * places.square()).sum(1) - columns.square()
    slanted = (blur.kernel * places[:, None] * places).sum((1, 2)) - rows * columns
    extent = (high + wide).clamp_min(1e-3)
    directed = ((high - wide).square() + 4 * slanted.square()).sqrt() / extent
    spectrum, frequency = transfer_function(blur.kernel, 2 * side + 5, 2 * side + 5)
    weight = natural_power_spectrum(frequency)
    strong = (power_spectrum(1 - spectrum) * weight).sum((1, 2)) / weight.sum()
    return torch.cat([blur.trust[0], extent.log(), directed, strong, blur.caution[0]])


def _floating(pixels: Pixels) -> Tensor:
    """Map (H, W, 3) uint8 to (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255


def _windows(pixels: Pixels) -> Tensor:
    """Cut (H, W, 3) into a window of its own size or, if it is large, windows from its quarters: (n, 3, h, w)."""
    spans = []
    for side in pixels.shape[:2]:
        kept = side // WINDOW_SIDE_MULTIPLE * WINDOW_SIDE_MULTIPLE if side <= LARGEST else QUARTER_WINDOW_SIDE
        left = side - kept
        starts = [left // 2] if side <= LARGEST else [left // 4, left - left // 4]
        spans.append([slice(start, start + kept) for start in starts])
    return torch.cat([_floating(pixels[rows, columns]) for rows in spans[0] for columns in spans[1]])


def _detail_of(windows: Tensor) -> Tensor:
    """Return how much detail, contrast and light windows have."""
    luma = 255 * _luma(windows)
    fine = (luma - F.avg_pool2d(luma[:, None], 5, 1, 2)[:, 0]).abs().mean((1, 2))
    spread = torch.stack([fine, luma.std((1, 2))], 1)
    return torch.cat([(spread + 0.5).log().mean(0), luma.mean()[None] / 100])


def _luma(pictures: Tensor) -> Tensor:
    """Map (..., 3, H, W) to (..., H, W)."""
    return torch.unflatten(luma_of(pictures.flatten(0, -4))[:, 0], 0, pictures.shape[:-3])


class Verdict(nn.Module):
    """What to think of trials, and of what the tower saw: the sum of both, as logarithms of odds."""

    def __init__(self, hidden: int = VERDICT_WIDTH, names: int = len(NAMES)) -> None:
        """Build it with `hidden` units between, for as many names as the CLIP has that it goes with."""
        super().__init__()
        self.first, self.last = nn.Linear(NUMBERS_OF_TRIALS, hidden), nn.Linear(hidden, names)
        self.register_buffer("mean", torch.zeros(NUMBERS_OF_TRIALS))
        self.register_buffer("std", torch.ones(NUMBERS_OF_TRIALS))

    def normal(self, tried: Tensor) -> Tensor:
        """Bring what came of trials, (B, NUMBERS_OF_TRIALS), around zero."""
        return ((tried - self.mean) / self.std).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)  # type: ignore[operator]

    def opinion(self, normal: Tensor, dropped: float = 0.0) -> Tensor:
        """Return what trials alone say, (B, names).

        Args:
            normal: (B, NUMBERS_OF_TRIALS), see `normal`.
            dropped: share of the hidden values that is set to 0, while it learns.
        """
        said: Tensor = self.last(F.dropout(F.silu(self.first(normal)), dropped))
        return said

    def forward(self, tried: Tensor, seen: Tensor) -> Tensor:
        """Return the logarithms of the odds of each of the names, (B, names).

        Args:
            tried: (B, NUMBERS_OF_TRIALS), see `Trial`.
            seen: (B, names), the same by the tower, which is never quite believed.
        """
        believed = MOST_SURE * torch.tanh(seen / MOST_SURE)
        return WEIGHT_OF_TOWER * believed + WEIGHT_OF_TRIALS * self.opinion(self.normal(tried))
