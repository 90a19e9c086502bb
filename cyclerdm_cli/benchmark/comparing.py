"""Two runs beside each other: the same pictures, paired; what changed, and whether that is more than chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cyclerdm_cli.benchmark.results import Result
from cyclerdm_cli.benchmark.statistics import Difference
from cyclerdm_cli.errors import DataError

SAME = 5e-4
"""By how much the input's PSNR of a picture may differ: results are kept with six decimals."""


@dataclass(frozen=True)
class Change:
    """One set and candidate in both runs."""

    before: Result
    after: Result
    differences: dict[str, Difference]
    """After minus before for each metric, over the pictures of both."""
    speed: float | None
    """Pictures restored in the same time, after over before; None where not measured."""
    other_inputs: tuple[str, ...]
    """Pictures left out of the comparison: of one name, but not the same pixels."""

    @property
    def title(self) -> str:
        """What is compared."""
        names = list(dict.fromkeys((self.before.setting.name, self.after.setting.name)))
        return f"{self.before.dataset}, {self.before.task}, {' -> '.join(names)}"


def compare(before: Sequence[Result], after: Sequence[Result]) -> list[Change]:
    """Match two runs set by set and candidate by candidate.

    Candidates match by name; where each run has but one on a set, these match whatever they are called.

    Raises:
        DataError: the runs have no set with the same pictures in common.
    """
    alone = [Counter(map(_set, run)) for run in (before, after)]
    of_a_set: dict[tuple[str, str], list[Result]] = {}
    for second in after:
        of_a_set.setdefault(_set(second), []).append(second)
    changes = [
        change
        for first in before
        for second in of_a_set.get(_set(first), ())
        if all(run[_set(first)] == 1 for run in alone) or first.setting.name == second.setting.name
        if (change := _change(first, second)) is not None
    ]
    if not changes:
        raise DataError("the two runs have no set with the same pictures and candidates in common")
    return changes


def _set(result: Result) -> tuple[str, str]:
    return result.dataset, result.task


def _change(first: Result, second: Result) -> Change | None:
    known = {picture.name: picture for picture in first.pictures}
    shared = [picture for picture in second.pictures if picture.name in known]
    others = tuple(
        picture.name for picture in shared if not _same_input(known[picture.name].input, picture.input)
    )
    keep = {picture.name for picture in shared} - set(others)
    kept = [_only(result, keep) for result in (first, second)]
    if not keep:
        return None
    seconds = [result.seconds for result in kept]
    speed = seconds[0] / seconds[1] if seconds[0] and seconds[1] else None
    return Change(kept[0], kept[1], kept[1].against(kept[0]), speed, others)


def _same_input(first: dict[str, float], second: dict[str, float]) -> bool:
    return all(
        first[name] == second[name] or abs(first[name] - second[name]) < SAME for name in {*first} & {*second}
    )


def _only(result: Result, names: set[str]) -> Result:
    pictures = tuple(picture for picture in result.pictures if picture.name in names)
    return Result(
        result.dataset, result.task, result.setting, pictures, result.measured, result.convention, result.note
    )
