"""A folder as people have them: many sound pictures, some of them odd, and twenty files that are none."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

BAD = 20


def make_folder(folder: Path, good: int) -> tuple[list[str], list[str]]:
    """Fill a folder; return the names of the sound pictures and of the bad ones, which are always twenty."""
    folder.mkdir(parents=True, exist_ok=True)
    return _make_good(folder, good), _make_bad(folder)


def scene(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Return smooth colours with a little noise, (H, W, C) uint8."""
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [40 + 160 * down, 200 - 120 * across, 80 + 90 * down * across, 255 * across][:channels]
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, channels))
    return np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)


def saved(samples: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    """Return the bytes of a file by Pillow."""
    image = Image.fromarray(samples.squeeze(axis=2) if samples.shape[2] == 1 else samples)
    stream = BytesIO()
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def png_saying(width: int, height: int, body: bytes) -> bytes:
    """Return an 8-bit RGB PNG of that size by its header, whatever its body."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _make_good(folder: Path, count: int) -> list[str]:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = BytesIO()
    tifffile.imwrite(deep, scene(60, 80).astype(np.uint16) * 257, photometric="rgb", compression="zlib")
    files = {
        "naïve ☃ 写真.jpg": saved(scene(60, 80), "JPEG"),
        " two  spaces .png": saved(scene(60, 80), "PNG"),
        "-o.png": saved(scene(61, 80), "PNG"),
        "--overwrite.jpg": saved(scene(62, 80), "JPEG"),
        "n" * 196 + ".png": saved(scene(63, 80), "PNG"),
        "é" * 98 + ".jpg": saved(scene(64, 80), "JPEG"),
        "1x1.png": saved(scene(1, 1), "PNG"),
        "1x20000.png": saved(scene(20000, 1), "PNG"),
        "20000x1.jpg": saved(scene(1, 20000), "JPEG"),
        "new\nline.png": saved(scene(65, 80), "PNG"),
        "{stem}[0-9]*%d.png": saved(scene(66, 80), "PNG"),
        "@list.png": saved(scene(67, 80), "PNG"),
        "UPPER.JPG": saved(scene(68, 80), "JPEG"),
        "grey.png": saved(scene(60, 80, 1), "PNG"),
        "alpha.png": saved(scene(60, 80, 4), "PNG"),
        "palette.png": saved(scene(60, 80), "PNG", mode="P"),
        "cmyk.jpg": saved(scene(60, 80), "JPEG", mode="CMYK"),
        "turned.jpg": saved(scene(60, 80), "JPEG", exif=exif),
        "deep.tif": deep.getvalue(),
        "a.webp": saved(scene(60, 80), "WEBP"),
        "a.avif": saved(scene(60, 80), "AVIF"),
        "a.bmp": saved(scene(60, 80), "BMP"),
        "bilevel.png": saved(scene(60, 80), "PNG", mode="1"),
        "is a png.jpg": saved(scene(60, 80), "PNG"),
    }
    for number in range(count - len(files)):
        files[f"plain {number}.jpg"] = saved(scene(48 + number % 30, 64, seed=number), "JPEG")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return list(files)


def _make_bad(folder: Path) -> list[str]:
    jpg, png, webp, avif = (saved(scene(60, 80), kind) for kind in ("JPEG", "PNG", "WEBP", "AVIF"))
    tiff = saved(scene(60, 80), "TIFF")
    whole = zlib.compress(b"\0" * (60 * (1 + 3 * 80)))
    files = {
        "empty.jpg": b"",
        **{f"cut at {part}.jpg": jpg[: len(jpg) * part // 100] for part in (1, 40, 98)},
        **{f"cut at {part}.png": png[: len(png) * part // 100] for part in (1, 40, 98)},
        "cut.webp": webp[: len(webp) // 2],
        "cut.tif": tiff[: len(tiff) // 2],
        "cut.avif": avif[: len(avif) // 2],
        "text.jpg": b"Not a picture, but words.\n" * 20,
        "nothing but zeros.png": bytes(5000),
        "page.webp": b"<!DOCTYPE html><html><body>404</body></html>",
        "bomb.png": png_saying(30_000, 30_000, zlib.compress(bytes(4_000_000), 9)),
        "liar.png": png_saying(80, 61, whole),
        "great liar.png": png_saying(20_000, 20_000, whole),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "x.png").mkdir()
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "forbidden.png").write_bytes(png)
    (folder / "forbidden.png").chmod(0)
    bad = [*files, "x.png", "loop.png", "gone.png", "forbidden.png"]
    assert len(bad) == BAD
    return bad
