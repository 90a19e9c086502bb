"""IPTC, comments, resolution and further segments stay; what would be false of the result goes, and is said."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import tifffile
from independent_files import Blocks, blocks_of, write
from picture_files import chunk, exif_block, pattern, png, tiff
from PIL import Image, IptcImagePlugin

from cyclerdm_cli.pictures import xmp
from cyclerdm_cli.pictures.jpeg_segments import segments_of
from cyclerdm_cli.pictures.picture import Beside
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

CAPTION, KEYWORD = "Fähre im Regen".encode(), b"harbour"
IPTC = b"".join(
    struct.pack(">BBBH", 0x1C, 2, record, len(words)) + words
    for record, words in ((120, CAPTION), (25, KEYWORD))
)
KINDS = ("jpg", "png", "tiff")


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(*segments: bytes, behind: bytes = b"", **options) -> bytes:
    stream = BytesIO()
    Image.fromarray(pattern(32, 48, 3)).save(stream, "JPEG", quality=95, **options)
    data = stream.getvalue()
    return data[:20] + b"".join(segments) + data[20:] + behind


def iptc_by_pillow(kind: str, data: bytes) -> dict:
    if kind == "png":
        text = Image.open(BytesIO(data)).text["Raw profile type 8bim"]
        blocks = bytes.fromhex("".join(text.split("\n")[3:]))
        data, kind = jpeg(segment(0xED, b"Photoshop 3.0\0" + blocks)), "jpg"
    return IptcImagePlugin.getiptcinfo(Image.open(BytesIO(data)))


def with_iptc(kind: str) -> bytes:
    if kind == "jpg":
        return jpeg(segment(0xED, b"Photoshop 3.0\0" + resource(0x0404, IPTC)))
    if kind == "png":
        block = resource(0x0404, IPTC)
        text = b"\n8bim\n%8d\n" % len(block) + block.hex().encode() + b"\n"
        return png(pattern(32, 48, 3), chunk(b"zTXt", b"Raw profile type 8bim\0\0" + zlib.compress(text)))
    code = 4 if kind == "tiff of numbers" else 7
    padded = IPTC + bytes(-len(IPTC) % 4)
    count = len(padded) // 4 if code == 4 else len(padded)
    value = np.frombuffer(padded, "<u4") if code == 4 else padded
    return tiff(
        pattern(32, 48, 3), metadata=None, byteorder="<", extratags=[(33723, code, count, value, True)]
    )


@pytest.mark.parametrize("source", [*KINDS, "tiff of numbers"])
@pytest.mark.parametrize("target", KINDS)
def test_iptc_goes_wherever_it_has_a_place(source, target):
    picture = read_picture(with_iptc(source))
    found = iptc_by_pillow(target, encode(picture, WriteOptions(format=target)))
    assert (found[2, 120], found[2, 25]) == (CAPTION, KEYWORD)
    stripped = encode(picture, WriteOptions(format=target, strip_metadata=True))
    assert CAPTION not in stripped
    (note,) = notes_on_writing(picture, WriteOptions(format="webp"))
    assert "IPTC" in note


@pytest.mark.parametrize("target", [*KINDS, "bmp"])
@pytest.mark.parametrize("source", [*KINDS, "bmp"])
def test_resolution_is_kept(source, target):
    stream = BytesIO()
    kind = {"jpg": "JPEG"}.get(source, source.upper())
    Image.fromarray(pattern(32, 48, 3)).save(stream, kind, dpi=(300, 150))
    written = encode(read_picture(stream.getvalue()), WriteOptions(format=target))
    assert Image.open(BytesIO(written)).info["dpi"] == pytest.approx((300, 150), abs=0.1)


def test_dots_a_centimetre_stay_so():
    data = bytearray(jpeg(dpi=(300, 300)))
    data[13:18] = struct.pack(">BHH", 2, 118, 59)
    written = encode(read_picture(bytes(data)), WriteOptions())
    assert written[13:18] == data[13:18]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_no_resolution_is_made_up(kind):
    stream = BytesIO()
    Image.fromarray(pattern(32, 48, 3)).save(stream, kind)
    assert read_picture(stream.getvalue()).beside.resolution is None


def test_resolution_turns_with_the_picture():
    stream = BytesIO()
    Image.fromarray(pattern(32, 48, 3)).save(stream, "JPEG", dpi=(300, 150), exif=exif_block(6))
    assert read_picture(stream.getvalue()).beside.resolution == (150, 300)


def test_comments_and_further_segments_of_a_jpeg_stay():
    comment, thermal = segment(0xFE, b"Scanned by Aunt Rosa"), segment(0xE1, b"FLIR\0\1raw heat")
    long_xmp = segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + bytes(8) + b"long story")
    written = encode(read_picture(jpeg(comment, thermal, long_xmp)), WriteOptions())
    for block in (comment, thermal, long_xmp):
        assert written.count(block) == 1
    assert Image.open(BytesIO(written)).info["comment"] == b"Scanned by Aunt Rosa"
    (note,) = notes_on_writing(read_picture(jpeg(comment, thermal)), WriteOptions(format="png"))
    assert note == "PNG has no room for its comment and further JPEG segments; left out"


GAIN_MAP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:hdrgm="h" xmlns:Container="c" xmlns:GCamera="g" hdrgm:Version="1.0"'
    b" GCamera:MotionPhoto='1' GCamera:MicroVideoOffset=\"4120\">"
    b"<hdrgm:GainMapMax>2</hdrgm:GainMapMax><Container:Directory><rdf:Seq/></Container:Directory><dc:title>A"
    b"</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def test_what_lay_behind_the_picture_goes_and_is_said():
    data = write("jpg", pattern(32, 48, 3), Blocks(xmp=GAIN_MAP))
    video = read_picture(data + b"\0\0\0\x18ftypmp42" + bytes(99))
    assert any("video behind" in note for note in video.notes)
    assert any("XMP" in note for note in video.notes)
    for word in (b"MotionPhoto", b"MicroVideo", b"Directory", b"hdrgm:Version", b"GainMapMax"):
        assert word not in video.xmp
    assert b"<dc:title>A</dc:title>" in video.xmp
    second = read_picture(jpeg(segment(0xE2, b"MPF\0list"), behind=jpeg()))
    assert [note for note in second.notes if "behind the first" in note]
    assert b"MPF" not in encode(second, WriteOptions())
    assert read_picture(jpeg()).notes == ()


def test_what_programs_put_behind_a_jpeg_is_said():
    trailer = b"AXS!" + bytes(7) + b"words of another program"
    (note,) = read_picture(jpeg(behind=trailer)).notes
    assert note == f"{len(trailer)} bytes behind the picture, of a camera or another program, are left out"
    assert read_picture(jpeg(behind=bytes(100))).notes == ()


def test_smaller_copies_in_a_tiff_are_said():
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(pattern(32, 48, 3), photometric="rgb", subifds=1, metadata=None)
        writer.write(pattern(16, 24, 3), photometric="rgb", subfiletype=1, metadata=None)
    picture = read_picture(stream.getvalue())
    assert picture.notes == ("smaller copies and previews in its file show it as it was; left out",)
    assert 330 not in tifffile.TiffFile(BytesIO(encode(picture, WriteOptions()))).pages[0].tags


def test_signatures_are_void():
    picture = read_picture(jpeg(segment(0xEB, b"JP\0\1\0\0\0\1jumbc2pa")))
    assert picture.notes == ("its signature (C2PA) is void after a change; left out",)
    assert b"c2pa" not in encode(picture, WriteOptions())


def test_statements_about_other_pixels_leave_a_tiff():
    layers = (37724, 7, 9, b"LAYERDATA", True)
    preview = resource(1036, b"preview!")
    others = resource(1005, bytes(16))
    blocks = (34377, 7, len(preview + others), preview + others, True)
    data = tiff(pattern(9, 11, 3), metadata=None, extratags=[layers, blocks], software="tool")
    picture = read_picture(data)
    assert [bool(re.search("layers|preview", note)) for note in picture.notes] == [True, True]
    tags = tifffile.TiffFile(BytesIO(encode(picture, WriteOptions()))).pages[0].tags
    assert 37724 not in tags
    assert bytes(tags[34377].value) == others
    assert tags[305].value == "tool"
    jpg = encode(picture, WriteOptions(format="jpg"))
    assert b"tool" in blocks_of("jpg", jpg).exif
    assert others in jpg


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_descriptions_of_stacks_go(options):
    stream = BytesIO()
    stack = np.stack([pattern(9, 11, 1, np.uint16, seed)[..., 0] for seed in range(5)])
    tifffile.imwrite(stream, stack, photometric="minisblack", **options)
    picture = read_picture(stream.getvalue())
    assert any("of the pages is left out" in note for note in picture.notes)
    written = encode(picture, WriteOptions())
    file = tifffile.TiffFile(BytesIO(written))
    assert not any((file.is_imagej, file.is_ome, file.is_shaped))
    np.testing.assert_array_equal(file.asarray(), stack[0])


FACE = (
    b'<mwg-rs:AppliedToDimensions stDim:w="160" stDim:h="120"/>'
    b"<mwg-rs:Area>\n<stArea:x>0.25</stArea:x><stArea:y>0.5</stArea:y><stArea:w>0.1</stArea:w>"
    b"<stArea:h>0.2</stArea:h></mwg-rs:Area><tiff:ImageWidth>160</tiff:ImageWidth>"
    b"<mwg-rs:Area stArea:x='0.25' stArea:y=\"0.5\" stArea:w='0.1' stArea:h='0.2'/>"
)
TURNED = {
    2: ("0.75", "0.5"), 3: ("0.75", "0.5"), 4: ("0.25", "0.5"), 5: ("0.5", "0.25"),
    6: ("0.5", "0.25"), 7: ("0.5", "0.75"), 8: ("0.5", "0.75"),
}  # fmt: skip
"""Where the middle of the face is once the picture stands upright (CIPA DC-008, 4.6.4)."""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_turn_with_the_picture(orientation):
    packet = xmp.turned(FACE, orientation)
    for letter, value in zip("xy", TURNED.get(orientation, ("0.25", "0.5")), strict=True):
        pattern = rf"stArea:{letter}(?:>|=['\"]){value}['\"<]".encode()
        assert len(re.findall(pattern, packet)) == 2, packet
    sides = ("0.2", "0.1") if orientation >= 5 else ("0.1", "0.2")
    assert packet.count(f"<stArea:w>{sides[0]}</stArea:w>".encode()) == 1
    assert (b'stDim:h="160"' in packet) == (orientation >= 5)
    assert (b"<tiff:ImageLength>160</tiff:ImageLength>" in packet) == (orientation >= 5)


def test_odd_packets_come_out_in_no_time():
    for packet in (b"<mwg-rs:Area" * 90_000, b" " * 1_000_000, b"hdrgm:a='" * 90_000, b"<hdrgm:a>" * 90_000):
        xmp.turned(packet, 6)
        xmp.without_what_lay_behind(packet)


def test_odd_segments_are_no_fault_of_the_picture():
    for block in (
        b"Photoshop 3.0\0",
        b"Photoshop 3.0\x008BIM",
        b"Photoshop 3.0\x008BIM\4\4\xff\0\0\0",
        b"MPF\0",
    ):
        assert read_picture(jpeg(segment(0xED, block))).size == (32, 48)
    assert segments_of(b"\xff\xd8").photoshop is None
    assert segments_of(b"\xff\xd8\xff\xe1\0\0").kept == []
    assert Beside(resolution=(1, 2)).turned().resolution == (2, 1)
