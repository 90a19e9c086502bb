"""Picture files and colour profiles, written by hand or by libraries that the program does not write with."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import tifffile

ADOBE_RGB_COLUMNS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_COLUMNS = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))


def pattern(height: int, width: int, channels: int, dtype=np.uint8, seed: int = 0) -> np.ndarray:
    """(H, W, C) smooth colours with a little noise, alpha (2nd or 4th channel) from 0 to full."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [0.2 + 0.6 * down, 0.8 - 0.5 * across, 0.3 + 0.4 * down * across, across]
    if channels == 2:
        planes = [planes[0], planes[3]]
    stack = np.stack(planes[:channels], axis=-1) + generator.normal(0, 0.01, (height, width, channels))
    return np.rint(np.clip(stack, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples: np.ndarray, extra: bytes = b"") -> bytes:
    """A PNG of 8 or 16 bits without filters; `extra` chunks go in front of the pixels."""
    height, width, channels = samples.shape
    rows = samples.astype(samples.dtype.newbyteorder(">")).tobytes()
    row = len(rows) // height
    body = b"".join(b"\0" + rows[top * row : (top + 1) * row] for top in range(height))
    header = struct.pack(
        ">IIBBBBB", width, height, samples.itemsize * 8, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0
    )
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff(samples: np.ndarray, **options) -> bytes:
    """A TIFF by tifffile; `samples` is (H, W, C), or (C, H, W) with planarconfig="separate"."""
    stream = BytesIO()
    channels = samples.shape[0] if options.get("planarconfig") else samples.shape[2]
    options.setdefault("photometric", "rgb" if channels >= 3 else "minisblack")
    if channels in (2, 4) and options["photometric"] != "separated":
        options.setdefault("extrasamples", ["unassalpha"])
    tifffile.imwrite(stream, samples if channels > 1 else samples[..., 0], **options)
    return stream.getvalue()


def exif_block(orientation: int | None = None, make: str = "Maker") -> bytes:
    """EXIF by hand: Make, perhaps Orientation, and a camera directory with an exposure of 1/250 s."""
    text = make.encode() + b"\0"
    count = 2 + (orientation is not None)
    after = 8 + 2 + 12 * count + 4
    entries = [struct.pack("<HHII", 0x010F, 2, len(text), after)]
    if orientation is not None:
        entries.append(struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0))
    camera = after + len(text) + len(text) % 2
    entries.append(struct.pack("<HHII", 0x8769, 4, 1, camera))
    camera_directory = struct.pack("<HHHIII", 1, 0x829A, 5, 1, camera + 18, 0) + struct.pack("<II", 1, 250)
    head = b"II*\0" + struct.pack("<I", 8)
    ifd = struct.pack("<H", count) + b"".join(entries) + struct.pack("<I", 0)
    return b"Exif\0\0" + head + ifd + text.ljust(camera - after, b"\0") + camera_directory


def xmp_packet(orientation: int | None = None) -> bytes:
    inner = f' tiff:Orientation="{orientation}"' if orientation else ""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="Maker"{inner}/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def _fixed(values) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def srgb_curve() -> bytes:
    return (
        b"para\0\0\0\0"
        + struct.pack(">HH", 3, 0)
        + _fixed((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    )


def table_curve(gamma: float, nodes: int = 1024) -> bytes:
    values = np.rint(np.linspace(0, 1, nodes) ** gamma * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", nodes) + values.tobytes()


def _text(words: str) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(words) + 1) + words.encode() + b"\0" + bytes(78)


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 for displays, connected by XYZ."""
    tags = {b"desc": _text("made for a test"), b"cprt": b"text\0\0\0\0none\0", **tags}
    tags[b"wtpt"] = b"XYZ \0\0\0\0" + _fixed((0.9642, 1.0, 0.8249))
    offset, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data = data.ljust(-(-len(data) // 4) * 4, b"\0")
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        offset + len(body),
        b"\0" * 4,
        0x02400000,
        b"mntr",
        space,
        b"XYZ ",
        b"\x07\xe8\0\x01\0\x01" + b"\0" * 6,
        b"acsp",
    )
    head += b"\0" * 28 + _fixed((0.9642, 1.0, 0.8249))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(columns=ADOBE_RGB_COLUMNS, curve: bytes | None = None) -> bytes:
    curve = curve or gamma_curve(2.19921875)
    colours = {
        name: b"XYZ \0\0\0\0" + _fixed(column)
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    return profile(b"RGB ", {**colours, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def grey_profile(gamma: float) -> bytes:
    return profile(b"GRAY", {b"kTRC": gamma_curve(gamma)})
