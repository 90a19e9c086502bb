"""The sha256 of what becomes of pictures: the same before and after a change that shall change nothing.

    python tests/benchmarks/hash_results.py --task denoise,auto PICTURE... > before.txt
    (the change)
    python tests/benchmarks/hash_results.py --task denoise,auto PICTURE... | diff before.txt -

A line for each task and picture: the sha256 of the result, or why there is none. `--by` says which way pictures go:
through the command, or from Python as files or as arrays. The code is that which Python finds first, so
`PYTHONPATH=OTHER_CHECKOUT` hashes another one's results.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import cyclerdm_cli

Result = tuple[str, str | None, str]
"""The name of the file that was restored, the sha256 of its result, and what was said of a fault."""


def link_pictures(pictures: Sequence[Path], folder: Path) -> list[Path]:
    """Return links to pictures, under names that are all different and in their order."""
    links = [folder / f"{number:04}_{path.name}" for number, path in enumerate(pictures)]
    for link, path in zip(links, pictures, strict=True):
        link.symlink_to(path.absolute())
    return links


def restore_by_command(
    pictures: Sequence[Path], task: str, output: Path, words: argparse.Namespace
) -> Iterator[Result]:
    """Yield what the command makes of files."""
    call = [sys.executable, "-m", "cyclerdm_cli", "restore", *map(str, pictures), "-o", f"{output}/"]
    call += ["--task", task, "--precision", words.precision, "--device", words.device, "--json", "-q"]
    done = subprocess.run(
        [*call, *words.option], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    )
    for record in map(json.loads, done.stdout.splitlines()[:-1]):
        yield record["input"], record["sha256"], record["error"] or ""


def restore_as_files(
    pictures: Sequence[Path], task: str, output: Path, words: argparse.Namespace
) -> Iterator[Result]:
    """Yield what the interface makes of files."""
    restorer = cyclerdm_cli.Restorer(words.device, words.precision)
    for outcome in restorer.restore_files(pictures, f"{output}/", task):
        yield outcome.input, outcome.sha256, outcome.error or ""


def restore_as_arrays(
    pictures: Sequence[Path], task: str, output: Path, words: argparse.Namespace
) -> Iterator[Result]:
    """Yield what the interface makes of pictures' pixels, as Pillow reads them in 8 bits."""
    restorer = cyclerdm_cli.Restorer(words.device, words.precision)
    for path in pictures:
        try:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            result = np.ascontiguousarray(restorer.restore(pixels, task))
        except (OSError, cyclerdm_cli.CycleRDMError) as fault:
            yield str(path), None, str(fault)
        else:
            yield str(path), hashlib.sha256(result.tobytes()).hexdigest(), ""


WAYS = {"command": restore_by_command, "files": restore_as_files, "arrays": restore_as_arrays}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--task", default="auto", help="several with commas between; each may be a+b")
    parser.add_argument("--by", choices=WAYS, default="command")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--option", action="append", default=[], help="a further word for the command")
    words = parser.parse_args()
    for task in words.task.split(","):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            links = link_pictures(words.pictures, folder)
            originals = dict(zip(map(str, links), words.pictures, strict=True))
            for name, digest, fault in WAYS[words.by](links, task, folder / "out", words):
                print(task, originals[name], digest or fault.replace(f"{folder}/", ""), flush=True)


if __name__ == "__main__":
    main()
