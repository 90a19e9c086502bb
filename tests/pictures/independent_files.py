"""Picture files with metadata, put together and taken apart without the library that the program uses for them.

Pixels go through OpenCV and tifffile; EXIF, XMP and ICC blocks are put into the containers by hand.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
import tifffile
from picture_files import chunk, png, tiff
from PIL import Image


@dataclass(frozen=True)
class Blocks:
    """The metadata of a file, each as in a JPEG: EXIF begins with `Exif\\0\\0`."""

    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None


XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
ICC_IN_JPEG = b"ICC_PROFILE\0\1\1"


def write(kind: str, samples: np.ndarray, blocks: Blocks) -> bytes:
    """Return a file of (H, W, C) samples; C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA."""
    return _WRITERS[kind](samples, blocks)


def _by_opencv(extension: str, samples: np.ndarray, *options: int) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[2]]
    done, data = cv2.imencode(extension, np.ascontiguousarray(samples[..., order]), options)
    assert done
    return data.tobytes()


def _jpg(samples: np.ndarray, blocks: Blocks) -> bytes:
    data = _by_opencv(
        ".jpg", samples, cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111
    )
    parts = [
        (0xE1, blocks.exif),
        (0xE1, blocks.xmp and XMP_IN_JPEG + blocks.xmp),
        (0xE2, blocks.icc and ICC_IN_JPEG + blocks.icc),
    ]
    segments = [struct.pack(">BBH", 0xFF, marker, len(block) + 2) + block for marker, block in parts if block]
    return data[:2] + b"".join(segments) + data[2:]


def _png(samples: np.ndarray, blocks: Blocks) -> bytes:
    parts = {
        b"iCCP": blocks.icc and b"profile\0\0" + zlib.compress(blocks.icc),
        b"eXIf": blocks.exif and blocks.exif[6:],
        b"iTXt": blocks.xmp and b"XML:com.adobe.xmp\0\0\0\0\0" + blocks.xmp,
    }
    return png(samples, b"".join(chunk(name, block) for name, block in parts.items() if block))


def _webp(samples: np.ndarray, blocks: Blocks) -> bytes:
    data = _by_opencv(".webp", samples, cv2.IMWRITE_WEBP_QUALITY, 101)
    height, width = samples.shape[:2]
    flags = (
        0x20 * bool(blocks.icc)
        + 0x10 * (samples.shape[2] == 4)
        + 0x08 * bool(blocks.exif)
        + 0x04 * bool(blocks.xmp)
    )
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    parts = [(b"VP8X", bytes([flags, 0, 0, 0]) + size)]
    parts += [(b"ICCP", blocks.icc)] if blocks.icc else []
    body = b"".join(_riff(*part) for part in parts) + data[12:]
    body += _riff(b"EXIF", blocks.exif[6:]) if blocks.exif else b""
    body += _riff(b"XMP ", blocks.xmp) if blocks.xmp else b""
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _tiff(samples: np.ndarray, blocks: Blocks) -> bytes:
    extra = []
    if blocks.exif:
        make, orientation = exif_tags(blocks.exif)[271], exif_tags(blocks.exif)[274]
        extra = [(271, "s", 0, make, True), (274, "H", 1, orientation, True)]
    if blocks.xmp:
        extra.append((700, "B", len(blocks.xmp), blocks.xmp, True))
    return tiff(samples, iccprofile=blocks.icc, extratags=extra, compression="zlib")


def _avif(samples: np.ndarray, blocks: Blocks) -> bytes:
    # No other library here writes AVIF with metadata.
    stream = BytesIO()
    given = {"exif": blocks.exif, "xmp": blocks.xmp, "icc_profile": blocks.icc}
    given = {name: block for name, block in given.items() if block}
    Image.fromarray(samples).save(stream, "AVIF", quality=98, subsampling="4:4:4", **given)
    return stream.getvalue()


_WRITERS = {
    "jpg": _jpg,
    "png": _png,
    "webp": _webp,
    "tif": _tiff,
    "avif": _avif,
    "bmp": lambda samples, blocks: _by_opencv(".bmp", samples),
}


def stored_samples(kind: str, data: bytes) -> np.ndarray:
    """Return (H, W, C) samples as the file holds them: not turned, in its own colour space."""
    if kind == "tif":
        samples = tifffile.imread(BytesIO(data))
        return samples[..., None] if samples.ndim == 2 else samples
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples.ndim == 2:
        return samples[..., None]
    if kind == "png" and data[25] == 4:  # OpenCV spreads grey with alpha over four channels
        return samples[..., [0, 3]]
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def blocks_of(kind: str, data: bytes) -> Blocks:
    """Return the metadata of a file."""
    return _READERS[kind](data)


def _jpg_blocks(data: bytes) -> Blocks:
    exif = xmp = icc = None
    position = 2
    while data[position + 1] != 0xDA:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        block = data[position + 4 : position + 2 + length]
        if marker == 0xE1 and block.startswith(b"Exif\0\0"):
            exif = block
        elif marker == 0xE1 and block.startswith(XMP_IN_JPEG):
            xmp = block.removeprefix(XMP_IN_JPEG)
        elif marker == 0xE2 and block.startswith(ICC_IN_JPEG):
            icc = block.removeprefix(ICC_IN_JPEG)
        position += 2 + length
    return Blocks(exif, xmp, icc)


def _png_blocks(data: bytes) -> Blocks:
    found, position = {}, 8
    while position < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        found[name] = data[position + 8 : position + 8 + length]
        position += 12 + length
    return Blocks(
        b"Exif\0\0" + found[b"eXIf"] if b"eXIf" in found else None,
        found[b"iTXt"].split(b"\0", 5)[5] if b"iTXt" in found else None,
        zlib.decompress(found[b"iCCP"].split(b"\0", 1)[1][1:]) if b"iCCP" in found else None,
    )


def _webp_blocks(data: bytes) -> Blocks:
    found, position = {}, 12
    while position < len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        found[name] = data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    exif = found.get(b"EXIF")
    return Blocks(
        exif and b"Exif\0\0" + exif.removeprefix(b"Exif\0\0"), found.get(b"XMP "), found.get(b"ICCP")
    )


def _tiff_blocks(data: bytes) -> Blocks:
    tags = tifffile.TiffFile(BytesIO(data)).pages[0].tags
    return Blocks(
        b"Exif\0\0" + data if 271 in tags else None,  # a TIFF file is laid out as EXIF is
        bytes(tags[700].value) if 700 in tags else None,
        bytes(tags[34675].value) if 34675 in tags else None,
    )


def _avif_blocks(data: bytes) -> Blocks:
    info = Image.open(BytesIO(data)).info
    return Blocks(info.get("exif"), info.get("xmp"), info.get("icc_profile"))


_READERS = {
    "jpg": _jpg_blocks,
    "png": _png_blocks,
    "webp": _webp_blocks,
    "tif": _tiff_blocks,
    "avif": _avif_blocks,
    "bmp": lambda data: Blocks(),
}


def exif_tags(block: bytes) -> dict[int, object]:
    """Return the tags of EXIF's first directory and of the camera's: texts, whole numbers and pairs of them."""
    data = block.removeprefix(b"Exif\0\0")
    order = "<" if data[:2] == b"II" else ">"
    tags = _directory(data, order, struct.unpack_from(order + "I", data, 4)[0])
    return {**tags, **(_directory(data, order, tags[0x8769]) if 0x8769 in tags else {})}


def _directory(data: bytes, order: str, offset: int) -> dict[int, object]:
    (count,) = struct.unpack_from(order + "H", data, offset)
    tags: dict[int, object] = {}
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", data, entry)
        (place,) = struct.unpack_from(order + "I", data, entry + 8)
        if kind == 2:
            start = entry + 8 if length <= 4 else place
            tags[tag] = data[start : start + length].rstrip(b"\0").decode()
        elif kind == 3 and length == 1:
            tags[tag] = struct.unpack_from(order + "H", data, entry + 8)[0]
        elif kind == 4 and length == 1:
            tags[tag] = place
        elif kind == 5:
            tags[tag] = struct.unpack_from(order + "II", data, place)
    return tags
