"""`cyclerdm bench --speed`: how fast, and in how much memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cyclerdm_cli.commands.bench_request import BenchRequest, names_in
from cyclerdm_cli.commands.inputs import refuse_inputs
from cyclerdm_cli.commands.reporting import put_line, words
from cyclerdm_cli.errors import DataError, UsageError

LARGEST, MOST_THREADS = 500, 1024


def carry_out(request: BenchRequest) -> None:
    """Measure, print the tables, write the file that was asked for."""
    sizes = _numbers(request.sizes, "--sizes", LARGEST)
    threads = [int(one) for one in _numbers(request.threads, "--threads", MOST_THREADS)]
    if max(len(request.weights), len(request.task), len(request.device)) > 1:
        raise UsageError("--speed measures one --weights on one --device", hint="run it once for each")
    inputs = [Path(one) for one in request.weights] + ([request.compare] if request.compare else [])
    refuse_inputs([request.json], inputs)
    before = _read_records(request.compare) if request.compare else []

    from cyclerdm_cli.benchmark.records import to_json
    from cyclerdm_cli.benchmark.speed import SpeedPlan, compare, measure_speed, tables
    from cyclerdm_cli.benchmark.typesetting import to_text
    from cyclerdm_cli.commands.downloads import find_weights
    from cyclerdm_cli.device import PRECISIONS, choose_engine
    from cyclerdm_cli.pictures.atomic import write_atomically
    from cyclerdm_cli.weights.choosing import tasks_of

    console = words()
    asked = next(iter(request.weights), None)
    task = next(iter(request.task), None) or tasks_of(asked)[0]
    choice = find_weights(asked, task, console, offline=request.offline, quiet=request.quiet)
    engine = choose_engine(request.device[0], "auto", choice.precisions)
    best = next(name for name, dtype in PRECISIONS.items() if dtype == engine.precision)
    device = str(engine.device)
    # Half precision on a processor is emulated: a minute for what takes a second.
    good = [one for one in choice.precisions if one == best or one == "fp32" or engine.device.type != "cpu"]
    precisions = [best if one == "auto" else one for one in names_in(request.precision)] or good
    plan = SpeedPlan(choice.path, task, sizes, sorted(set(threads)), precisions, best, device)

    def say(line: str) -> None:
        if not request.quiet:
            console.print(f"measuring: {line}", markup=False)

    measured = measure_speed(plan, say)
    for table in tables(measured):
        put_line(to_text(table))
    if request.compare is not None:
        put_line(to_text(compare(measured, before, request.compare.name)))
    if request.json is not None:
        write_atomically(request.json, to_json([], {"speed": [one.record() for one in measured]}).encode())


def _read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of an earlier run of --speed. Raises DataError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["speed"]
        if not all(isinstance(one, dict) and {"part", "what", "threads"} <= set(one) for one in found):
            raise TypeError
    except OSError as fault:
        raise DataError(f"{path}: {fault.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: no run of --speed", hint="a file of bench --speed --json") from None
    return list(found)


def _numbers(text: str, option: str, most: float) -> list[float]:
    """Return the numbers above 0 in words with commas between. Raises UsageError."""
    try:
        found = [float(word) for word in names_in([text])]
    except ValueError:
        found = []
    if not found or not all(0 < number <= most for number in found):
        raise UsageError(f"{option} {text!r}", hint=f"numbers up to {most:g} with commas between")
    return found
