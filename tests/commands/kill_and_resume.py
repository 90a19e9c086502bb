"""A folder with bad files in it, killed again and again and gone on with. Run by hand, in full:

    python tests/commands/kill_and_resume.py --good 280 --kills 10

`test_batches.py` runs a small part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from odd_folder import make_folder

DEADLINE = 600.0
"""Seconds for one run."""


@dataclass
class Ended:
    """How a run of the command ended."""

    status: int
    out: str
    err: str
    peak_mib: float
    seconds: float

    @property
    def records(self) -> list[dict[str, object]]:
        """What `--json` said of each file."""
        return [record for line in self.out.splitlines() if "summary" not in (record := json.loads(line))]


def command(folder: Path, results: Path, weights: Path, *more: str) -> list[str]:
    """Return the words of a call; without the superuser's leave to read what is forbidden, if it can be."""
    words = [sys.executable, "-m", "cyclerdm_cli", "restore", str(folder), "-o", f"{results}/", "--json"]
    words += ["--task", "denoise", "--weights", str(weights), "--device", "cpu", "--precision", "fp32", *more]
    if os.geteuid() == 0 and shutil.which("setpriv"):
        return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    return words


def run(words: list[str]) -> Ended:
    """Run a call to its end, and measure it."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(words, stdout=out, stderr=err)
        peak, status = 0.0, Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            peak = max(peak, _peak_mib(status))
            time.sleep(0.005)
        out.seek(0)
        err.seek(0)
        return Ended(process.returncode, out.read(), err.read(), peak, time.monotonic() - began)


def _peak_mib(status: Path) -> float:
    """Return the peak so far; 0 where the system does not tell, or the process has just ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 2**10 if found else 0.0


def kill_after(words: list[str], results: Path, count: int, delay: float) -> int:
    """Start a call and kill it a little after it has written so many results more; return how many there are."""
    before = len(contents(results))
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE
    while len(contents(results)) < before + count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return len(contents(results))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the whole files in a folder of results; temporary ones of a writer begin with a dot."""
    if not folder.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def leftovers(folder: Path) -> list[str]:
    """Return the names of temporary files."""
    return [name for name in os.listdir(folder) if name.startswith(".")] if folder.is_dir() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--good", type=int, default=280)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--weights", type=Path, required=True, help="Small ones: the network is not tested.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        folder, once, resumed = (Path(place) / name for name in ("in", "once", "resumed"))
        good, bad = make_folder(folder, options.good)
        whole = run(command(folder, once, options.weights))
        expected = contents(once)
        failed = [record for record in whole.records if record["status"] == "failed"]
        print(
            f"uninterrupted: status {whole.status}, {len(expected)} results of {len(good)}, {len(failed)} reasons "
            f"of {len(bad)}, {len(leftovers(once))} partial files, {whole.peak_mib:.0f} MiB, {whole.seconds:.0f} s"
        )
        print(whole.err)
        words = command(folder, resumed, options.weights, "--skip-existing")
        left = 0
        for turn in range(options.kills):
            unfinished = options.good - len(contents(resumed))
            share = draw.randrange(1, max(2, 2 * unfinished // (options.kills - turn + 1)))
            count = kill_after(words, resumed, min(share, unfinished - 1), draw.random() / 20)
            left += len(leftovers(resumed))
            print(f"killed at {count} results, {len(leftovers(resumed))} temporary files on disk")
        last = run(words)
        same = contents(resumed) == expected
        print(
            f"gone on with: status {last.status}, {len(contents(resumed))} results, the same bytes: {same}, "
            f"{left} temporary files left by kills, {len(leftovers(resumed))} at the end"
        )
        again = run(words)
        skipped = sum(record["status"] == "skipped" for record in again.records)
        print(f"once more: {skipped} skipped, {again.seconds:.0f} s")
        sys.exit(not (same and whole.status == last.status == 3 and not leftovers(resumed)))


if __name__ == "__main__":
    main()
