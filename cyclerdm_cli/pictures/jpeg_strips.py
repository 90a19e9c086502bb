"""A JPEG made of strips that are encoded one by one (ITU-T T.81, annexes B and E.1.4).

Before a restart marker all that an encoder remembers is forgotten. With one behind each row of blocks, a strip's
coded rows are the same bytes wherever in a picture it stands, and what is decoded is what one piece would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any

from cyclerdm_cli.pictures.jpeg_segments import END_OF_IMAGE, walk_segments
from cyclerdm_cli.pictures.picture import Pixels
from cyclerdm_cli.pictures.samples import as_image, in_groups

STRIP_ROWS = 128
"""A multiple of eight rows of the tallest blocks, since restart markers are counted from 0 to 7."""
LAST_RESTART = b"\xff\xd7"
FRAMES = (0xC0, 0xC1)
"""Markers of the segment that says the size, in files of one scan with Huffman codes."""


def jpeg_in_strips(
    bands: Iterable[Pixels], height: int, how: Mapping[str, Any], blocks: Mapping[str, Any]
) -> Iterator[bytes]:
    """Yield the bytes of a JPEG file, those before its pixels first.

    Args:
        bands: of rows from the top, (h, W, C) uint8.
        height: rows of all of them.
        how: what Pillow is told of quality and sampling.
        blocks: what it is told of metadata.
    """
    for number, strip in enumerate(in_groups(bands, STRIP_ROWS)):
        stream, beside = BytesIO(), {} if number else blocks
        as_image(strip).save(stream, format="JPEG", restart_marker_rows=1, **how, **beside)
        data = stream.getvalue()
        start = max(end for _, _, end in walk_segments(data))
        if number == 0:
            yield _with_height(data[:start], height)
        else:
            yield LAST_RESTART
        yield data[start : -len(END_OF_IMAGE)]
    yield END_OF_IMAGE


def _with_height(head: bytes, height: int) -> bytes:
    """Return the segments before a picture's pixels, with another height."""
    place = next(start for marker, start, _ in walk_segments(head) if marker in FRAMES) + 1
    return head[:place] + height.to_bytes(2, "big") + head[place + 2 :]
