"""Other programs on the same pictures and the same machine: decibels and seconds a megapixel beside each other.

    pip install bm3d scikit-image
    python tests/benchmarks/peers.py photographs --pictures 6

`photographs` is a folder of clean ones. Each program runs as it comes, with as many threads as it takes; the first
picture is done twice, and only the second time counts. What is not installed is left out and said so. Seconds are
those of the clock, and those of the processor in all threads, which say more on a machine that does other work too.
paper's network has no weights: its time is measured on PAPER_SIDE pixels, one evaluation a stage counted ten times.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
from PIL import Image

from cyclerdm_cli import Restorer
from cyclerdm_cli.benchmark.probe import PAPER, Errand
from cyclerdm_cli.benchmark.probe import measure as measure_errand

SIDE = 512
"""Pixels a side of the middle of a photograph that is taken."""
PAPER_SIDE = 256
"""Pixels a side of the picture that the paper's network is timed on."""
SIGMA = 25
"""Standard deviation of the noise, in levels of 255."""
Picture = np.ndarray
Program = Callable[[Picture, Picture], Picture]
"""From a damaged picture and the mask of its holes to a restored one."""


def middle(path: Path) -> Picture:
    picture = np.asarray(Image.open(path).convert("RGB"))
    top, left = ((size - min(size, SIDE)) // 2 for size in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + SIDE, left : left + SIDE])


def noisy(clean: Picture, number: int) -> tuple[Picture, Picture]:
    noise = np.random.default_rng(number).standard_normal(clean.shape) * SIGMA
    return np.round(np.clip(clean + noise, 0, 255)).astype(np.uint8), np.zeros(clean.shape[:2], bool)


def torn(clean: Picture, number: int) -> tuple[Picture, Picture]:
    """Draw lines and blobs over a picture."""
    random, mask = np.random.default_rng(number), np.zeros(clean.shape[:2], np.uint8)
    for _ in range(12):
        start, end = (tuple(map(int, random.integers(0, SIDE, 2))) for _ in range(2))
        cv2.line(mask, start, end, 1, int(random.integers(2, 7)))
    for _ in range(3):
        place = tuple(map(int, random.integers(0, SIDE, 2)))
        cv2.circle(mask, place, int(random.integers(8, 24)), 1, -1)
    holes = mask.astype(bool)
    return np.where(holes[..., None], np.uint8(255), clean), holes


def ours(task: str, precision: str) -> Program:
    restorer = Restorer(device="cpu", precision=precision)
    return lambda picture, mask: np.asarray(
        restorer.restore(picture, task=task, mask=mask if task == "inpaint" else None)
    )


def bm3d_program() -> Program:
    import bm3d

    return lambda picture, mask: np.clip(bm3d.bm3d_rgb(picture / 255, SIGMA / 255) * 255, 0, 255)


def biharmonic_program() -> Program:
    from skimage.restoration import inpaint_biharmonic

    return lambda picture, mask: inpaint_biharmonic(picture / 255, mask, channel_axis=-1) * 255


def telea(picture: Picture, mask: Picture) -> Picture:
    return cv2.inpaint(picture, mask.astype(np.uint8), 5, cv2.INPAINT_TELEA)


def non_local_means(picture: Picture, mask: Picture) -> Picture:
    return cv2.fastNlMeansDenoisingColored(picture, None, SIGMA * 0.8, SIGMA * 0.8, 7, 21)


DENOISE: dict[str, Callable[[], Program]] = {
    "cyclerdm denoise, auto": lambda: ours("denoise", "auto"),
    "cyclerdm denoise, fp32": lambda: ours("denoise", "fp32"),
    "cv2.fastNlMeansDenoisingColored": lambda: non_local_means,
    "bm3d.bm3d_rgb, told sigma": bm3d_program,
}
INPAINT: dict[str, Callable[[], Program]] = {
    "cyclerdm inpaint, auto": lambda: ours("inpaint", "auto"),
    "cv2.inpaint, Telea": lambda: telea,
    "skimage inpaint_biharmonic": biharmonic_program,
}


def psnr(found: Picture, clean: Picture) -> float:
    error = np.mean((np.round(found).astype(float) - clean) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def measure(name: str, make: Callable[[], Program], pairs: list[tuple[Picture, Picture, Picture]]) -> None:
    try:
        program = make()
    except ImportError as fault:
        print(f"| {name} | {fault.name} is not installed | | |")
        return
    program(*pairs[0][:2])
    decibels, seconds, of_processor = [], [], []
    for damaged, mask, clean in pairs:
        megapixels = clean.shape[0] * clean.shape[1] / 1e6
        began, spent = time.perf_counter(), time.process_time()
        found = program(damaged, mask)
        seconds.append((time.perf_counter() - began) / megapixels)
        of_processor.append((time.process_time() - spent) / megapixels)
        decibels.append(psnr(found, clean))
    print(f"| {name} | {mean(decibels):.2f} | {mean(seconds):.2f} | {mean(of_processor):.2f} |", flush=True)


def time_paper(picture: Picture) -> None:
    """Print the seconds a megapixel that the paper's network takes."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        Image.fromarray(picture[:PAPER_SIDE, :PAPER_SIDE]).save(file.name)
        errand = Errand(file.name, PAPER, "denoise", device="cpu", precision="fp32", tile=0, warm=True)
        seconds = measure_errand(errand)["seconds"]["restoring"]
    print(f"| the paper's network | | {seconds / (PAPER_SIDE**2 / 1e6):.0f} | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--pictures", type=int, default=6)
    asked = parser.parse_args()
    clean = [middle(path) for path in sorted(asked.photographs.iterdir())[: asked.pictures]]
    print(f"| {len(clean)} pictures of {SIDE}x{SIDE} | dB | s/MP | CPU s/MP |\n|---|---|---|---|")
    for damage, programs in ((noisy, DENOISE), (torn, INPAINT)):
        pairs = [(*damage(one, number), one) for number, one in enumerate(clean)]
        print(f"| input, {damage.__name__} | {mean(psnr(one[0], one[2]) for one in pairs):.2f} | | |")
        for name, make in programs.items():
            measure(name, make, pairs)
    time_paper(clean[0])


if __name__ == "__main__":
    main()
