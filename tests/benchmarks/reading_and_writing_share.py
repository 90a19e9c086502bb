"""How much of a batch of 24-megapixel JPEGs is decoding and encoding. Run by hand:

    python tests/benchmarks/reading_and_writing_share.py --count 3

Says the processor's time for one picture apart, and what the batch, where both overlap with the restoring, takes
longer than the restoring alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from cyclerdm_cli.pictures.atomic import write_atomically
from cyclerdm_cli.pictures.listing import list_inputs
from cyclerdm_cli.pictures.naming import plan_outputs
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode
from cyclerdm_cli.restoring.batch import Watch, restore_files
from cyclerdm_cli.restoring.one_file import FileOptions, Work
from cyclerdm_cli.restoring.outcome import Outcome
from cyclerdm_cli.restoring.restorers import Kit, Restorers
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.weights.choosing import choose

HEIGHT, WIDTH = 4000, 6000


def photograph(number: int) -> np.ndarray:
    """Return (HEIGHT, WIDTH, 3) uint8: a photograph, enlarged, with the grain that a camera's picture has."""
    picture = (data.coffee, data.chelsea, data.rocket)[number % 3]()
    large = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    grain = np.random.default_rng(number).normal(0, 5, (HEIGHT, WIDTH, 1))
    return np.clip(large + grain, 0, 255).astype(np.uint8)


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Return wall-clock seconds, processor seconds and the result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - processor, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    restorers = Restorers(Kit({"denoise": choose(None, "denoise")}, device=options.device), ["denoise"])
    restorers.open()
    restorer = restorers.for_task("denoise")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(options.count):
            done, jpeg = cv2.imencode(".jpg", photograph(number)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            assert done
            (folder / f"{number}.jpg").write_bytes(jpeg.tobytes())
        reading, read_cpu, picture = timed(lambda: read_picture(folder / "0.jpg"))
        restoring, restore_cpu, pixels = timed(lambda: restorer.restore(picture.pixels, "denoise"))
        after = picture.with_pixels(pixels)
        writing, write_cpu, _ = timed(
            lambda: write_atomically(folder / "x" / "0.jpg", encode(after, WriteOptions()))
        )
        plan = plan_outputs(list_inputs([place]), f"{place}/out/", "denoise")
        outcomes: list[Outcome] = []
        work = Work(restorers, [find_task("denoise")], FileOptions())
        batch, batch_cpu, _ = timed(lambda: restore_files(work, plan, Watch(outcomes.append)))
    assert [one.status for one in outcomes] == ["ok"] * options.count, [one.error for one in outcomes]
    print(restorers.engine)
    print(
        f"one picture: decoding {reading:.2f} s, restoring {restoring:.2f} s, encoding and writing {writing:.2f} s"
    )
    print(f"processor: decoding {read_cpu:.2f} s, restoring {restore_cpu:.2f} s, encoding {write_cpu:.2f} s")
    each = batch / options.count
    print(
        f"a batch of {options.count}: {each:.2f} s a picture, {batch_cpu / options.count:.2f} s of the processor"
    )
    print(f"decoding and encoding: {(reading + writing) / each:.1%} of a batch's time a picture")
    print(f"processor's share: {(read_cpu + write_cpu) * options.count / batch_cpu:.1%}")


if __name__ == "__main__":
    main()
