"""One encoder a format: a `Picture` -> the bytes of a file, written into a stream."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.exif import HEADER
from cyclerdm_cli.pictures.file_metadata import JPEG_XMP_BYTES, FileMetadata, metadata_of
from cyclerdm_cli.pictures.jpeg_quality import tables_of
from cyclerdm_cli.pictures.jpeg_segments import in_whole_dots, with_segments
from cyclerdm_cli.pictures.jpeg_strips import jpeg_in_strips
from cyclerdm_cli.pictures.many_bits import encode_heic
from cyclerdm_cli.pictures.metadata import INCH
from cyclerdm_cli.pictures.picture import Picture, Pixels
from cyclerdm_cli.pictures.png_chunks import raw_profile_chunk, with_chunks, xmp_chunk
from cyclerdm_cli.pictures.png_writing import write_png
from cyclerdm_cli.pictures.samples import as_image, bands_of, samples_of
from cyclerdm_cli.pictures.tiff_writing import write_tiff
from cyclerdm_cli.pictures.write_options import WriteOptions

DEFAULT_QUALITY = {"jpg": 95, "webp": 92, "avif": 85, "heic": 90}
"""1 to 100, by format, where neither the options nor the source says another."""
JPEG_LEAST_QUALITY = 90
"""What a result is written with though its source was poorer: the detail that was restored shall survive."""
LARGE = 64_000_000
"""Pixels beyond which JPEG, and PNG of 8 bits, are written by parts, with the same pixels but other bytes."""
AVIF_SPEED = 8
"""0, the smallest files, to 10; Pillow's 6 takes three times as long for files one hundredth smaller."""


def _encode_jpg(picture: Picture, options: WriteOptions, stream: BinaryIO) -> None:
    found = metadata_of(picture, options)
    blocks = found.for_pillow()
    if len(blocks.get("xmp", b"")) > JPEG_XMP_BYTES:
        del blocks["xmp"]
    if options.quality is None and picture.quantisation:
        how: dict[str, Any] = {"qtables": _take_finer_tables(JPEG_LEAST_QUALITY, picture.quantisation)}
        if picture.subsampling is not None:
            how["subsampling"] = picture.subsampling
    else:
        how = {"quality": quality_for("jpg", options)}
        if how["quality"] >= 90:
            how["subsampling"] = 0  # whoever asks for this much wants whole colours too
    if found.beside.resolution:
        how["dpi"] = found.beside.resolution
    if _is_large(picture) and not picture.progressive:
        parts = jpeg_in_strips(bands_of(picture, options), picture.size[0], how, blocks)
    else:
        samples = samples_of(picture, options)
        parts = iter([_with_pillow(samples, "JPEG", progressive=picture.progressive, **how, **blocks)])
    data = in_whole_dots(next(parts), found.beside.resolution)
    stream.write(with_segments(data, list(found.beside.segments), found.beside.photoshop))
    stream.writelines(parts)


def _take_finer_tables(quality: int, tables: dict[int, list[int]]) -> list[list[int]]:
    """Return quantisation tables as fine as a JPEG's own and as those of a quality, whichever are finer."""
    luma_table, chroma_table = tables_of(quality)
    return [
        [min(pair) for pair in zip(table, chroma_table if number else luma_table, strict=True)]
        for number, table in sorted(tables.items())
    ]


def _encode_png(picture: Picture, options: WriteOptions, stream: BinaryIO) -> None:
    chunks = list(_png_chunks(picture, metadata_of(picture, options)))
    bands = bands_of(picture, options)
    first = next(bands)
    if first.dtype == np.uint16 or _is_large(picture):
        write_png(stream, chain([first], bands), picture.size[0], chunks)
    else:
        stream.write(with_chunks(_with_pillow(samples_of(picture, options), "PNG"), chunks))


def _png_chunks(picture: Picture, blocks: FileMetadata) -> Iterator[tuple[bytes, bytes]]:
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


def _encode_webp(picture: Picture, options: WriteOptions, stream: BinaryIO) -> None:
    blocks = metadata_of(picture, options).for_pillow()
    if options.quality is None and picture.lossless and picture.format == "webp":
        how: dict[str, Any] = {"lossless": True}
    else:
        how = {"quality": quality_for("webp", options)}
    stream.write(_with_pillow(samples_of(picture, options), "WEBP", exact=True, **how, **blocks))


def _encode_avif(picture: Picture, options: WriteOptions, stream: BinaryIO) -> None:
    quality = quality_for("avif", options)
    sampling = "4:4:4" if quality >= 80 else "4:2:0"
    blocks = metadata_of(picture, options).for_pillow()
    how = {"quality": quality, "subsampling": sampling, "speed": AVIF_SPEED}
    stream.write(_with_pillow(samples_of(picture, options), "AVIF", **how, **blocks))


def _encode_tiff(picture: Picture, options: WriteOptions, stream: BinaryIO) -> None:
    blocks = metadata_of(picture, options)
    height = picture.size[0]
    write_tiff(stream, bands_of(picture, options), height, blocks.beside, **blocks.for_pillow())


def _encode_bmp(picture: Picture, options: WriteOptions, stream: BinaryIO) -> None:
    resolution = metadata_of(picture, options).beside.resolution
    how = {"dpi": resolution} if resolution else {}
    stream.write(_with_pillow(samples_of(picture, options), "BMP", **how))


def _encode_heic(picture: Picture, options: WriteOptions, stream: BinaryIO) -> None:
    try:
        import pillow_heif  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise PictureError("HEIC needs pillow-heif", hint="pip install pillow-heif") from error
    pillow_heif.register_heif_opener()
    samples, quality, blocks = (
        samples_of(picture, options),
        quality_for("heic", options),
        metadata_of(picture, options).for_pillow(),
    )
    if samples.dtype == np.uint16:
        stream.write(encode_heic(samples, quality, blocks))
    else:
        stream.write(_with_pillow(samples, "HEIF", quality=quality, **blocks))


def _is_large(picture: Picture) -> bool:
    """Tell whether a picture is written by parts where that gives other bytes."""
    height, width = picture.size
    return height * width > LARGE


def _with_pillow(samples: Pixels, pillow_format: str, **parameters: Any) -> bytes:
    stream = BytesIO()
    as_image(samples).save(stream, format=pillow_format, **parameters)
    return stream.getvalue()


def quality_for(target: str, options: WriteOptions) -> int:
    """Return the quality, 1 to 100, that a format is written with."""
    return options.quality or DEFAULT_QUALITY[target]


ENCODERS: dict[str, Callable[[Picture, WriteOptions, BinaryIO], None]] = {
    "jpg": _encode_jpg,
    "png": _encode_png,
    "webp": _encode_webp,
    "avif": _encode_avif,
    "tiff": _encode_tiff,
    "bmp": _encode_bmp,
    "heic": _encode_heic,
}
"""Of each format, by its name in `formats`."""
