"""Whether a network learns its pairs by heart: it grows better on those it learns from, and worse on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WORSE, BETTER = 0.1, 0.1
"""dB by which pairs kept apart must have lost since they were best, and pairs learned from gained, to say so."""


def said_of(records: Sequence[Mapping[str, Any]], task: str) -> str:
    """Return what to tell people, nothing where all is well.

    Args:
        records: of the log, the newest last; those count that hold `validation` and `learned`: dB gained by task on
            what was kept apart, and on what was learned from.
        task: that is learned.
    """
    measured = [
        one for one in records if task in one.get("learned", {}) and task in one.get("validation", {})
    ]
    if len(measured) < 2:
        return ""
    best = max(measured, key=lambda record: float(record["validation"][task]))
    now, apart, learned = measured[-1], "validation", "learned"
    lost = best[apart][task] - now[apart][task]
    gained = now[learned][task] - best[learned][task]
    if lost < WORSE or gained < BETTER:
        return ""
    return (
        f"learned by heart: since iteration {best['iteration']} the pairs learned from gained {gained:.2f} dB, and "
        f"those kept apart lost {lost:.2f}; end here, or give more pairs, or begin from weights with --init"
    )
