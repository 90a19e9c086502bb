"""What exiftool reads of sample pictures before and after their pixels were changed, and how the two differ.

    python tests/benchmarks/metadata_sweep.py FOLDER... [--exiftool PROGRAM] [-v]

Samples are in the source packages of exiftool (`t/images`) and Pillow (`Tests/images`), and in
scikit-image (`data`). Every picture is read, made a little darker and written in its own format, as restoring does.
Differences that have to be, because they would be false of the result or belong to the file and not to the picture,
are counted; all others are shown, and end the run with 1. What is no whole picture of a format read here is
counted, too.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.formats import BY_EXTENSION, RAW_EXTENSIONS
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

Field = tuple[str, str]
"""The group and name of a tag, and its value."""
OF_THE_FILE = re.compile(r"(SourceFile|ExifTool:|System:|Composite:|File:(?!Comment))")
"""Of names: what speaks of the file, and what exiftool reckons from other tags."""
OF_THE_LAYOUT = re.compile(
    r"(IFD\d+|SubIFD\d*):(Compression|BitsPerSample|Strip\w+|Tile\w+|RowsPerStrip|Predictor|SamplesPerPixel|"
    r"PhotometricInterpretation|PlanarConfiguration|Image(Width|Height)|FillOrder|SampleFormat|ExtraSamples|"
    r"ColorMap|SubfileType|OldSubfileType|PageNumber|JPEGTables|YCbCr\w+|ReferenceBlackWhite|T\dOptions|Orientation|"
    r"SMinSampleValue|SMaxSampleValue|TransferFunction|WhitePoint|PrimaryChromaticities|FreeOffsets|FreeByteCounts|"
    r"CleanFaxData|MinSampleValue|MaxSampleValue|PreviewImage\w*|OtherImage\w*|BadFaxLines|ConsecutiveBadFaxLines|JPEG\w+|JpgFromRaw\w*)|"
    r"PNG:(ImageWidth|ImageHeight|BitDepth|ColorType|Compression|Filter|Interlace|Palette|Transparency|"
    r"SignificantBits|BackgroundColor|PaletteHistogram)|"
    r"RIFF:(WebP_Flags|ImageWidth|ImageHeight|VP8Version|HorizontalScale|VerticalScale|AlphaIsUsed|Alpha\w+)|"
    r"Adobe:|JFIF:JFIFVersion|IFD0:ApplicationNotes|Meta:|Track\d+:|QuickTime:|MPF0|MPImage|APNG|PNG:Animation|"
    r"XMP-tiff:Orientation|ExifIFD:ExifImage(Width|Height)"
)
"""How the pixels lie in the file."""
GONE = {
    "thumbnail": re.compile(r"IFD1:|JFXX:"),
    "preview": re.compile(r"Photoshop:PhotoshopThumbnail"),
    "signature": re.compile(r"JUMBF:|JSON:|CBOR:"),
    "behind": re.compile(
        r"(AFCP|CanonVRD|FotoStation|PhotoMechanic|MIE\w*|Samsung|IPTC[23])(:|-)|XMP-G?\w*:"
    ),
    "smaller copies": re.compile(r"SubIFD\d*:"),
    "frame": re.compile(r"IFD[1-9]\d*:|RIFF:"),
    "of the pages": re.compile(r"IFD0:"),
    "layers": re.compile(r"IFD0:ImageSourceData|Photoshop:Layer\w+"),
    "CMYK converted": re.compile(r"IFD0:InkSet|ICC"),
    "ICC profile; left out": re.compile(r"ICC"),
    "DNG developed": re.compile(r"IFD0:|SubIFD|Canon|\w+:"),
    "RW2 developed": re.compile(r"\w+:"),
    "damaged": re.compile(r"PNG|ICC|\w+:"),
}
"""What a note says by words of it, and the names that are then missing."""
MOVED = re.compile(r"\w+:(PreviewImageStart|OtherImageStart)|(CIFF|SPIFF):")
"""Places in the file; and what exiftool reads otherwise when other segments stand before it."""
TURNED = re.compile(
    r"XMP-(mwg-rs:Region(Area|AppliedTo)|tiff:Image(Width|Height)|exif:ExifImage(Width|Height))"
)


@dataclass(frozen=True)
class Sample:
    """A picture of the sweep."""

    path: Path
    before: str
    """The name of its copy."""
    after: str
    notes: tuple[str, ...]
    resolution: bool
    """Whether it says one that means something."""
    turned: bool
    """Whether it was stored lying on its side."""
    said: bool
    """Whether something else than a profile says its colours."""


def main() -> int:
    """Sweep the folders; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--exiftool", default="exiftool")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what is refused and expected")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        samples, refused = _written(options.folders, Path(place))
        before, after = (
            fields_of(options.exiftool, place, [getattr(sample, which) for sample in samples])
            for which in ("before", "after")
        )
    strange, expected = 0, Counter[str]()
    for sample in samples:
        lines = []
        for sign, field in _differences(before[sample.before], after[sample.after]):
            if why := _reason(sign, field, sample):
                expected[why] += 1
            else:
                lines.append(f"  {sign} {field[0]}: {field[1][:70]}")
        if lines or options.verbose:
            print(f"{sample.path}: {'; '.join(sample.notes)}", *lines, sep="\n")
        strange += bool(lines)
    if options.verbose:
        print(*refused, sep="\n")
    print(
        f"{len(samples)} pictures written, {strange} with differences that have no reason, {len(refused)} refused"
    )
    print("expected:", ", ".join(f"{count} {why}" for why, count in expected.most_common()))
    return int(strange > 0)


def _written(folders: list[Path], place: Path) -> tuple[list[Sample], list[str]]:
    """Write each picture again, a little darker, beside a copy; return them, and why others were refused."""
    wanted = BY_EXTENSION.keys() | RAW_EXTENSIONS | {".mpo"}
    samples, refused = [], []
    for path in (
        one for folder in folders for one in sorted(folder.rglob("*")) if one.suffix.lower() in wanted
    ):
        try:
            picture = read_picture(path, limit_pixels=30_000_000)
            darker = np.where(picture.pixels > 0, picture.pixels - 1, 1).astype(picture.pixels.dtype)
            data = encode(picture.with_pixels(darker), WriteOptions())
        except PictureError as error:
            refused.append(f"refused: {error}")
            continue
        name = f"{len(samples):04}"
        (place / f"{name}-before{path.suffix}").write_bytes(path.read_bytes())
        (place / f"{name}-after.{picture.format}").write_bytes(data)
        notes = (*picture.notes, *notes_on_writing(picture, WriteOptions()))
        turned = _lies_on_its_side(path)
        said = picture.said_by != "profile"
        names = f"{name}-before{path.suffix}", f"{name}-after.{picture.format}"
        samples.append(Sample(path, *names, notes, picture.beside.resolution is not None, turned, said))
    return samples, refused


def _lies_on_its_side(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return bool(image.getexif().get(0x0112, 1) > 4)
    except (OSError, SyntaxError, ValueError):
        return False


def fields_of(exiftool: str, folder: str, names: list[str]) -> dict[str, Counter[Field]]:
    """Return what exiftool reads of each of some files of a folder."""
    words = [exiftool, "-json", "-a", "-G1", "-n", "-api", "largefilesupport=1", *names]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    files = json.loads(done.stdout, object_pairs_hook=lambda pairs: pairs)
    return {
        dict(pairs)["SourceFile"]: Counter(
            (name, str(value)) for name, value in pairs if not OF_THE_FILE.match(name)
        )
        for pairs in files
    }


def _differences(before: Counter[Field], after: Counter[Field]) -> list[tuple[str, Field]]:
    """Return what is gone (-) and what is new (+)."""
    return [("-", one) for one in (before - after).elements()] + [
        ("+", one) for one in (after - before).elements()
    ]


def _reason(sign: str, field: Field, sample: Sample) -> str:
    """Return why a difference has to be; nothing where no reason is known."""
    if OF_THE_LAYOUT.match(field[0]):
        return "layout"
    if not sample.resolution and re.match(r"JFIF:(\w*Resolution|ResolutionUnit)", field[0]):
        return "JFIF's resolution that says nothing"
    if MOVED.match(field[0]):
        return "moved"
    if sample.turned and TURNED.match(field[0]):
        return "turned with the picture"
    if sign == "+" and sample.said and field[0].startswith("ICC"):
        return "profile of what chunks or boxes say"
    said = " ".join(sample.notes)
    return next(
        (word for word, names in GONE.items() if sign == "-" and word in said and names.match(field[0])), ""
    )


if __name__ == "__main__":
    sys.exit(main())
