"""A folder into which pictures come in pieces and by renames, with a watcher that is killed and started again.

    python tests/commands/watched.py --files 500 --kills 5 --weights FILE

`test_watch.py` runs a small part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from kill_and_resume import contents, leftovers
from odd_folder import saved, scene
from PIL import Image

DEADLINE = 300.0
"""Seconds for what is waited for; on a busy machine all takes long."""


@dataclass
class Watcher:
    """A watching command and what it says."""

    process: subprocess.Popen[str]
    out: Path
    err: Path

    @property
    def records(self) -> list[dict[str, object]]:
        """The records so far, of whole lines."""
        lines = self.out.read_text().split("\n")[:-1]
        return [record for line in lines if "summary" not in (record := json.loads(line))]

    @property
    def settled(self) -> set[str]:
        """The inputs that have results."""
        return {str(one["input"]) for one in self.records if one["status"] != "failed"}

    @property
    def summary(self) -> dict[str, float]:
        """The last line."""
        return json.loads(self.out.read_text().splitlines()[-1])["summary"]

    @property
    def said(self) -> str:
        """What it has said to people."""
        return self.err.read_text()

    def status_after(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextmanager
def watching(place: Path, *words: str | Path) -> Iterator[Watcher]:
    """Run `restore --watch`, and kill it at the end where it still runs."""
    number = len(list(place.glob("out*.txt")))
    out, err = place / f"out{number}.txt", place / f"err{number}.txt"
    call = [sys.executable, "-m", "cyclerdm_cli", "restore", *map(str, words), "--watch", "--json"]
    with out.open("w") as data, err.open("w") as said:
        process = subprocess.Popen(call, stdout=data, stderr=said, cwd=place, text=True)
    try:
        yield Watcher(process, out, err)
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], watcher: Watcher | None = None) -> None:
    """Wait until something is so. Raises AssertionError where that takes too long, or the watcher has ended."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, watcher and watcher.said
        assert watcher is None or watcher.process.poll() is None, watcher.said
        time.sleep(0.05)


def picture(number: int) -> bytes:
    """Return a small picture of its own, a PNG or JPEG file."""
    return saved(scene(24 + number % 7, 32, seed=number), "JPEG" if number % 3 == 0 else "PNG")


def name(number: int) -> str:
    """Return the name of it."""
    return f"{number:03}.{'jpg' if number % 3 == 0 else 'png'}"


def deliver(folder: Path, numbers: range, pause: float, draw: random.Random) -> None:
    """Bring pictures: every second is written in pieces under its own name, the others are renamed into place."""
    for number in numbers:
        data = picture(number)
        if number % 2:
            beside = folder / f"{name(number)}.part"
            beside.write_bytes(data)
            os.rename(beside, folder / name(number))
        else:
            with (folder / name(number)).open("wb", buffering=0) as stream:
                for start in range(0, len(data), len(data) // 3 + 1):
                    stream.write(data[start : start + len(data) // 3 + 1])
                    time.sleep(pause * draw.random())


def count_in(results: Path) -> int:
    """Return how many whole files there are."""
    return sum(not name.startswith(".") for name in os.listdir(results)) if results.is_dir() else 0


def check(folder: Path, results: Path, count: int) -> list[str]:
    """Return what is wrong with the results: one for each picture, whole, nothing else."""
    wrong = [] if leftovers(results) == [] else [f"left: {leftovers(results)}"]
    found = contents(results)
    if sorted(found) != [name(number) for number in range(count)]:
        wrong.append(f"{len(found)} results of {count}")
    for one, data in found.items():
        with Image.open(BytesIO(data)) as after, Image.open(folder / one) as before:
            after.load()
            if after.size != before.size:
                wrong.append(f"{one}: {after.size}, not {before.size}")
    return wrong


def kill_and_restart(place: Path, words: list[str], count: int, kills: int, pause: float) -> list[str]:
    """Let pictures come to a watcher that is killed several times; return what is wrong in the end."""
    folder, results, draw = place / "in", place / "out", random.Random(0)
    folder.mkdir()
    deliverer = threading.Thread(target=deliver, args=(folder, range(count), pause, draw))
    deliverer.start()
    done: Counter[str] = Counter()
    wrong: list[str] = []
    for turn in range(kills + 1):
        with watching(place, "in", "-o", "out/", *words) as watcher:
            share = count * (turn + 1) // (kills + 1) if turn < kills else count
            wait_for(lambda share=share: count_in(results) >= share, watcher)  # type: ignore[misc]
            if turn == kills:
                deliverer.join()
                wait_for(lambda watcher=watcher: len(watcher.settled) >= count, watcher)  # type: ignore[misc]
                status = watcher.status_after(signal.SIGTERM)
                if status != 130:
                    wrong.append(f"exit status {status}: {watcher.said}")
            else:
                watcher.status_after(signal.SIGKILL)
        done.update(str(one["input"]) for one in watcher.records if one["status"] == "ok")
    wrong += [f"{one}: done {times} times" for one, times in done.items() if times > 1]
    return wrong + check(folder, results, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two pieces, at most")
    parser.add_argument("--weights", type=Path, help="small ones: the network is not tested")
    options = parser.parse_args()
    words = ["--task", "denoise", "--device", "cpu"]
    words += ["--weights", str(options.weights.resolve())] if options.weights else []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        wrong = kill_and_restart(Path(place), words, options.files, options.kills, options.pause)
    print("\n".join(wrong) or f"{options.files} files, each restored once and whole, {options.kills} kills")
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
