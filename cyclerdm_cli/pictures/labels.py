"""Words drawn above pictures: bands of text in the type and depth of the picture that they stand on."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cyclerdm_cli.pictures.picture import Pixels

SMALLEST, LARGEST = 13, 400
"""Height of letters in pixels."""
SHARE = 36
"""Letters are this part of a picture's longer side: what fills a screen or a thumbnail can still be read."""
FITTING = 8
"""Letters' heights in the width of a column at least, so that a word such as "before" fits."""
GROUND, DIM, BRIGHT = 0.13, 0.45, 1.0
"""Of a band, of a label that does not count now, and of one that does: parts of white as a screen shows it."""
NAME_SIZE = 0.8
"""Height of a name's letters, as a part of those of the word above it."""
OTHER_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "arial.ttf",
)
"""Looked for on the machine where Pillow's own font, which has the letters of ASCII, lacks some of a name."""

Font = Any


@dataclass(frozen=True)
class Label:
    """A word, and below it a file's name, over one column of a picture."""

    word: str
    name: str
    left: int
    right: int
    """The column, in pixels; the text is at its left, or with `at_right` at its right."""
    at_right: bool = False
    dim: bool = False


def letter_height(height: int, width: int, column: int) -> int:
    """Return how high letters should be over a picture, in pixels.

    Args:
        height, width: of the whole picture.
        column: width that one label may take.
    """
    wanted = min(max(height, width) // SHARE, column // FITTING)
    return max(SMALLEST, min(wanted, LARGEST))


def label_band(width: int, letters: int, labels: Sequence[Label], dtype: np.dtype[Any]) -> Pixels:
    """Return a band of labels, (H, width, 3): a word and below it a name each."""
    band, draw = _empty(width, round(2.6 * letters))
    for label in labels:
        for text, size, top in ((label.word, letters, 0.25), (label.name, NAME_SIZE * letters, 1.4)):
            _put(draw, text, round(size), round(top * letters), letters // 2, label)
    return _levels(band, dtype)


def caption_band(width: int, letters: int, captions: Sequence[Label], dtype: np.dtype[Any]) -> Pixels:
    """Return a band with one line of words, (H, width, 3)."""
    band, draw = _empty(width, round(1.8 * letters))
    for caption in captions:
        _put(draw, caption.word, letters, round(0.3 * letters), letters // 2, caption)
    return _levels(band, dtype)


def level(part: float, dtype: np.dtype[Any]) -> Any:
    """Return a grey, given as a part of white, in a picture's type; floating-point samples are light."""
    return part**2.2 if dtype.kind == "f" else round(part * np.iinfo(dtype).max)


def _empty(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    band = Image.new("L", (width, height), round(255 * GROUND))
    return band, ImageDraw.Draw(band)


def _put(draw: ImageDraw.ImageDraw, text: str, size: int, top: int, margin: int, label: Label) -> None:
    room = label.right - label.left - 2 * margin
    font, text = _font_for(text, size)
    text = _shortened(text, font, room)
    x = label.right - margin - font.getlength(text) if label.at_right else label.left + margin
    draw.text((round(x), top), text, fill=round(255 * (DIM if label.dim else BRIGHT)), font=font)


def _shortened(text: str, font: Font, room: int) -> str:
    """Return a text that fits, its middle left out where it must be: the end says what kind of file it is."""
    if font.getlength(text) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
        if font.getlength(cut) <= room:
            return cut
    return ""


def _font_for(text: str, size: int) -> tuple[Font, str]:
    """Return a font that has all letters of a text; where none has, the text without what no font has."""
    own = ImageFont.load_default(size)
    if _has(own, text):
        return own, text
    for name in OTHER_FONTS:
        font = _font_of_machine(name, size)
        if font is not None and _has(font, text):
            return font, text
    plain = unicodedata.normalize("NFKD", text)
    bare = "".join(one for one in plain if not unicodedata.combining(one))
    return own, "".join(one if _has(own, one) else "?" for one in bare)


@functools.lru_cache(maxsize=16)
def _font_of_machine(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _has(font: Font, text: str) -> bool:
    """Tell whether a font has a picture for each letter, other than the one for those that it lacks."""
    missing = bytes(font.getmask("\uffff"))
    return all(letter == " " or bytes(font.getmask(letter)) != missing for letter in set(text))


def _levels(band: Image.Image, dtype: np.dtype[Any]) -> Pixels:
    """Return a band of greys in a picture's type, with three channels."""
    table = np.array([level(grey / 255, dtype) for grey in range(256)], dtype)
    return np.repeat(table[np.asarray(band)][..., None], 3, axis=2)
