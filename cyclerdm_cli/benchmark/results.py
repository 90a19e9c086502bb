"""What was measured: for each set and candidate the numbers of every picture, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median_low

from cyclerdm_cli.benchmark.candidates import Setting
from cyclerdm_cli.benchmark.datasets import Measured
from cyclerdm_cli.benchmark.scoring import conventional
from cyclerdm_cli.benchmark.statistics import Difference, mean, paired_difference

LOOKED_AT = 12
"""Pictures of a set without references that a report shows at most."""


@dataclass(frozen=True)
class PictureScore:
    """One picture, restored by one candidate."""

    name: str
    width: int
    height: int
    input: dict[str, float]
    """Metrics of the degraded picture."""
    output: dict[str, float]
    """Metrics of the result."""
    seconds: float | None = None
    memory: dict[str, float] = field(default_factory=dict)
    """Peak in MiB by place."""


@dataclass(frozen=True)
class Result:
    """One candidate on one set."""

    dataset: str
    task: str
    setting: Setting
    pictures: tuple[PictureScore, ...]
    measured: Measured
    convention: str
    note: str = ""
    failed: tuple[str, ...] = ()
    """Inputs that were left out, each with its reason."""
    set_input: dict[str, float] = field(default_factory=dict)
    """Metrics of all degraded pictures together (FID)."""
    set_output: dict[str, float] = field(default_factory=dict)
    """The same of all results."""

    @property
    def input(self) -> dict[str, float]:
        """Mean metrics of the degraded pictures."""
        return {**_means(self.pictures, lambda picture: picture.input), **self.set_input}

    @property
    def output(self) -> dict[str, float]:
        """Mean metrics of the results."""
        return {**_means(self.pictures, lambda picture: picture.output), **self.set_output}

    @property
    def seconds(self) -> float | None:
        """Spent on restoring all pictures, warm-up, reading and measuring apart."""
        spent = [picture.seconds for picture in self.pictures]
        return None if None in spent or not spent else sum(value for value in spent if value is not None)

    @property
    def megapixels(self) -> float:
        """Of all pictures together."""
        return sum(picture.width * picture.height for picture in self.pictures) / 1e6

    @property
    def memory(self) -> dict[str, float]:
        """Peak in MiB by place."""
        places = {place for picture in self.pictures for place in picture.memory}
        return {
            place: max(picture.memory.get(place, 0.0) for picture in self.pictures)
            for place in sorted(places)
        }

    @property
    def leading(self) -> str:
        """The metric that stands for the set: PSNR as published, else NIQE, or noise where that is not there."""
        if self.measured != "none":
            return conventional("psnr", self.measured)
        return "niqe" if any("niqe" in picture.input for picture in self.pictures) else "noise"

    def gains(self) -> dict[str, Difference]:
        """Return result minus input, picture by picture, for each metric of both."""
        return _differences(
            [(picture.input, picture.output) for picture in self.pictures],
        )

    def against(self, other: Result) -> dict[str, Difference]:
        """Return this candidate's results minus another's on the pictures that both restored."""
        theirs = {picture.name: picture.output for picture in other.pictures}
        return _differences(
            [(theirs[picture.name], picture.output) for picture in self.pictures if picture.name in theirs]
        )

    def telling(self) -> dict[str, PictureScore]:
        """Return the pictures to look at, each with why: best, median and worst by what restoring gained.

        Without reference pictures there are more of them, as looking is most of what can be done: up to LOOKED_AT,
        in even steps of their order.
        """
        if self.measured == "none":
            count = len(self.pictures)
            steps = range(min(count, LOOKED_AT))
            places = [step * (count - 1) // max(1, len(steps) - 1) for step in steps]
            return {f"{place + 1} of {count}": self.pictures[place] for place in places}
        metric = self.leading
        scored = [
            picture for picture in self.pictures if metric in picture.output and metric in picture.input
        ]
        if not scored:
            return {}
        ordered = sorted(scored, key=lambda picture: _gain(picture, metric), reverse=True)
        words = {0: "best", len(ordered) - 1: "worst", median_low(range(len(ordered))): "median"} | {
            0: "best"
        }
        return {words[place]: ordered[place] for place in sorted(words)}


def _gain(picture: PictureScore, metric: str) -> float:
    before, after = picture.input[metric], picture.output[metric]
    return 0.0 if before == after else after - before


def _means(
    pictures: tuple[PictureScore, ...], scores: Callable[[PictureScore], dict[str, float]]
) -> dict[str, float]:
    """Return each metric's mean over the pictures that have it."""
    names = dict.fromkeys(name for picture in pictures for name in scores(picture))
    return {
        name: mean([scores(picture)[name] for picture in pictures if name in scores(picture)])
        for name in names
    }


def _differences(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Difference]:
    names = dict.fromkeys(name for first, second in pairs for name in first if name in second)
    found = {
        name: paired_difference(
            [first[name] for first, second in pairs if name in first and name in second],
            [second[name] for first, second in pairs if name in first and name in second],
        )
        for name in names
    }
    return {name: difference for name, difference in found.items() if difference is not None}
