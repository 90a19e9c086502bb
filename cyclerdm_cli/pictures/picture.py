"""One picture in memory, with everything that its file said and that the result should say again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""(H, W, 3) or (H, W), uint8 or uint16."""
Mode = Literal["grey", "grey+alpha", "rgb", "rgba", "palette", "cmyk"]


SaidBy = Literal["profile", "chunks", "exif", "boxes", "floats"]
"""What says what a file's colours mean: a profile, a PNG's chunks, the camera's EXIF, boxes as in AVIF, or that
samples in floating point are linear."""


@dataclass(frozen=True)
class Beside:
    """What a file says beside its pixels, but for what every format knows."""

    resolution: tuple[float, float] | None = None
    """Dots per inch, across and down."""
    photoshop: bytes | None = None
    """Photoshop's blocks, IPTC among them."""
    segments: tuple[tuple[int, bytes], ...] = ()
    """A JPEG's comments and further segments."""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    """A PNG's texts and further chunks."""

    def turned(self) -> Beside:
        """Return what is true once the picture lies on its other side."""
        return replace(self, resolution=self.resolution and self.resolution[::-1])


NOTHING = Beside()


@dataclass(frozen=True)
class Picture:
    """A picture as the network wants it, and beside it what the network does not see."""

    pixels: Pixels
    """(H, W, 3) uint8 or uint16, RGB, sRGB-encoded, upright; three equal channels for grey."""
    own: Pixels | None = None
    """The same in the file's own colours, as they were read, float16 and float32 too; None where those are sRGB."""
    filled: NDArray[np.bool_] | None = None
    """(H, W), where `pixels` were invented and owe nothing to `own`."""
    mode: Mode = "rgb"
    """How the source file kept its colours."""
    alpha: Pixels | None = None
    """(H, W), opacity as in the file: 0 is transparent, the type's maximum opaque."""
    icc_profile: bytes | None = None
    """The file's own profile; `pixels` have left it for sRGB, and writing brings back what changed in them."""
    said_by: SaidBy = "profile"
    """What of the file said what `icc_profile` says; only what said it is written again, where it can be."""
    exif: bytes | None = None
    """Without the orientation, which `pixels` already follow; begins with `Exif\\0\\0`."""
    xmp: bytes | None = None
    beside: Beside = NOTHING
    format: str = "png"
    """A name of `formats.FORMATS`."""
    quantisation: dict[int, list[int]] | None = None
    """A JPEG's quantisation tables: the exact quality that it was saved with."""
    subsampling: int | None = None
    """A JPEG's chroma subsampling in Pillow's count: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0."""
    progressive: bool = False
    """Whether a JPEG was written coarse first."""
    lossless: bool = False
    """Whether a WebP file kept its pixels without loss, so that the result does."""
    notes: tuple[str, ...] = ()
    """What people should be told about the reading, a line each."""

    @property
    def depth(self) -> Literal[8, 16]:
        """Bits a channel."""
        return 16 if self.pixels.dtype == np.uint16 else 8

    @property
    def floating(self) -> bool:
        """Whether the file holds floating-point samples."""
        return self.own is not None and self.own.dtype.kind == "f"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def grey(self) -> bool:
        """Whether the source has no colours, so that the result shall have none."""
        return self.mode in ("grey", "grey+alpha")

    def rows(self, rows: slice) -> Picture:
        """Return those rows of the picture, in the same memory."""
        return replace(
            self,
            pixels=self.pixels[rows],
            own=None if self.own is None else self.own[rows],
            filled=None if self.filled is None else self.filled[rows],
            alpha=None if self.alpha is None else self.alpha[rows],
        )

    def with_pixels(self, pixels: Pixels, filled: NDArray[np.bool_] | None = None) -> Picture:
        """Return the same picture with other pixels, (H, W, 3) uint8 or uint16.

        Alpha and the file's own colours stay where the size does; a picture of another size (a comparison, say)
        has none.

        Args:
            filled: (H, W), where the pixels were invented.
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels must be (H, W, 3) uint8 or uint16, not {pixels.shape} {pixels.dtype}")
        if pixels.shape[:2] != self.size:
            return replace(self, pixels=pixels, own=None, alpha=None, filled=None)
        return replace(self, pixels=pixels, filled=filled)


def to_depth(samples: Pixels, depth: int) -> Pixels:
    """Return uint8 or uint16 samples with 8 or 16 bits, rounded; the same array where nothing changes.

    A table does the rounding: no floating-point copy of the picture is made.
    """
    if depth == 16 and samples.dtype == np.uint8:
        return samples.astype(np.uint16) * np.uint16(257)
    if depth == 8 and samples.dtype == np.uint16:
        rounded = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
        return rounded[samples]
    return samples
