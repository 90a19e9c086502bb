"""A `Picture` -> the bytes of a file, with everything of the source that the format has room for."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageColor

from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.carrying import luma, own_colours, to_levels
from cyclerdm_cli.pictures.colour import colour_space, from_srgb
from cyclerdm_cli.pictures.exif import HEADER, fitted
from cyclerdm_cli.pictures.formats import BY_NAME, DEPTH_CHOICES, FORMAT_CHOICES, Format
from cyclerdm_cli.pictures.jpeg_quality import tables_of
from cyclerdm_cli.pictures.jpeg_segments import COMMENT, in_whole_dots, with_segments
from cyclerdm_cli.pictures.many_bits import encode_heic
from cyclerdm_cli.pictures.metadata import INCH
from cyclerdm_cli.pictures.picture import Beside, Picture, Pixels, to_depth
from cyclerdm_cli.pictures.png_chunks import raw_profile_chunk, with_chunks, xmp_chunk
from cyclerdm_cli.pictures.png_writing import encode_png16
from cyclerdm_cli.pictures.tiff_writing import encode_tiff

DEFAULT_QUALITY = {"jpg": 95, "webp": 92, "avif": 85, "heic": 90}
JPEG_LEAST_QUALITY = 90
"""What a result is written with though its source was poorer: the detail that was restored shall survive."""
AVIF_SPEED = 8  # Pillow's 6 takes three times as long for files one hundredth smaller
JPEG_EXIF_BYTES = 65533  # a JPEG segment's length is a 16-bit number that counts itself
JPEG_XMP_BYTES = 65504


@dataclass(frozen=True)
class WriteOptions:
    """How results are written; checked once, here."""

    format: str = "keep"
    """One of `FORMAT_CHOICES`, or "bmp" and "heic" where the output's own name says so."""
    quality: int | None = None
    """1 to 100; None: a JPEG's own or 90, whichever is more; a lossless WebP stays so; else a good default."""
    depth: str | int = "keep"
    """Bits a channel: "keep", 8 or 16."""
    strip_metadata: bool = False
    """Leave EXIF, XMP and ICC profile out; the pixels are then sRGB, so that colours stay."""
    background: str = "white"
    """What transparent pictures are laid on in formats without transparency: a colour as CSS writes it."""

    def __post_init__(self) -> None:
        if self.format != "keep" and self.format not in BY_NAME:
            raise UsageError(
                f"format {self.format!r} is not written", hint=f"one of: {', '.join(FORMAT_CHOICES)}"
            )
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"quality {self.quality} is not between 1 and 100")
        if self.depth not in DEPTH_CHOICES:
            raise UsageError(f"depth {self.depth!r} is none of keep, 8, 16")
        try:
            ImageColor.getrgb(self.background)
        except ValueError as error:
            raise UsageError(
                f"background {self.background!r} is no colour", hint="a name such as white, or #rrggbb"
            ) from error


def encode(picture: Picture, options: WriteOptions) -> bytes:
    """Return the bytes of a file of that picture.

    Raises:
        PictureError: the format cannot hold it (too many pixels a side), or memory runs out.
    """
    target = _target(picture, options)
    height, width = picture.size
    if target.longest_side and max(height, width) > target.longest_side:
        raise PictureError(
            f"{width} x {height} pixels do not fit: {target.title} holds {target.longest_side} a side at most"
        )
    try:
        return _ENCODERS[target.name](picture, options)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(f"not enough memory to write it as {target.title}") from error
    except Exception as error:  # as varied as in reading: plugins raise what they like
        words = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"cannot be written as {target.title}: {words}") from error


def encode_frames(frames: Sequence[Picture], options: WriteOptions, milliseconds: int) -> bytes:
    """Return the bytes of an animated WebP that shows pictures of one size in turn, without end.

    Args:
        options: with "webp" for a format.
        milliseconds: how long each is shown.

    Raises:
        PictureError: WebP cannot hold pictures of that size, or memory runs out.
    """
    first = frames[0]
    target = _target(first, options)
    if target.longest_side and max(first.size) > target.longest_side:
        raise PictureError(f"{first.size[1]} x {first.size[0]} pixels do not fit into an animated WebP")
    blocks, stream = _blocks(first, options).as_given(), BytesIO()
    images = [_image(_samples(frame, options)) for frame in frames]
    try:
        images[0].save(
            stream, format="WEBP", save_all=True, append_images=images[1:], duration=milliseconds, loop=0,
            quality=_quality("webp", options), **blocks,
        )  # fmt: skip
    except (OSError, ValueError, MemoryError) as error:
        raise PictureError(f"cannot be written as an animated WebP: {error}") from error
    return stream.getvalue()


def notes_on_writing(picture: Picture, options: WriteOptions) -> tuple[str, ...]:
    """Return what the file will not keep of the picture, a line each, without writing it."""
    target = _target(picture, options)
    notes = []
    if picture.alpha is not None and not target.alpha:
        notes.append(f"{target.title} holds no transparency; laid on {options.background}")
    if picture.floating and not _keeps_floats(picture, options):
        notes.append("floating point is written as whole numbers; what is beyond white is cut off")
    wants_sixteen = options.depth == 16 or (options.depth == "keep" and picture.depth == 16)
    if wants_sixteen and target.bits < 16:
        notes.append(f"{target.title} is written with {target.bits} bits a channel")
    if options.strip_metadata:
        return tuple(notes)
    lost = _lost_beside(picture, target)
    if target.name == "jpg":
        exif, tags = _jpeg_exif(picture.exif)
        lost += ["EXIF"] if picture.exif and exif is None else [f"EXIF tag {tag}" for tag in tags]
        lost += ["XMP"] if len(picture.xmp or b"") > JPEG_XMP_BYTES else []
    if lost:
        notes.append(f"{target.title} has no room for its {' and '.join(lost)}; left out")
    return tuple(notes)


def _lost_beside(picture: Picture, target: Format) -> list[str]:
    """Return what a format never has room for, of what stands beside the pixels."""
    beside = picture.beside
    texts = any(name in (b"tEXt", b"zTXt", b"iTXt") for name, _ in beside.chunks)
    comments = any(marker == COMMENT for marker, _ in beside.segments)
    kept: dict[str, tuple[object, object]] = {
        "EXIF": (picture.exif, target.metadata),
        "XMP": (picture.xmp, target.metadata),
        "ICC profile": (picture.icc_profile, target.metadata),
        "IPTC": (beside.photoshop, target.name in ("jpg", "png", "tiff")),
        "PNG texts": (texts, target.name == "png"),
        "comment": (comments, target.name == "jpg"),
        "further JPEG segments": (len(beside.segments) > comments, target.name == "jpg"),
        "resolution": (beside.resolution, target.name in ("jpg", "png", "tiff", "bmp") or picture.exif),
    }
    return [word for word, (there, room) in kept.items() if there and not room]


def _target(picture: Picture, options: WriteOptions) -> Format:
    return BY_NAME[picture.format if options.format == "keep" else options.format]


@dataclass(frozen=True)
class _Blocks:
    """The metadata that goes into the file."""

    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    beside: Beside = field(default_factory=Beside)

    def as_given(self) -> dict[str, Any]:
        """Only what there is, under Pillow's names."""
        blocks = {"icc_profile": self.icc_profile, "exif": self.exif, "xmp": self.xmp}
        return {name: block for name, block in blocks.items() if block}


def _blocks(picture: Picture, options: WriteOptions) -> _Blocks:
    target = _target(picture, options)
    if options.strip_metadata or not target.metadata:
        beside = Beside() if options.strip_metadata else picture.beside
        return _Blocks(beside=beside)
    exif = _jpeg_exif(picture.exif)[0] if target.name == "jpg" else picture.exif
    said = picture.said_by == "exif" and exif is not None
    said |= picture.said_by == "floats" or (picture.said_by == "chunks" and target.name == "png")
    return _Blocks(None if said else picture.icc_profile, exif, picture.xmp, picture.beside)


def _profile(picture: Picture, options: WriteOptions) -> bytes | None:
    """Return the profile of the colours that the file shall hold; None for sRGB."""
    keeps = _target(picture, options).metadata and not options.strip_metadata
    understood = picture.said_by != "floats" or _keeps_floats(picture, options)
    return picture.icc_profile if keeps and understood else None


def _keeps_floats(picture: Picture, options: WriteOptions) -> bool:
    """Tell whether samples in floating point are written as such."""
    plain = options.depth == "keep" and not options.strip_metadata
    return picture.floating and plain and _target(picture, options).name == "tiff"


def _samples(picture: Picture, options: WriteOptions) -> Pixels:
    """Return (H, W, C) samples as the file shall hold them: C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA."""
    target = _target(picture, options)
    pixels, alpha = picture.pixels, picture.alpha if target.alpha else None
    profile = _profile(picture, options)
    if profile and picture.own is not None:
        pixels = own_colours(picture, profile)
    elif profile:
        pixels = from_srgb(luma(pixels) if picture.grey else pixels, colour_space(profile))
    if _keeps_floats(picture, options):
        return _with_alpha(pixels[..., : 1 if picture.grey else 3], alpha)
    pixels = to_levels(pixels)
    if picture.grey:
        pixels = luma(pixels)[..., : 1 if target.grey else 3]
    if picture.alpha is not None and alpha is None:
        pixels = _laid_on(pixels, picture, options.background)
    wanted = picture.depth if options.depth == "keep" else int(options.depth)
    depth = wanted if target.bits > 8 else 8
    pixels = to_depth(pixels, depth)
    return pixels if alpha is None else np.dstack((pixels, to_depth(alpha, depth)))


def _with_alpha(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Return floating-point samples with their alpha, uint16, as the last."""
    if alpha is None:
        return pixels
    return np.dstack((pixels, (alpha.astype(np.float32) / 65535).astype(pixels.dtype)))


def _laid_on(pixels: Pixels, picture: Picture, background: str) -> Pixels:
    """Return (H, W, C) pixels upon a colour, by the picture's alpha; what was filled in is there to be seen."""
    alpha = picture.alpha
    assert alpha is not None
    most = np.iinfo(pixels.dtype).max
    red, green, blue = (
        np.uint32(level) * np.uint32(most // 255) for level in ImageColor.getrgb(background)[:3]
    )
    colour = np.array((red, green, blue), pixels.dtype)
    below = luma(colour.reshape(1, 1, 3))[0, 0, :1] if pixels.shape[2] == 1 else colour
    result = np.empty_like(pixels)
    for row in range(len(pixels)):  # a row at a time: the products need 64 bits
        opaque = to_depth(alpha[row], 8 * pixels.itemsize).astype(np.uint64)[:, None]
        if picture.filled is not None:
            opaque[picture.filled[row]] = most
        mixed = pixels[row] * opaque + below.astype(np.uint64) * (most - opaque) + most // 2
        result[row] = (mixed // most).astype(pixels.dtype)
    return result


def to_image(picture: Picture) -> Image.Image:
    """Return what a file without loss would hold of a picture, as an image: L, LA, RGB, RGBA, or I;16 of grey."""
    return _image(_samples(picture, WriteOptions("tiff")))


def _image(samples: Pixels) -> Image.Image:
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _save(samples: Pixels, pillow_format: str, **parameters: Any) -> bytes:
    stream = BytesIO()
    _image(samples).save(stream, format=pillow_format, **parameters)
    return stream.getvalue()


def _quality(target: str, options: WriteOptions) -> int:
    return options.quality or DEFAULT_QUALITY[target]


def _jpg(picture: Picture, options: WriteOptions) -> bytes:
    found = _blocks(picture, options)
    blocks = found.as_given()
    if len(blocks.get("xmp", b"")) > JPEG_XMP_BYTES:
        del blocks["xmp"]
    if options.quality is None and picture.quantisation:
        how: dict[str, Any] = {"qtables": _at_least(JPEG_LEAST_QUALITY, picture.quantisation)}
        if picture.subsampling is not None:
            how["subsampling"] = picture.subsampling
    else:
        how = {"quality": _quality("jpg", options)}
        if how["quality"] >= 90:
            how["subsampling"] = 0  # whoever asks for this much wants whole colours too
    if found.beside.resolution:
        how["dpi"] = found.beside.resolution
    data = _save(_samples(picture, options), "JPEG", progressive=picture.progressive, **how, **blocks)
    data = in_whole_dots(data, found.beside.resolution)
    return with_segments(data, list(found.beside.segments), found.beside.photoshop)


def _at_least(quality: int, tables: dict[int, list[int]]) -> list[list[int]]:
    """Return quantisation tables as fine as a JPEG's own and as those of a quality, whichever are finer."""
    luma_table, chroma_table = tables_of(quality)
    return [
        [min(pair) for pair in zip(table, chroma_table if number else luma_table, strict=True)]
        for number, table in sorted(tables.items())
    ]


def _jpeg_exif(block: bytes | None) -> tuple[bytes | None, list[int]]:
    """Return what a JPEG has room for of EXIF, and the tags that are left out for it."""
    if block is None or len(block) <= JPEG_EXIF_BYTES:
        return block, []
    try:
        return fitted(block, JPEG_EXIF_BYTES)
    except (ValueError, struct.error):
        return None, []


def _png(picture: Picture, options: WriteOptions) -> bytes:
    samples = _samples(picture, options)
    data = encode_png16(samples) if samples.dtype == np.uint16 else _save(samples, "PNG")
    return with_chunks(data, list(_png_chunks(picture, _blocks(picture, options))))


def _png_chunks(picture: Picture, blocks: _Blocks) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks beside the pixels: the source's own as they were, and what other formats keep elsewhere."""
    beside = blocks.beside
    for name, data in beside.chunks:
        if name != b"iCCP" or picture.icc_profile:
            yield name, data
    if blocks.icc_profile:
        yield b"iCCP", b"ICC Profile\0\0" + zlib.compress(blocks.icc_profile)
    if beside.resolution and not beside.chunks:
        across, down = (round(dots / INCH) for dots in beside.resolution)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if blocks.exif:
        yield b"eXIf", blocks.exif.removeprefix(HEADER)
    if blocks.xmp:
        yield xmp_chunk(blocks.xmp)
    if beside.photoshop:
        yield raw_profile_chunk("8bim", beside.photoshop)


def _webp(picture: Picture, options: WriteOptions) -> bytes:
    blocks = _blocks(picture, options).as_given()
    if options.quality is None and picture.lossless and picture.format == "webp":
        return _save(_samples(picture, options), "WEBP", lossless=True, exact=True, **blocks)
    return _save(_samples(picture, options), "WEBP", quality=_quality("webp", options), exact=True, **blocks)


def _avif(picture: Picture, options: WriteOptions) -> bytes:
    quality = _quality("avif", options)
    sampling = "4:4:4" if quality >= 80 else "4:2:0"
    blocks = _blocks(picture, options).as_given()
    return _save(
        _samples(picture, options), "AVIF", quality=quality, subsampling=sampling, speed=AVIF_SPEED, **blocks
    )


def _tiff(picture: Picture, options: WriteOptions) -> bytes:
    blocks = _blocks(picture, options)
    return encode_tiff(_samples(picture, options), blocks.beside, **blocks.as_given())


def _bmp(picture: Picture, options: WriteOptions) -> bytes:
    resolution = _blocks(picture, options).beside.resolution
    return _save(_samples(picture, options), "BMP", **({"dpi": resolution} if resolution else {}))


def _heic(picture: Picture, options: WriteOptions) -> bytes:
    try:
        import pillow_heif  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise PictureError("HEIC needs pillow-heif", hint="pip install pillow-heif") from error
    pillow_heif.register_heif_opener()
    samples, quality, blocks = (
        _samples(picture, options),
        _quality("heic", options),
        _blocks(picture, options).as_given(),
    )
    if samples.dtype == np.uint16:
        return encode_heic(samples, quality, blocks)
    return _save(samples, "HEIF", quality=quality, **blocks)


_ENCODERS: dict[str, Callable[[Picture, WriteOptions], bytes]] = {
    "jpg": _jpg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
    "tiff": _tiff,
    "bmp": _bmp,
    "heic": _heic,
}
