"""Results as files: JSON by the contract of the command line, CSV with a row a picture; and back again."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclerdm_cli import __version__, escapes
from cyclerdm_cli.benchmark.candidates import Setting
from cyclerdm_cli.benchmark.datasets import Measured
from cyclerdm_cli.benchmark.results import PictureScore, Result
from cyclerdm_cli.benchmark.statistics import Difference
from cyclerdm_cli.cycle.configuration import Range, built
from cyclerdm_cli.errors import DataError

INFINITY = "\0infinity"
DECIMALS = 6
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets take for a formula."""
MOST = 1_000_000_000
"""No number of a file of results is larger, unless it is infinite."""


def to_json(results: Sequence[Result], facts: dict[str, Any]) -> str:
    """Return the file's text.

    Infinite numbers (the PSNR of identical pictures) are written as 1e999: JSON as the standard has it, which
    Python, JavaScript and others read as infinity. What was not measured is absent.

    Args:
        results: the first candidate of a set is what the others of that set are compared with.
        facts: what else the file shall say at its top: the machine, say.
    """
    content = {
        "results": [_result(result, _first_of(results, result)) for result in results],
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    text = escapes.to_json(_finite(content), indent=1)
    return (
        text.replace(f'"-{json.dumps(INFINITY)[1:-1]}"', "-1e999").replace(json.dumps(INFINITY), "1e999")
        + "\n"
    )


def _first_of(results: Sequence[Result], result: Result) -> Result | None:
    """Return the first candidate on the same set, or None where this is it."""
    first = next(other for other in results if (other.dataset, other.task) == (result.dataset, result.task))
    return None if first is result else first


def _result(result: Result, first: Result | None) -> dict[str, Any]:
    setting, memory, seconds = result.setting, result.memory, result.seconds
    measured = {
        "seconds": seconds,
        "megapixels_per_second": result.megapixels / seconds if seconds else None,
        "peak_memory_mib": memory.get("device", memory.get("process")),
        "weights": setting.weights,
        "device": setting.device or None,
        "precision": setting.precision or None,
    }
    return {
        "dataset": result.dataset,
        "task": result.task,
        "images": len(result.pictures),
        "input": result.input,
        "output": result.output,
        **{name: value for name, value in measured.items() if value is not None},
        "name": setting.name,
        "settings": setting.facts,
        **({"memory_mib": memory} if memory else {}),
        "measured": result.measured,
        "convention": result.convention,
        **({"note": result.note} if result.note else {}),
        "gain": {name: _difference(found) for name, found in result.gains().items()},
        **(
            {
                "against": {
                    first.setting.name: {n: _difference(found) for n, found in result.against(first).items()}
                }
            }
            if first
            else {}
        ),
        "failed": list(result.failed),
        "pictures": [_picture(picture) for picture in result.pictures],
    }


def _difference(found: Difference) -> dict[str, float | int]:
    ends = {"low": found.low, "high": found.high} if math.isfinite(found.low) else {}
    return {"mean": found.mean, **ends, "pictures": found.pictures}


def _picture(picture: PictureScore) -> dict[str, Any]:
    return {
        "name": picture.name,
        "width": picture.width,
        "height": picture.height,
        "input": picture.input,
        "output": picture.output,
        **({"seconds": picture.seconds} if picture.seconds is not None else {}),
    }


def _finite(value: Any) -> Any:
    """Round numbers, and put a mark in place of infinite ones, which json would write as no JSON."""
    if isinstance(value, float):
        if math.isinf(value):
            return INFINITY if value > 0 else f"-{INFINITY}"
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


def to_csv(results: Sequence[Result]) -> str:
    """Return a table with a row for each picture and candidate, and one for the mean of each set."""
    metrics = list(dict.fromkeys(name for result in results for name in (*result.input, *result.output)))
    columns = ["dataset", "task", "name", "picture", "width", "height"]
    columns += [f"{side}_{metric}" for metric in metrics for side in ("input", "output")] + ["seconds"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for result in results:
        about = {
            "dataset": _plain(result.dataset),
            "task": _plain(result.task),
            "name": _plain(result.setting.name),
        }
        for picture in result.pictures:
            writer.writerow(
                {
                    **about, "picture": _plain(picture.name), "width": picture.width, "height": picture.height,
                    **_cells(picture.input, picture.output, picture.seconds),
                }
            )  # fmt: skip
        writer.writerow({**about, "picture": "(all)", **_cells(result.input, result.output, result.seconds)})
    return stream.getvalue()


def _plain(name: str) -> str:
    """Return a name as a spreadsheet shows it: with a quote before what it would compute."""
    return f"'{name}" if name.startswith(FORMULA) else name


def _cells(before: dict[str, float], after: dict[str, float], seconds: float | None) -> dict[str, float]:
    cells = {f"input_{name}": value for name, value in before.items()}
    cells |= {f"output_{name}": value for name, value in after.items()}
    if seconds is not None:
        cells["seconds"] = seconds
    return {name: round(value, DECIMALS) for name, value in cells.items()}


@dataclass(frozen=True)
class _Entry:
    """One of a file's results, as far as it is read back."""

    dataset: str
    task: str
    name: str
    weights: str
    settings: dict[str, str | int | float]
    measured: Measured
    convention: str
    failed: tuple[str, ...]
    input: dict[str, float]
    output: dict[str, float]
    pictures: tuple[PictureScore, ...]
    device: str = ""
    precision: str = ""
    note: str = ""


@dataclass(frozen=True)
class _File:
    """A file of results, as far as it is read back."""

    results: tuple[_Entry, ...]


RANGES = {
    "width": Range(1, MOST), "height": Range(1, MOST), "seconds": Range(0, MOST), "memory": Range(0, MOST),
}  # fmt: skip
"""What the numbers of a file may be; metrics may be infinite, too."""


def read_json(path: Path) -> list[Result]:
    """Read the results of a run back.

    Raises:
        DataError: missing, or no file of results; the first field that is wrong is named.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [_read_result(entry) for entry in built(_File, content, RANGES, others=True).results]
    except OSError as fault:
        raise DataError(f"{path}: cannot be read: {fault.strerror}") from fault
    except (ValueError, RecursionError) as fault:
        words = "it is nested too deep" if isinstance(fault, RecursionError) else fault
        raise DataError(
            f"{path}: no results of cyclerdm bench: {words}", hint="the file that --json wrote"
        ) from fault


def _read_result(entry: _Entry) -> Result:
    scores = [entry.input, entry.output]
    scores += [side for picture in entry.pictures for side in (picture.input, picture.output)]
    for name, value in (pair for side in scores for pair in side.items()):
        if math.isfinite(value) and abs(value) > MOST:
            raise ValueError(f"{name} is {value:g}, not a number from {-MOST:g} to {MOST:g}")
    own = {name for picture in entry.pictures for name in picture.output}
    setting = Setting(entry.name, entry.weights, entry.device, entry.precision, entry.settings)
    return Result(
        entry.dataset, entry.task, setting, entry.pictures, entry.measured, entry.convention, entry.note,
        entry.failed,
        {name: value for name, value in entry.input.items() if name not in own},
        {name: value for name, value in entry.output.items() if name not in own},
    )  # fmt: skip
