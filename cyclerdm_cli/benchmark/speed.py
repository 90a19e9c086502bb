"""How fast, and in how much memory: a row of sizes, threads, precisions, stages, and the authors' network beside.

Every number comes from a process of its own, started for it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from cyclerdm_cli.benchmark.builtin import CLEAN
from cyclerdm_cli.benchmark.probe import PAPER, Errand, to_json
from cyclerdm_cli.benchmark.tables import Row, Table
from cyclerdm_cli.benchmark.testsets import read_pixels
from cyclerdm_cli.errors import DataError

STARTS = 3
"""Times that the program is started; the middle one counts."""
AGAINST_SIDE = 512
"""Pixels a side of the square on which both networks are timed."""
GRAIN = 6.0
"""Standard deviation of the noise in the pictures, in levels of 255."""
NOTICED = 1.1
"""A ratio of two times that is more than noise."""
BATCH = 8
"""Pictures in the folder that a GPU is given."""


@dataclass(frozen=True)
class SpeedPlan:
    """What is measured."""

    weights: Path
    task: str
    sizes: Sequence[float] = (0.06, 1, 4, 12)
    """Megapixels."""
    threads: Sequence[int] = (1, 2)
    precisions: Sequence[str] = ("fp32", "bf16")
    """Compared on one small square."""
    precision: str = "fp32"
    """For the row of sizes, and against the authors' network."""
    device: str = "cpu"


@dataclass(frozen=True)
class Measured:
    """One process's numbers."""

    part: str
    """limits, start, sizes, threads, against or batch."""
    what: str
    threads: int
    found: dict[str, Any]
    """See `probe.measure` and `limits.measure_limits`; of a start, the seconds only."""

    @property
    def a_megapixel(self) -> float:
        """Seconds from file to file, without the start of the program."""
        return float(self.found["seconds"]["whole"] / self.found["megapixels"])

    def record(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {"part": self.part, "what": self.what, "threads": self.threads, **self.found}


def measure_speed(plan: SpeedPlan, say: Callable[[str], None] = lambda line: None) -> list[Measured]:
    """Measure all that a plan holds; `say` is told before each process what it will measure.

    Raises:
        DataError: a process ended before it had measured anything.
    """
    with tempfile.TemporaryDirectory() as place:
        return list(_all(plan, Path(place), say))


def _all(plan: SpeedPlan, place: Path, say: Callable[[str], None]) -> Iterator[Measured]:
    most = max(plan.threads)
    small = _jpeg(place / "small.jpg", 64, 64)
    restoring = ["restore", str(small), "--task", plan.task, "--weights", str(plan.weights)]
    restoring += [
        "--device",
        plan.device,
        "--precision",
        plan.precision,
        "-o",
        str(place / "out.jpg"),
        "--overwrite",
        "-q",
    ]
    for threads in plan.threads:
        say(f"what the processor could do at most, threads: {threads}")
        said = _run([sys.executable, "-m", "cyclerdm_cli.benchmark.limits"], threads)
        yield Measured("limits", f"threads: {threads}", threads, json.loads(said))
    say("start of the program")
    yield _start("--help", ["--help"], most)
    yield _start("restore of 64 x 64 pixels, to the file", restoring, most)

    errand = Errand("", str(plan.weights), plan.task, plan.device, plan.precision)
    for size in plan.sizes:
        say(f"{size:g} megapixels")
        width = max(1, round(math.sqrt(size * 1.5e6)))
        picture = _jpeg(place / "picture.jpg", width, max(1, round(size * 1e6 / width)))
        yield _probe("sizes", f"{size:g} MP", replace(errand, picture=str(picture)), most)

    square = str(_jpeg(place / "square.jpg", AGAINST_SIDE, AGAINST_SIDE))
    for precision in plan.precisions:
        for threads in plan.threads:
            say(f"{precision}, threads: {threads}")
            one = replace(errand, picture=square, precision=precision, tile=0, warm=True)
            yield _probe("threads", precision, one, threads)
    say(f"the authors' network on {AGAINST_SIDE} x {AGAINST_SIDE} pixels")
    authors = replace(errand, picture=square, weights=PAPER, precision="fp32", tile=0, warm=True)
    yield _probe("against", "the authors' network", authors, most)
    own = replace(errand, picture=square, tile=0, warm=True)
    yield _probe("against", plan.weights.stem, own, most)

    if plan.device.startswith(("cuda", "mps")):
        folder = place / "batch"
        folder.mkdir()
        for number in range(BATCH):
            _jpeg(folder / f"{number}.jpg", 4243, 2828)
        for precision in plan.precisions:
            say(f"a folder of {BATCH} pictures, {precision}")
            one = replace(errand, picture=str(folder), precision=precision, warm=True)
            yield _probe("batch", f"{BATCH} x 12 MP, {precision}", one, most)
            one = replace(one, picture=str(folder / "0.jpg"))
            yield _probe("batch", f"12 MP, {precision}", one, most)


def _jpeg(path: Path, width: int, height: int) -> Path:
    """Write a photograph of the package, mirrored up to the size, with grain, as a JPEG of quality 92."""
    clean = read_pixels(min(CLEAN.glob("*.webp")))
    noise = np.random.default_rng(0).normal(0, GRAIN, (*clean.shape[:2], 1))
    grainy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    wide = np.concatenate((grainy, grainy[:, ::-1]), axis=1)
    block = np.concatenate((wide, wide[::-1]))
    repeats = (-(-height // block.shape[0]), -(-width // block.shape[1]), 1)
    Image.fromarray(np.tile(block, repeats)[:height, :width]).save(path, quality=92)
    return path


def _start(what: str, words: list[str], threads: int) -> Measured:
    seconds = []
    for _ in range(STARTS):
        began = time.perf_counter()
        _run([sys.executable, "-m", "cyclerdm_cli", *words], threads)
        seconds.append(time.perf_counter() - began)
    return Measured("start", what, threads, {"seconds": {"whole": median(seconds)}})


def _probe(part: str, what: str, errand: Errand, threads: int) -> Measured:
    words = [sys.executable, "-m", "cyclerdm_cli.benchmark.probe"]
    said = _run(words, threads, to_json(replace(errand, launched=time.time())))
    return Measured(part, what, threads, json.loads(said))


def _run(words: list[str], threads: int, given: str = "") -> str:
    own = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    ended = subprocess.run(
        words, input=given, env=os.environ | own, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"status {ended.returncode}"])[-1]
        raise DataError(f"a measurement ended early: {last}", hint="smaller --sizes, or another --device")
    return ended.stdout


def tables(measured: Sequence[Measured]) -> list[Table]:
    """Return the numbers as tables for people."""
    parts = {part: [one for one in measured if one.part == part] for part in PARTS}
    made = [PARTS[part](found) for part, found in parts.items() if found]
    return made if not (parts["limits"] and parts["threads"]) else [*made, _shares(measured)]


def compare(measured: Sequence[Measured], before: Sequence[dict[str, Any]], name: str) -> Table:
    """Return seconds beside those of an earlier run, whatever is slower by a tenth first.

    Args:
        measured: now.
        before: the records of the earlier run.
        name: of it.
    """
    was = {key: seconds for key, seconds in map(_seconds_of, before) if seconds is not None}
    rows: list[tuple[float, Row]] = []
    for one in measured:
        key = one.part, one.what, one.threads
        if key in was and "seconds" in one.found:
            then, now = was[key], one.found["seconds"]["whole"]
            ratio = now / then
            verdict = "slower" if ratio > NOTICED else "faster" if ratio < 1 / NOTICED else ""
            cells = (f"{then:.2f}", f"{now:.2f}", f"{ratio:.2f}", verdict)
            rows.append((ratio, Row(f"{one.part}: {one.what}, threads: {one.threads}", "candidate", cells)))
    rows.sort(key=lambda row: -row[0])
    slower = sum(row.cells[-1] == "slower" for _, row in rows)
    notes = (f"slower by more than {100 * (NOTICED - 1):.0f} %: {slower} of {len(rows)}",)
    return Table(f"Against {name}", ("then s", "now s", "ratio", ""), tuple(row for _, row in rows), notes)


def _seconds_of(record: dict[str, Any]) -> tuple[tuple[Any, Any, Any], float | None]:
    """Return what a record is of, and its seconds from file to file, if it has any. Raises DataError."""
    try:
        key = record["part"], record["what"], record["threads"]
        seconds = float(record["seconds"]["whole"]) if "seconds" in record else None
    except (KeyError, TypeError, ValueError):
        raise DataError("no record of a run of --speed", hint="a file of bench --speed --json") from None
    return key, seconds or None


def _limits(found: Sequence[Measured]) -> Table:
    names = list(found[0].found["gflops"])
    rows = [
        Row(one.what, "candidate", tuple(f"{one.found['gflops'][name]:.0f}" for name in names))
        for one in found
    ]
    notes = (
        "GFLOP/s of a convolution of 64 channels; int8 only where it is exact",
        f"the processor has {', '.join(found[0].found['features']) or 'said nothing of its instructions'}",
    )
    return Table("What the processor could do at most", tuple(names), tuple(rows), notes)


def _shares(measured: Sequence[Measured]) -> Table:
    """Return how much of the limit the network reaches, by precision and threads."""
    limits = {one.threads: one.found["gflops"] for one in measured if one.part == "limits"}
    rows = []
    for one in measured:
        cost, limit = one.found.get("gmac_a_megapixel"), limits.get(one.threads, {}).get(one.what)
        if one.part == "threads" and cost and limit:
            speed = 2 * cost * one.found["megapixels"] / one.found["seconds"]["network"]
            cells = (f"{speed:.0f}", f"{limit:.0f}", f"{100 * speed / limit:.0f}")
            rows.append(Row(f"{one.what}, threads: {one.threads}", "candidate", cells))
    notes = ("operations of the network over its seconds, and of one convolution over its own",)
    return Table("Share of the limit", ("GFLOP/s", "limit", "%"), tuple(rows), notes)


def _starts(found: Sequence[Measured]) -> Table:
    rows = [Row(one.what, "candidate", (f"{one.found['seconds']['whole']:.2f}",)) for one in found]
    return Table("Start of the program", ("s",), tuple(rows), (f"the middle one of {STARTS}",))


def _sizes(found: Sequence[Measured]) -> Table:
    stages = [name for name in found[0].found["seconds"] if name not in ("network", "restoring", "whole")]
    columns = ("s/MP", "peak MiB", "start to file s", *(f"{name} %" for name in stages))
    rows = []
    for one in found:
        seconds = one.found["seconds"]
        shares = [f"{100 * seconds[name] / seconds['whole']:.0f}" for name in stages]
        cells = (f"{one.a_megapixel:.2f}", _memory(one), f"{one.found['to_file']:.1f}", *shares)
        rows.append(Row(one.what, "candidate", cells))
    first = found[0]
    notes = (
        f"{first.found['machine']['device']}, {first.found['device']}, {first.found['precision']}, threads:"
        f" {first.threads}; a JPEG each, one process each; s/MP from file to file without the start",
    )
    return Table("By size", columns, tuple(rows), notes)


def _threads(found: Sequence[Measured]) -> Table:
    rows = [
        Row(f"{one.what}, threads: {one.threads}", "candidate", (_network(one), f"{one.a_megapixel:.2f}"))
        for one in found
    ]
    notes = (f"{AGAINST_SIDE} x {AGAINST_SIDE} pixels as one tile, the second time",)
    return Table("By precision and threads", ("network s/MP", "file to file s/MP"), tuple(rows), notes)


def _against(found: Sequence[Measured]) -> Table:
    slowest = found[0].found["seconds"]["network"]
    rows = []
    for one in found:
        seconds = one.found["seconds"]["network"]
        ratio = f"{slowest / seconds:.0f}"
        rows.append(
            Row(f"{one.what}, {one.found['precision']}", "candidate", (f"{seconds:.3f}", ratio, _memory(one)))
        )
    notes = (
        f"{AGAINST_SIDE} x {AGAINST_SIDE} pixels, the whole cycle; the authors' with random weights, one of its ten"
        " evaluations timed in each stage and taken ten times",
    )
    return Table("Against the authors' network", ("s", "times as fast", "peak MiB"), tuple(rows), notes)


def _batch(found: Sequence[Measured]) -> Table:
    rows = []
    for one in found:
        network = one.found["seconds"].get("network")
        speeds = (f"{1 / one.a_megapixel:.1f}", f"{one.found['megapixels'] / network:.1f}" if network else "")
        rows.append(Row(one.what, "candidate", (*speeds, _memory(one))))
    return Table("On the GPU", ("MP/s", "network MP/s", "peak MiB"), tuple(rows), ("once warm",))


def _network(one: Measured) -> str:
    return f"{one.found['seconds']['network'] / one.found['megapixels']:.2f}"


def _memory(one: Measured) -> str:
    return " + ".join(f"{value:.0f}" for value in one.found["memory_mib"].values())


PARTS: dict[str, Callable[[Sequence[Measured]], Table]] = {
    "limits": _limits,
    "start": _starts,
    "sizes": _sizes,
    "threads": _threads,
    "against": _against,
    "batch": _batch,
}
"""How each part of the measurements is shown, in order."""
