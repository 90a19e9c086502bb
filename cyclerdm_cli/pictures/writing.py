"""A `Picture` -> the bytes of a file, with everything of the source that the format has room for."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.encoders import ENCODERS, quality_for
from cyclerdm_cli.pictures.file_metadata import JPEG_XMP_BYTES, exif_for_jpeg, metadata_of
from cyclerdm_cli.pictures.formats import Format
from cyclerdm_cli.pictures.jpeg_segments import COMMENT
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.samples import as_image, samples_of
from cyclerdm_cli.pictures.write_options import WriteOptions, format_of, keeps_floats


def encode(picture: Picture, options: WriteOptions) -> bytes:
    """Return the bytes of a file of that picture. Raises as `encode_into`."""
    stream = BytesIO()
    encode_into(stream, picture, options)
    return stream.getvalue()


def encode_into(stream: BinaryIO, picture: Picture, options: WriteOptions) -> None:
    """Write a file of that picture into an empty stream, in pieces where the format allows it.

    Raises:
        PictureError: the format cannot hold it (too many pixels a side), or memory runs out.
        OSError: the stream cannot take it.
    """
    target = format_of(picture, options)
    height, width = picture.size
    if target.longest_side and max(height, width) > target.longest_side:
        raise PictureError(
            f"{width} x {height} pixels do not fit: {target.title} holds {target.longest_side} a side at most"
        )
    try:
        ENCODERS[target.name](picture, options, stream)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(f"not enough memory to write it as {target.title}") from error
    except Exception as error:  # as varied as in reading: plugins raise what they like
        if isinstance(error, OSError) and error.errno is not None:  # the system's own
            raise
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
    target = format_of(first, options)
    if target.longest_side and max(first.size) > target.longest_side:
        raise PictureError(f"{first.size[1]} x {first.size[0]} pixels do not fit into an animated WebP")
    blocks, stream = metadata_of(first, options).for_pillow(), BytesIO()
    images = [as_image(samples_of(frame, options)) for frame in frames]
    try:
        images[0].save(
            stream, format="WEBP", save_all=True, append_images=images[1:], duration=milliseconds, loop=0,
            quality=quality_for("webp", options), **blocks,
        )  # fmt: skip
    except (OSError, ValueError, MemoryError) as error:
        raise PictureError(f"cannot be written as an animated WebP: {error}") from error
    return stream.getvalue()


def notes_on_writing(picture: Picture, options: WriteOptions) -> tuple[str, ...]:
    """Return what the file will not keep of the picture, a line each, without writing it."""
    target = format_of(picture, options)
    notes = []
    if picture.alpha is not None and not target.alpha:
        notes.append(f"{target.title} holds no transparency; laid on {options.background}")
    if picture.floating and not keeps_floats(picture, options):
        notes.append("floating point is written as whole numbers; what is beyond white is cut off")
    wants_sixteen = options.depth == 16 or (options.depth == "keep" and picture.depth == 16)
    if wants_sixteen and target.bits < 16:
        notes.append(f"{target.title} is written with {target.bits} bits a channel")
    if options.strip_metadata:
        return tuple(notes)
    lost = _lost_beside(picture, target)
    if target.name == "jpg":
        exif, tags = exif_for_jpeg(picture.exif)
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
