"""The numbers as rows of text: for the terminal and for the report alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cyclerdm_cli.benchmark.datasets import Published
from cyclerdm_cli.benchmark.results import Result
from cyclerdm_cli.benchmark.scoring import SMALLER_IS_BETTER
from cyclerdm_cli.benchmark.statistics import Difference

TITLES = {
    "psnr": "PSNR RGB", "ssim": "SSIM RGB", "psnr_y": "PSNR Y", "ssim_y": "SSIM Y",
    "psnr_y8": "PSNR Y8", "ssim_y8": "SSIM Y8", "lpips": "LPIPS", "niqe": "NIQE", "fid": "FID",
    "noise": "noise", "sharpness": "sharpness",
}  # fmt: skip


UNITS = {"noise": "levels of 255", "sharpness": "variance of the Laplacian"}
"""Of metrics that have one, beside PSNR's dB."""


@dataclass(frozen=True)
class Row:
    """One line of a table: the input, a candidate, or a published number."""

    what: str
    kind: str
    """input, candidate or published."""
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """All that was measured on one set."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def with_unit(metric: str) -> str:
    """Return a metric's title with its unit: PSNR RGB, dB."""
    unit = "dB" if metric.startswith("psnr") else UNITS.get(metric)
    return f"{TITLES[metric]}, {unit}" if unit else TITLES[metric]


def number(metric: str, value: float) -> str:
    """Return a metric as people write it."""
    if math.isinf(value):
        return "inf"
    return f"{value:.{_places(metric)}f}"


def changed_by(metric: str, value: float) -> str:
    """Return a change of a metric as people write it: with its sign."""
    return f"{value:+.{_places(metric)}f}"


def _places(metric: str) -> int:
    """Return how many figures stand behind the point."""
    return 4 if metric.startswith(("ssim", "lpips")) else 2


def difference(metric: str, found: Difference) -> str:
    """Return a difference with its interval: +1.23 [+0.98, +1.51]."""
    places, mean = _places(metric), changed_by(metric, found.mean)
    if not math.isfinite(found.low):
        return mean
    return f"{mean} [{found.low:+.{places}f}, {found.high:+.{places}f}]"


def grouped(results: Sequence[Result]) -> list[list[Result]]:
    """Return the results set by set, in their order."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.dataset, result.task), []).append(result)
    return list(groups.values())


def table_of(
    group: Sequence[Result], published: Sequence[Published] = (), notes: Sequence[str] = ()
) -> Table:
    """Return the table of one set: its input, every candidate, and what others published."""
    first = group[0]
    metrics = [
        name for name in TITLES if any(name in result.output or name in result.input for result in group)
    ]
    several = len(group) > 1
    costs = [(title, cost) for title, cost in COSTS.items() if any(cost(result) for result in group)]
    leading = first.leading
    columns = [TITLES[name] + ("*" if name == leading else "") for name in metrics]
    columns += [
        "change*" if first.measured == "none" else "gain*",
        *([f"against {first.setting.name}*"] if several else []),
        *(title for title, _ in costs),
    ]
    rows = [Row("input", "input", _padded([_cell(first.input, name) for name in metrics], len(columns)))]
    for result in group:
        gain = result.gains().get(leading)
        cells = [_cell(result.output, name) for name in metrics] + [
            difference(leading, gain) if gain else "" if result.pictures else "no result"
        ]
        if several:
            against = result.against(first).get(leading) if result is not first else None
            cells.append(difference(leading, against) if against else "")
        rows.append(Row(result.setting.name, "candidate", tuple(cells + [cost(result) for _, cost in costs])))
    for entry in published:
        cells = [f"{entry.psnr:.2f}" if name == leading else "" for name in metrics]
        rows.append(
            Row(f"{entry.method}, published: {entry.source}", "published", _padded(cells, len(columns)))
        )
    left_out = len(first.failed)
    count = f"{len(first.pictures)} picture{'s' if len(first.pictures) != 1 else ''}" + (
        f", {left_out} left out" if left_out else ""
    )
    lines = [f"* {first.convention}"]
    if leading in SMALLER_IS_BETTER and any(leading in result.output for result in group):
        lines.append(f"{TITLES[leading]}: lower is better")
    return Table(
        f"{first.dataset}, {first.task}, {count}", tuple(columns), tuple(rows),
        (*lines, *([first.note] if first.note else []), *notes),
    )  # fmt: skip


def _cell(scores: dict[str, float], name: str) -> str:
    return number(name, scores[name]) if name in scores else ""


def _padded(cells: list[str], length: int) -> tuple[str, ...]:
    return tuple(cells + [""] * (length - len(cells)))


def _seconds(result: Result) -> str:
    return f"{result.seconds / len(result.pictures):.3f}" if result.seconds and result.pictures else ""


def _speed(result: Result) -> str:
    return f"{result.megapixels / result.seconds:.2f}" if result.seconds else ""


def _memory(result: Result) -> str:
    places = [f"{value:.0f} {place}" for place, value in result.memory.items()]
    return " + ".join(places) if len(places) > 1 else "".join(places).removesuffix(" process")


def _fact(name: str, format_: str, scale: float) -> Callable[[Result], str]:
    def cell(result: Result) -> str:
        value = result.setting.facts.get(name)
        return format(float(value) * scale, format_) if value is not None else ""

    return cell


COSTS: dict[str, Callable[[Result], str]] = {
    "s/picture": _seconds,
    "MP/s": _speed,
    "peak MiB": _memory,
    "GMAC": _fact("gmac", ".1f", 1),
    "Mparam": _fact("parameters", ".2f", 1e-6),
}
"""GMAC is for 256 x 256 pixels, all evaluations included; Mparam are millions of parameters."""
