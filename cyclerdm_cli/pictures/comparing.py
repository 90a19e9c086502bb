"""The file that `--compare` writes: before and after in one picture, in the colours of the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from cyclerdm_cli.pictures.carrying import own_colours, to_levels
from cyclerdm_cli.pictures.colour import colour_space, to_srgb
from cyclerdm_cli.pictures.exif import HEADER
from cyclerdm_cli.pictures.layouts import (
    Names,
    divided,
    framed,
    place_of_detail,
    reduced,
    side_by_side,
    with_detail,
)
from cyclerdm_cli.pictures.picture import Picture, Pixels
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, encode_frames

FRAME_MILLISECONDS = 1000
"""How long each of the two frames of an animated comparison is shown."""
FRAME_SIDE = 2560
"""Longer side in pixels, at most, of the pictures in an animated comparison."""
DESCRIPTION = 270
"""EXIF's tag for what a picture shows."""


def encode_comparison(
    kind: str, before: Pixels, after: Picture, names: Names, options: WriteOptions
) -> bytes:
    """Return the bytes of a picture that compares; both names stand in its EXIF.

    Args:
        kind: one of `formats.COMPARE_CHOICES`.
        before: (H, W, 3) uint8 or uint16, what `after.pixels` were before.
        options: how it is written; an animated one is WebP whatever the format there.

    Raises:
        PictureError: as `encode` does.
    """
    said = replace(after, exif=_described(after.exif, names))
    if kind == "animated":
        frames = (
            _drawn(before, said, lambda pixels, _: framed(reduced(pixels, FRAME_SIDE), names, after=False)),
            _drawn(before, said, lambda _, pixels: framed(reduced(pixels, FRAME_SIDE), names, after=True)),
        )
        return encode_frames(frames, replace(options, format="webp"), FRAME_MILLISECONDS)
    return encode(_drawn(before, said, _layout(kind, before, after.pixels, names)), options)


def _layout(kind: str, before: Pixels, after: Pixels, names: Names) -> Callable[[Pixels, Pixels], Pixels]:
    """Return what lays out before and after, in whatever colours they are given to it."""
    if kind == "side":
        return side_by_side
    if kind == "detail":
        place = place_of_detail(before, after)
        return lambda first, second: with_detail(first, second, names, place)
    return lambda first, second: divided(first, second, names, leaning=kind == "diagonal")


def _drawn(before: Pixels, after: Picture, lay_out: Callable[[Pixels, Pixels], Pixels]) -> Picture:
    """Return the picture that a layout makes, in the colours of the file: those outside sRGB are not clipped."""
    if after.own is None or after.icc_profile is None:
        return replace(after, pixels=lay_out(before, after.pixels), own=None, alpha=None, filled=None)
    own = lay_out(after.own, own_colours(after, after.icc_profile))
    pixels = to_srgb(to_levels(own), colour_space(after.icc_profile))
    return replace(after, pixels=pixels, own=own, alpha=None, filled=None)


def _described(block: bytes | None, names: Names) -> bytes:
    """Return EXIF in which both names stand beside what else it says."""
    said = f"before: {names.before}, after: {names.after}".encode("utf-8", "backslashreplace")
    exif = Image.Exif()
    if block is not None:
        try:
            exif.load(block)
            exif[DESCRIPTION] = said
            return HEADER + exif.tobytes().removeprefix(HEADER)
        except Exception:  # damaged as only cameras can: the comparison does without it
            exif = Image.Exif()
    exif[DESCRIPTION] = said
    return HEADER + exif.tobytes().removeprefix(HEADER)
