"""How several processes share a machine. Run by hand, on a machine that does nothing else:

    python tests/benchmarks/busy_machine.py

Times 1, 2 and 4 processes at once, each over the same small files, with threads that sleep while they wait, as the
command has them, and with threads that spin, as OpenMP has them where nothing else is said.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
from skimage import data

WAYS = {"sleep": {}, "spin": {"OMP_WAIT_POLICY": "ACTIVE"}}
"""Settings of the environment by how threads wait; the command sets its own where there is none."""


def seconds_of(processes: int, inputs: Path, results: Path, settings: dict[str, str]) -> float:
    """Return how long so many processes take at once, each over the same files."""
    place = {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-m", "cyclerdm_cli", "restore", str(inputs), "--task", "denoise", "-q"]
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            [*words, "-o", f"{results / str(number)}/", "--overwrite"],
            env={**os.environ, **place, **settings}, stdout=subprocess.DEVNULL,
        )
        for number in range(processes)
    ]  # fmt: skip
    if any(process.wait() for process in running):
        raise SystemExit("a process failed")
    return time.perf_counter() - began


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--side", type=int, default=64)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "in")
        inputs.mkdir()
        small = cv2.resize(data.coffee(), (asked.side, asked.side), interpolation=cv2.INTER_AREA)
        for number in range(asked.files):
            cv2.imwrite(str(inputs / f"{number:03}.png"), small)
        print(
            f"{asked.files} files of {asked.side}x{asked.side} for each process, seconds until all have ended"
        )
        print("processes", *WAYS)
        for processes in (1, 2, 4):
            taken = [seconds_of(processes, inputs, Path(folder, way), WAYS[way]) for way in WAYS]
            print(processes, *(f"{seconds:.1f}" for seconds in taken))


if __name__ == "__main__":
    main()
