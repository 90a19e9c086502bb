"""Every format x mode x depth x orientation x profile x metadata through the command, against plain 8-bit RGB.

Files are written and read back by other means than the program's own (`independent_files`). What the network makes
of the pixels must be what it makes of the same ones in a plain PNG; all else must be what the source had.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from independent_files import Blocks, blocks_of, exif_tags, stored_samples, write
from picture_files import ADOBE_RGB_COLUMNS, exif_block, grey_profile, pattern, rgb_profile, xmp_packet
from typer.testing import CliRunner

from cyclerdm_cli.app import app

HEIGHT, WIDTH = 40, 56
"""Upright."""
ADOBE_GAMMA, GREY_GAMMA = 2.19921875, 1.796875

CHANNELS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgba": 4}
KINDS = {
    "jpg": (("grey", 8), ("rgb", 8)),
    "png": tuple((mode, depth) for mode in CHANNELS for depth in (8, 16)),
    "tif": tuple((mode, depth) for mode in CHANNELS for depth in (8, 16)),
    "webp": (("rgb", 8), ("rgba", 8)),
    "avif": (("rgb", 8), ("rgba", 8)),
    "bmp": (("grey", 8), ("rgb", 8)),
}
STORED = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.swapaxes(0, 1),
    6: lambda seen: np.rot90(seen, 1),
    7: lambda seen: np.rot90(seen, 2).swapaxes(0, 1),
    8: lambda seen: np.rot90(seen, -1),
}
"""How a camera stores what is seen upright: the inverse of what EXIF asks of viewers (CIPA DC-008, 4.6.4)."""


@dataclass(frozen=True)
class Case:
    kind: str
    mode: str
    depth: int
    orientation: int | None
    """None: a file without EXIF and XMP."""
    profiled: bool

    @property
    def name(self) -> str:
        turned = "plain" if self.orientation is None else f"turned{self.orientation}"
        return f"{self.mode}{self.depth}-{turned}{'-profile' * self.profiled}.{self.kind}"

    @property
    def grey(self) -> bool:
        return self.mode.startswith("grey")

    @property
    def blocks(self) -> Blocks:
        icc = (grey_profile(GREY_GAMMA) if self.grey else rgb_profile()) if self.profiled else None
        if self.orientation is None:
            return Blocks(icc=icc)
        return Blocks(exif_block(self.orientation), xmp_packet(self.orientation), icc)


def cases() -> list[Case]:
    table = [
        Case(kind, mode, depth, orientation, profiled)
        for kind, modes in KINDS.items()
        for mode, depth in modes
        for orientation in ((None,) if kind == "bmp" else (None, *range(1, 9)))
        for profiled in ((False,) if kind == "bmp" else (False, True))
    ]
    assert len(table) == 22 * 9 * 2 + 2
    return table


def seen(grey: bool) -> np.ndarray:
    """(H, W, 3) uint8 sRGB as it shall be seen; inside every gamut used, so that nothing is clipped."""
    picture = 60 + pattern(HEIGHT, WIDTH, 3) // 2
    return picture[..., :1].repeat(3, axis=2) if grey else picture


def alpha(depth: int) -> np.ndarray:
    """(H, W, 1); never 0, where writers may drop the colour."""
    levels = 1 + np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1) % 255
    return levels.astype(np.uint8) if depth == 8 else (levels * 257).astype(np.uint16)


def curve(levels: np.ndarray, *, encode: bool) -> np.ndarray:
    """The sRGB curve (IEC 61966-2-1) or its inverse, [0, 1] to [0, 1]."""
    if encode:
        return np.where(
            levels <= 0.0031308, levels * 12.92, 1.055 * np.maximum(levels, 0) ** (1 / 2.4) - 0.055
        )
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


# sRGB's own columns, adapted to the same white (ICC's sRGB profiles hold these).
SRGB_TO_ADOBE = np.linalg.inv(np.array(ADOBE_RGB_COLUMNS).T) @ np.array(
    ((0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410))
)


def into_profile(case: Case, srgb: np.ndarray) -> np.ndarray:
    """Convert [0, 1] sRGB into the case's own colour space."""
    if not case.profiled:
        return srgb
    linear = curve(srgb, encode=False)
    return (
        linear ** (1 / GREY_GAMMA)
        if case.grey
        else np.clip(linear @ SRGB_TO_ADOBE.T, 0, 1) ** (1 / ADOBE_GAMMA)
    )


def out_of_profile(case: Case, values: np.ndarray) -> np.ndarray:
    if not case.profiled:
        return values
    linear = values**GREY_GAMMA if case.grey else values**ADOBE_GAMMA @ np.linalg.inv(SRGB_TO_ADOBE).T
    return curve(np.clip(linear, 0, 1), encode=True)


def file_of(case: Case) -> bytes:
    most = 2**case.depth - 1
    colours = into_profile(case, seen(case.grey) / 255)[..., : 1 if case.grey else 3]
    samples = np.rint(colours * most).astype(np.uint8 if case.depth == 8 else np.uint16)
    if CHANNELS[case.mode] in (2, 4):
        samples = np.concatenate((samples, alpha(case.depth)), axis=2)
    return write(case.kind, np.ascontiguousarray(STORED[case.orientation or 1](samples)), case.blocks)


@pytest.fixture(scope="module")
def results(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what one call of the command made of all cases, and of their plain twins."""
    place = tmp_path_factory.mktemp("kinds")
    (place / "in").mkdir()
    for case in cases():
        (place / "in" / case.name).write_bytes(file_of(case))
    for grey in (False, True):
        (place / "in" / f"plain{grey:d}.png").write_bytes(write("png", seen(grey), Blocks()))
    words = ["restore", place / "in", "-o", place / "out", "--task", "dehaze", "--weights", tiny_weights]
    done = CliRunner().invoke(app, [*map(str, words), "--device", "cpu", "--precision", "fp32", "--json"])
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0, [record["error"] for record in records if record.get("error")][:5]
    assert {(one["height"], one["width"]) for one in records[:-1]} == {(HEIGHT, WIDTH)}
    return place / "out"


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_result_is_the_plain_one_with_all_that_the_source_had(case: Case, results: Path) -> None:
    data = (results / case.name).read_bytes()
    samples, blocks, given = stored_samples(case.kind, data), blocks_of(case.kind, data), case.blocks

    channels = CHANNELS[case.mode]
    assert samples.shape == (HEIGHT, WIDTH, channels)
    assert samples.dtype == (np.uint8 if case.depth == 8 else np.uint16)
    if channels in (2, 4):
        if case.kind == "avif":
            assert np.abs(samples[..., -1:].astype(int) - alpha(8)).max() <= 8
        else:
            np.testing.assert_array_equal(samples[..., -1:], alpha(case.depth))

    plain = stored_samples("png", (results / f"plain{case.grey:d}.png").read_bytes()).astype(float)
    if case.grey:  # what makes one channel of three (ITU-R BT.601)
        plain = plain @ np.array([0.299, 0.587, 0.114])[:, None]
    colours = samples[..., : 1 if case.grey else 3] / (2**case.depth - 1)
    apart = np.abs(out_of_profile(case, colours) * 255 - plain)
    lossless = case.kind in ("png", "tif", "bmp", "webp")
    if lossless and case.depth == 16:
        assert apart.max() < 1.2
    elif lossless:
        assert apart.max() <= (4 if case.profiled else 0.51 if case.grey else 0)
    assert apart.mean() < {"jpg": 2.5, "avif": 8}.get(case.kind, 0.6)

    assert blocks.icc == given.icc
    if case.orientation is None:
        assert (blocks.exif, blocks.xmp) == (None, None)
        return
    tags = exif_tags(blocks.exif)
    assert tags[271] == "Maker"
    assert tags.get(274, 1) == 1
    assert case.kind == "tif" or tags[0x829A] == (1, 250)
    assert b'tiff:Make="Maker"' in blocks.xmp
    assert b"Orientation" not in blocks.xmp
