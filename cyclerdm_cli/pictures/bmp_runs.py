"""Run-length coded BMP pixels, in a time that grows with the file (Microsoft, Bitmap Compression).

Pillow's own decoder fills the rest of each row pixel by pixel: half a megabyte of file holds a core for minutes.
"""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageFile

PILLOWS, OURS = "bmp_rle", "cyclerdm_bmp_runs"
END_OF_ROW, END_OF_PICTURE, JUMP = 0, 1, 2


def with_own_decoder(image: Image.Image) -> None:
    """Let an opened BMP of the run-length coded kind be decoded here; others stay as they are."""
    tiles: list[Any] = getattr(image, "tile", [])
    if any(tile[0] == PILLOWS for tile in tiles):
        image.tile = [tile._replace(codec_name=OURS) for tile in tiles]  # type: ignore[attr-defined]


class _Decoder(ImageFile.PyDecoder):
    """What Pillow calls in place of its own."""

    _pulls_fd = True

    def decode(self, buffer: Any) -> tuple[int, int]:
        """Set all pixels of the picture. Raises ValueError where rows are missing."""
        assert self.fd is not None
        pixels = unpacked(self.fd.read(), (self.state.ysize, self.state.xsize), half_bytes=self.args[1])
        self.set_as_raw(pixels, "L" if self.mode in ("1", "L") else "P", (0, self.args[-1]))
        return -1, 0


Image.register_decoder(OURS, _Decoder)


def unpacked(codes: bytes, size: tuple[int, int], *, half_bytes: bool) -> bytes:
    """Return the palette's indices, a byte each, in the order of the file's rows.

    Args:
        codes: from the first pixel's on; what comes behind the end does not count.
        size: height and width.
        half_bytes: whether a byte stands for two pixels in turn (RLE4).

    Raises:
        ValueError: the rows end before the height.
    """
    height, width = size
    pixels, place, x, y = bytearray(height * width), 0, 0, 0
    while y < height and place + 1 < len(codes):
        count, value = codes[place : place + 2]
        place += 2
        if count == 0 and value == END_OF_PICTURE:
            break
        if count == 0 and value == END_OF_ROW:
            x, y = 0, y + 1
            continue
        if count == 0 and value == JUMP:
            x, y = min(width, x + sum(codes[place : place + 1])), y + sum(codes[place + 1 : place + 2])
            place += 2
            continue
        if count:
            run = bytes((value >> 4, value & 15)) * 128 if half_bytes else bytes((value,)) * 255
        else:
            run, place = _literal(codes, place, value, half_bytes)
            count = value
        run = run[: min(count, width - x)]
        pixels[y * width + x : y * width + x + len(run)] = run
        x += len(run)
    if y < height - 1:
        raise ValueError("the picture is truncated: rows are missing")
    return bytes(pixels)


def _literal(codes: bytes, place: int, count: int, half_bytes: bool) -> tuple[bytes, int]:
    """Return so many pixels that stand at a place as they are, and where the next code begins."""
    length = (count + 1) // 2 if half_bytes else count
    run = codes[place : place + length]
    if half_bytes:
        run = bytes(half for byte in run for half in (byte >> 4, byte & 15))
    return run, place + length + length % 2
