"""The course of a run in words: what its curves show, for those who cannot or would rather not read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
STILL = 0.02
"""Part of a loss below which its change over a quarter of a phase is called none."""
NEAR = 0.01
"""dB below the best that still count as the best."""


@dataclass(frozen=True)
class Measurement:
    """One validation of one task."""

    iteration: int
    minutes: float | None
    """Since the run began; None where the log does not say."""
    gained: float
    """PSNR of the results less that of the inputs, in dB."""


def course_in_words(records: Sequence[Record]) -> list[str]:
    """Return what a run's log says, a sentence or two for each curve; nothing where nothing was written down."""
    steps = [record for record in records if "loss" in record]
    lines = [_where(steps[-1])] if steps else []
    lines += [line for phase in _phases(steps) if (line := _loss_in_words(phase))]
    for name, found in measurements(records).items():
        lines.append(f"{name}: {_gain_in_words(found, _latest(records))}")
    return lines


def measurements(records: Sequence[Record]) -> dict[str, list[Measurement]]:
    """Return the validations of each task, in their order."""
    found: dict[str, list[Measurement]] = {}
    minutes: float | None = None
    for record in records:
        minutes = record.get("minutes", minutes)
        for name, gained in record.get("validation", {}).items():
            found.setdefault(name, []).append(Measurement(record["iteration"], minutes, gained))
    return found


def duration(minutes: float) -> str:
    """Return a time in words: 20 minutes, 2 h 5 min."""
    if minutes < 1:
        return f"{60 * minutes:.0f} seconds"
    whole = round(minutes)
    if whole < 120:
        return f"{whole} minute{'s' if whole != 1 else ''}"
    return f"{whole // 60} h {whole % 60} min"


def _where(last: Record) -> str:
    """Say how far the run is."""
    said = f"Iteration {last['iteration']}, phase {last['phase'] + 1}"
    if "share" in last:
        said += f", {100 * last['share']:.0f} % of the run"
    if "minutes" in last:
        said += f", after {duration(last['minutes'])}"
        if 0 < last.get("share", 0) < 1:
            left = last["minutes"] / last["share"] * (1 - last["share"])
            said += f"; at this pace {duration(left)} are left"
    return said + "."


def _phases(steps: Sequence[Record]) -> list[list[Record]]:
    found: dict[int, list[Record]] = {}
    for step in steps:
        found.setdefault(step["phase"], []).append(step)
    return list(found.values())


def _loss_in_words(phase: Sequence[Record]) -> str:
    """Say where the loss of one phase went, by the means of its quarters: single steps differ by chance."""
    if len(phase) < 8:
        return ""
    quarter = len(phase) // 4
    first, before, last = (
        math.fsum(step["loss"] for step in part) / len(part)
        for part in (phase[:quarter], phase[-2 * quarter : -quarter], phase[-quarter:])
    )
    change = (last - before) / abs(before) if before else 0.0
    late = (
        "has hardly changed"
        if abs(change) < STILL
        else f"{'fell' if change < 0 else 'rose'} by {100 * abs(change):.0f} %"
    )
    return (
        f"Loss of phase {phase[0]['phase'] + 1}: from {first:.4g} in its first quarter to {last:.4g} in its last;"
        f" over the last it {late}."
    )


def _gain_in_words(found: Sequence[Measurement], now: float | None) -> str:
    """Say how the latest validation stands beside the best, and since when nothing was better."""
    last = found[-1]
    best = max(found, key=lambda one: one.gained)
    said = f"pictures kept apart gain {last.gained:+.2f} dB"
    if len(found) == 1:
        return f"{said}, measured once."
    if best is last:
        return (
            f"{said}, the best so far; {last.gained - found[-2].gained:+.2f} dB since the measurement before."
        )
    ago = (
        duration(now - best.minutes)
        if now is not None and best.minutes is not None
        else f"{last.iteration - best.iteration} iterations"
    )
    held = (
        "as good as the best" if best.gained - last.gained <= NEAR else f"the best was {best.gained:+.2f} dB"
    )
    return f"{said}; {held}, at iteration {best.iteration}: validation has not improved for {ago}."


def _latest(records: Sequence[Record]) -> float | None:
    """Return how many minutes the run has taken, as far as its log says."""
    return next((record["minutes"] for record in reversed(records) if "minutes" in record), None)
