"""Mutated pictures through reading alone: no crash, no hang, no more than a gigabyte. Run by hand:

    python tests/pictures/fuzz_reading.py --count 100000

`test_fuzz_reading.py` runs a short part of it. A child process reads; its parent notices when it dies or stalls,
says which picture it was (`--first N --count 1` reads that one again) and goes on with the next.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from picture_files import (
    chunk,
    exif_block,
    grey_profile,
    pattern,
    png,
    rgb_profile,
    srgb_curve,
    tiff,
    xmp_packet,
)
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.reading import read_picture

MOST_SECONDS = 60.0
"""Longer than this for one small picture is a hang, even on a busy machine."""
START_SECONDS = 600.0
"""For the child to import everything and read its first."""
TELLING = (0, 1, 2, 3, 7, 8, 16, 0x7F, 0x80, 0xFE, 0xFF)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@cache
def whole_pictures() -> dict[str, tuple[bytes, ...]]:
    """Return small sound files of each format, in its kinds, with metadata and profiles."""
    rgb, rgba, grey = (Image.fromarray(pattern(24, 40, n).squeeze()) for n in (3, 4, 1))
    all_blocks = {"exif": exif_block(6), "icc_profile": rgb_profile()}
    deep = [pattern(24, 40, n, np.uint16) for n in (1, 2, 3, 4)]
    profiles = [
        chunk(b"iCCP", b"p\0\0" + zlib.compress(one))
        for one in (rgb_profile(curve=srgb_curve()), grey_profile(1.8))
    ]
    return {
        "jpg": (
            _saved(rgb, "JPEG", xmp=xmp_packet(6), **all_blocks), _saved(rgb, "JPEG", progressive=True),
            _saved(grey, "JPEG", icc_profile=grey_profile(2.2)), _saved(rgb.convert("CMYK"), "JPEG"),
        ),
        "png": (
            _saved(rgba, "PNG", **all_blocks), _saved(rgb.quantize(16), "PNG", transparency=3),
            _saved(grey.convert("1"), "PNG"),
            png(deep[2], profiles[0]), png(deep[1]), png(deep[0], profiles[1] + chunk(b"tRNS", b"\0\7")),
        ),
        "webp": (
            _saved(rgba, "WEBP", **all_blocks), _saved(rgb, "WEBP", lossless=True),
            _saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)]),
        ),
        "tiff": (
            tiff(pattern(24, 40, 3)), tiff(deep[2], compression="zlib", predictor=2, rowsperstrip=8), tiff(deep[1]),
            tiff(deep[3], tile=(16, 16)), _saved(rgb, "TIFF", compression="tiff_lzw", icc_profile=rgb_profile()),
            _saved(grey.convert("1"), "TIFF", compression="group4"), _saved(rgb, "TIFF", compression="jpeg"),
            tiff(np.moveaxis(deep[2], -1, 0), planarconfig="separate"), tiff(deep[0], byteorder=">"),
        ),
        "avif": (_saved(rgba, "AVIF", **all_blocks), _saved(rgb, "AVIF", subsampling="4:4:4")),
        "bmp": (_saved(rgb, "BMP"), _saved(rgb.quantize(16), "BMP")),
    }  # fmt: skip


FORMATS = ("jpg", "png", "webp", "tiff", "avif", "bmp")


def mutated(number: int) -> tuple[str, bytes]:
    """Return the format and the bytes of mutated picture `number`; the same ones in every run."""
    draw = np.random.default_rng(number)
    kind = FORMATS[number % len(FORMATS)]
    files = whole_pictures()[kind]
    data = bytearray(files[draw.integers(len(files))])
    other = files[draw.integers(len(files))]
    for _ in range(draw.integers(1, 7)):
        # Headers are where damage tells most, so half of it falls there.
        at = int(draw.integers(min(len(data), 300) if draw.integers(2) else len(data)))
        size = int(draw.integers(1, 65))
        match draw.integers(9):
            case 0:
                data[at] ^= 1 << int(draw.integers(8))
            case 1:
                data[at] = int(draw.integers(256))
            case 2:
                data[at] = TELLING[draw.integers(len(TELLING))]
            case 3:
                number_there = struct.pack(">I" if draw.integers(2) else "<I", int(2 ** draw.uniform(0, 32)))
                data[at : at + 4] = number_there
            case 4:
                data[at : at + size] = b""
            case 5:
                data[at:at] = data[at : at + size]
            case 6:
                data[at : at + size] = other[at : at + size]
            case 7:
                data[at : at + size] = draw.bytes(size)
            case 8 if draw.integers(4) == 0:
                del data[max(at, 1) :]
        data = data or bytearray(b"\0")
    if kind == "png" and draw.integers(4):
        data = _with_right_checksums(bytes(data))
    return kind, bytes(data)


def _with_right_checksums(data: bytes) -> bytearray:
    """Mend the checksums of a PNG: or else few mutations would get past them."""
    mended, at = bytearray(data), 8
    while at + 12 <= len(mended):
        (length,) = struct.unpack_from(">I", mended, at)
        end = at + 8 + length
        if end + 4 > len(mended):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return mended


@dataclass
class Findings:
    """What came of a run."""

    pictures: int = 0
    read: Counter[str] = field(default_factory=Counter)
    """Pictures of each format that could be read all the same."""
    faults: list[str] = field(default_factory=list)
    """Crashes, hangs, and exceptions that are no `PictureError`."""
    slowest: float = 0.0
    """Seconds of processor time."""
    peak_mib: float = 0.0
    """Of the reading process, Python and libraries included."""
    heaviest: int = 0
    """The picture after which the peak stood at its highest."""


def _read_one(number: int) -> tuple[str, bool]:
    kind, data = mutated(number)
    try:
        picture = read_picture(data, name="photo")
    except PictureError as error:
        if "\n" in str(error) or not str(error).startswith("photo: "):
            raise ValueError(f"not one plain line: {error!r}") from error
        return kind, False
    if picture.pixels.shape != (*picture.size, 3) or picture.pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels are {picture.pixels.shape} {picture.pixels.dtype}")
    return kind, True


def _peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says begins with the peak of the process that started this one
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _read_all(numbers: range, pipe) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints what it thinks of every file
    for number in numbers:
        pipe.send((number, None, None, 0.0, 0.0))  # whoever dies over it has said so
        began = time.process_time()
        try:
            kind, read = _read_one(number)
            fault = None
        except BaseException as error:  # what the run is there to find
            kind, read, fault = "", False, f"{type(error).__name__}: {error}"
        pipe.send((number, (kind, read), fault, time.process_time() - began, _peak_mib()))


def fuzz(first: int, count: int) -> Iterator[Findings]:
    """Read so many mutated pictures; yield the findings so far, after each."""
    findings = Findings()
    context = multiprocessing.get_context("spawn")
    end = first + count
    while first < end:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_read_all, args=(range(first, end), theirs), daemon=True)
        child.start()
        theirs.close()
        number = first
        try:
            while number < end:
                if not ours.poll(START_SECONDS if number == first else MOST_SECONDS):
                    findings.faults.append(f"picture {number}: no end after {MOST_SECONDS:.0f} s")
                    child.kill()
                    break
                number, result, fault, seconds, peak = ours.recv()
                if result is None:
                    continue
                findings.pictures += 1
                findings.read[result[0]] += result[1]
                findings.slowest = max(findings.slowest, seconds)
                if peak > findings.peak_mib:
                    findings.peak_mib, findings.heaviest = peak, number
                if fault:
                    findings.faults.append(f"picture {number}: {fault}")
                number += 1
                yield findings
        except EOFError:
            child.join()
            findings.faults.append(f"picture {number}: the process died, status {child.exitcode}")
        child.join(5)
        first = number + (number < end)
        yield findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    findings = Findings()
    for findings in fuzz(options.first, options.count):
        if findings.pictures % 2000 == 0:
            print(
                f"{findings.pictures}, {findings.peak_mib:.0f} MiB, {len(findings.faults)} faults", flush=True
            )
    for fault in findings.faults:
        print(fault)
    print(
        f"{findings.pictures} pictures in {time.monotonic() - began:.0f} s, {sum(findings.read.values())} of them "
        f"readable ({dict(findings.read)}); slowest {findings.slowest:.2f} s, peak {findings.peak_mib:.0f} MiB "
        f"(picture {findings.heaviest}), {len(findings.faults)} faults"
    )
    sys.exit(bool(findings.faults) or findings.peak_mib > 1024)


if __name__ == "__main__":
    main()
