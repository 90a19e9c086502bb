"""Which task a folder without words is measured on: what `--task auto` sees most in its pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cyclerdm_cli.benchmark.recognition import judged
from cyclerdm_cli.benchmark.testsets import Case
from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.words.eye import load_eye

LOOKED_AT = 12
"""Pictures that are looked at, at most."""


@dataclass(frozen=True)
class Seen:
    """The damage that most pictures have."""

    task: str
    pictures: int
    """That have it."""
    looked_at: int


def commonest_task(cases: Sequence[Case], known: Collection[str]) -> Seen | None:
    """Return the task among the known ones that most of the cases need; None where none of them does.

    At most LOOKED_AT of them are looked at, in even steps; those that cannot be read are passed over.

    Raises:
        WeightsError: the package's CLIP is damaged.
    """
    eye, counts, looked_at = load_eye(), Counter[str](), 0
    for case in cases[:: -(-len(cases) // LOOKED_AT)]:
        try:
            pixels = case.load().lq
        except PictureError:
            continue  # measuring will name it
        looked_at += 1
        counts.update(set(judged(eye, pixels).tasks) & set(known))
    if not counts:
        return None
    task, pictures = max(sorted(counts.items()), key=lambda entry: entry[1])
    return Seen(task, pictures, looked_at)
