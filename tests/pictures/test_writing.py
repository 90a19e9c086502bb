"""Pictures -> files: what the source had, the result has, as independent readers see it."""

from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
from picture_files import exif_block, pattern, png, rgb_profile, tiff, xmp_packet
from PIL import Image

from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.picture import Picture, to_depth
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.pictures.writing import encode, notes_on_writing

MODES = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgba"}


def picture_of(samples: np.ndarray, **fields) -> Picture:
    channels = samples.shape[2]
    pixels = samples[..., :1].repeat(3, axis=2) if channels < 3 else np.ascontiguousarray(samples[..., :3])
    alpha = np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None
    return Picture(pixels, mode=MODES[channels], alpha=alpha, **fields)


def independent(data: bytes) -> np.ndarray:
    """The stored samples, by tifffile or OpenCV, (H, W, C) red first."""
    if data[:2] in (b"II", b"MM"):
        samples = tifffile.imread(BytesIO(data))
        return samples[..., None] if samples.ndim == 2 else samples
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples.ndim == 2:
        return samples[..., None]
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_formats_without_loss_keep_every_value(kind, channels, dtype):
    samples = pattern(300, 41, channels, dtype)
    data = encode(picture_of(samples, format=kind), WriteOptions())
    stored = independent(data)
    if kind == "png" and channels == 2:
        stored = stored[..., [0, 3]]  # OpenCV spreads grey over three channels
    np.testing.assert_array_equal(stored, samples)
    again = read_picture(data)
    assert (again.mode, again.depth, again.format) == (MODES[channels], samples.itemsize * 8, kind)
    with (
        Image.open(BytesIO(data)) if (kind, channels, dtype) != ("tiff", 2, np.uint16) else BytesIO() as image
    ):
        if isinstance(image, Image.Image):
            assert image.size == (41, 300)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "avif", "tiff", "bmp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_format_takes_every_mode(kind, channels):
    picture = picture_of(pattern(32, 48, channels))
    again = read_picture(encode(picture, WriteOptions(format=kind)))
    assert again.size == (32, 48)
    expected = picture.pixels
    if picture.alpha is not None and kind in ("jpg", "bmp"):
        opaque = picture.alpha[..., None] / 255
        expected = expected * opaque + 255 * (1 - opaque)
    assert np.abs(again.pixels - expected.astype(float)).mean() < 3
    if picture.alpha is not None and kind not in ("jpg", "bmp"):
        assert np.abs(again.alpha.astype(int) - picture.alpha).mean() < 3
    else:
        assert again.alpha is None
    if kind in ("jpg", "png", "tiff", "bmp") and channels == 1:
        assert again.mode == "grey"


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "avif", "tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_metadata_is_kept(kind, dtype):
    profile = rgb_profile()
    exif = read_picture(encode_with_exif()).exif
    picture = picture_of(
        pattern(32, 48, 3, dtype), icc_profile=profile, exif=exif, xmp=xmp_packet(), format=kind
    )
    again = read_picture(encode(picture, WriteOptions()))
    assert again.icc_profile == profile
    assert again.xmp.rstrip(b"\0 ") == xmp_packet()
    block = Image.Exif()
    block.load(again.exif)
    assert block[0x010F] == "Maker"
    assert block.get_ifd(0x8769)[0x829A] == pytest.approx(1 / 250)
    # The profile was left on the way in and taken up on the way out: the colours are the same ones.
    assert np.abs(to_depth(again.pixels, 8).astype(int) - to_depth(picture.pixels, 8)).mean() < 3


def encode_with_exif() -> bytes:
    stream = BytesIO()
    Image.fromarray(pattern(16, 16, 3)).save(stream, "JPEG", exif=exif_block(1))
    return stream.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_metadata_as_another_library_sees_it(dtype):
    exif = read_picture(encode_with_exif()).exif
    picture = picture_of(
        pattern(9, 11, 3, dtype), format="tiff", exif=exif, xmp=xmp_packet(), icc_profile=rgb_profile()
    )
    page = tifffile.TiffFile(BytesIO(encode(picture, WriteOptions()))).pages[0]
    assert page.tags[271].value == "Maker"
    assert page.tags["ExifTag"].value["ExposureTime"] == (1, 250)
    assert page.tags[700].value == xmp_packet()
    assert page.tags[34675].value == rgb_profile()


def test_tiff_to_tiff_keeps_descriptions_and_no_layout():
    data = tiff(
        pattern(9, 11, 3), description="a pier", tile=(16, 16), software="tool", resolution=(300, 300)
    )
    page = tifffile.TiffFile(BytesIO(encode(read_picture(data), WriteOptions()))).pages[0]
    assert page.description == "a pier"
    assert page.software == "tool"
    assert page.tags["XResolution"].value == (300, 1)
    assert "TileWidth" not in page.tags
    assert "TileOffsets" not in page.tags


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "avif", "tiff"])
def test_metadata_is_stripped_and_colours_stay(kind):
    red = np.full((16, 16, 3), (200, 30, 40), np.uint8)
    picture = picture_of(red, icc_profile=rgb_profile(), exif=exif_block(), xmp=xmp_packet(), format=kind)
    again = read_picture(encode(picture, WriteOptions(strip_metadata=True)))
    assert (again.icc_profile, again.exif, again.xmp) == (None, None, None)
    assert np.abs(again.pixels.astype(int) - red).max() <= 6


@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [40, 77, 95])
def test_a_jpeg_keeps_its_quality(quality, sampling):
    stream = BytesIO()
    Image.fromarray(pattern(64, 64, 3)).save(stream, "JPEG", quality=quality, subsampling=sampling)
    source = read_picture(stream.getvalue())
    again = read_picture(encode(source, WriteOptions()))
    assert again.subsampling == sampling
    best = BytesIO()
    Image.new("RGB", (8, 8)).save(best, "JPEG", quality=90)
    for number, least in Image.open(best).quantization.items():
        assert again.quantisation[number] == list(map(min, source.quantisation[number], least))
    assert (again.quantisation == source.quantisation) == (quality == 95)
    other = read_picture(encode(source, WriteOptions(quality=quality - 20)))
    assert sum(other.quantisation[0]) > sum(source.quantisation[0])


def test_detail_survives_the_writing_of_a_poor_jpeg():
    stream = BytesIO()
    Image.fromarray(pattern(64, 64, 3)).save(stream, "JPEG", quality=30, subsampling=0)
    poor = read_picture(stream.getvalue())
    detailed = poor.with_pixels(pattern(64, 64, 3, seed=7))
    kept, coarse = (
        np.abs(read_picture(encode(detailed, options)).pixels.astype(int) - detailed.pixels).mean()
        for options in (WriteOptions(), WriteOptions(quality=30))
    )
    assert kept < 0.7 * coarse


@pytest.mark.parametrize("progressive", [False, True])
def test_a_progressive_jpeg_stays_so(progressive):
    stream = BytesIO()
    Image.fromarray(pattern(64, 64, 3)).save(stream, "JPEG", progressive=progressive)
    written = encode(read_picture(stream.getvalue()), WriteOptions())
    assert ("progressive" in Image.open(BytesIO(written)).info) == progressive


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
def test_what_is_hidden_does_not_surface(channels, dtype):
    most = np.iinfo(dtype).max
    samples = np.full((16, 16, channels), most // 5, dtype)
    samples[:8, :, -1] = 0
    samples[8:, :, -1] = most
    for background, level in (("white", 255), ("#808080", 128)):
        options = WriteOptions(format="bmp", background=background)
        written = read_picture(encode(picture_of(samples), options)).pixels
        assert set(written[:8].ravel()) == {level}
        assert set(written[8:].ravel()) == {51}
    filled = np.zeros((16, 16), bool)
    filled[:8, :4] = True
    picture = picture_of(samples)
    picture = picture.with_pixels(picture.pixels, filled)
    written = read_picture(encode(picture, WriteOptions(format="bmp"))).pixels
    assert set(written[:8, :4].ravel()) == {51}


def test_further_bands_are_said():
    stream = BytesIO()
    tifffile.imwrite(
        stream, pattern(9, 11, 4), photometric="rgb", extrasamples=["unspecified"], metadata=None
    )
    picture = read_picture(stream.getvalue())
    assert picture.notes == ("bands beyond its colours and transparency are left out",)
    assert read_picture(tiff(pattern(9, 11, 4), metadata=None)).notes == ()


def test_quality_changes_the_size():
    picture = picture_of(pattern(64, 64, 3))
    for kind in ("jpg", "webp", "avif"):
        sizes = [len(encode(picture, WriteOptions(format=kind, quality=quality))) for quality in (20, 60, 95)]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[2]


@pytest.mark.parametrize("animated", [False, True])
def test_webp_without_loss_stays_so(animated):
    samples = pattern(24, 24, 4)
    stream = BytesIO()
    more = {"save_all": True, "append_images": [Image.new("RGBA", (24, 24))]} if animated else {}
    Image.fromarray(samples).save(
        stream, "WEBP", lossless=True, exact=True, icc_profile=rgb_profile(), **more
    )
    source = read_picture(stream.getvalue())
    assert source.lossless
    plain = picture_of(samples, format="webp", lossless=True)
    again = read_picture(encode(plain, WriteOptions()))
    np.testing.assert_array_equal(again.pixels, samples[..., :3])  # under full transparency too
    np.testing.assert_array_equal(again.alpha, samples[..., 3])
    lossy = BytesIO()
    Image.fromarray(samples).save(lossy, "WEBP", exif=exif_block())
    assert not read_picture(lossy.getvalue()).lossless


def test_depth():
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(to_depth(every, 8), np.floor(every / 257 + 0.5))
    np.testing.assert_array_equal(to_depth(to_depth(np.arange(256, dtype=np.uint8), 16), 8), np.arange(256))
    deep = picture_of(pattern(8, 8, 4, np.uint16), format="png")
    for depth in (8, 16):
        assert read_picture(encode(deep, WriteOptions(depth=depth))).depth == depth
        assert read_picture(encode(deep, WriteOptions(format="tiff", depth=depth))).depth == depth
    shallow = picture_of(pattern(8, 8, 3))
    wide = read_picture(encode(shallow, WriteOptions(depth=16)))
    np.testing.assert_array_equal(wide.pixels, shallow.pixels.astype(np.uint16) * 257)


def test_what_is_lost_is_said():
    picture = picture_of(
        pattern(8, 8, 4, np.uint16), exif=exif_block(), xmp=xmp_packet(), icc_profile=rgb_profile()
    )
    assert notes_on_writing(picture, WriteOptions()) == ()
    assert notes_on_writing(picture, WriteOptions(format="jpg")) == (
        "JPEG holds no transparency; laid on white",
        "JPEG is written with 8 bits a channel",
    )
    (alpha, depth, lost) = notes_on_writing(picture, WriteOptions(format="bmp"))
    assert "transparency" in alpha
    assert "8 bits" in depth
    assert lost == "BMP has no room for its EXIF and XMP and ICC profile; left out"
    assert notes_on_writing(picture, WriteOptions(format="webp", depth=8)) == ()
    long = picture_of(pattern(8, 8, 3), exif=b"Exif\0\0" + bytes(70_000), format="jpg")
    assert notes_on_writing(long, WriteOptions()) == ("JPEG has no room for its EXIF; left out",)
    assert read_picture(encode(long, WriteOptions())).exif is None


def test_grey_comes_back_from_colours():
    source = read_picture(png(pattern(8, 8, 1)))
    tinted = source.pixels.copy()
    tinted[...] = (100, 150, 200)
    result = read_picture(encode(source.with_pixels(tinted), WriteOptions()))
    assert result.mode == "grey"
    assert set(result.pixels.ravel()) == {141}  # 0.299 * 100 + 0.587 * 150 + 0.114 * 200 = 140.75
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(independent(encode(picture_of(every), WriteOptions())), every)


def test_other_pixels_keep_the_rest():
    source = read_picture(png(pattern(8, 9, 4)))
    same = source.with_pixels(255 - source.pixels)
    np.testing.assert_array_equal(same.alpha, source.alpha)
    wider = source.with_pixels(np.zeros((8, 20, 3), np.uint8))
    assert wider.alpha is None
    assert read_picture(encode(wider, WriteOptions())).size == (8, 20)
    with pytest.raises(ValueError, match="uint8 or uint16"):
        source.with_pixels(np.zeros((8, 9, 3), np.float32))


def test_sides_that_a_format_cannot_hold():
    with pytest.raises(PictureError, match="16383"):
        encode(picture_of(np.zeros((1, 16384, 1), np.uint8)), WriteOptions(format="webp"))
    with pytest.raises(PictureError, match="65535"):
        encode(picture_of(np.zeros((65536, 1, 1), np.uint8)), WriteOptions(format="jpg"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "gif"}, "'gif'"),
        ({"quality": 0}, "quality 0"),
        ({"depth": 12}, "depth 12"),
        ({"background": "plaid"}, "'plaid' is no colour"),
    ],
)
def test_impossible_options(options, words):
    with pytest.raises(UsageError, match=words):
        WriteOptions(**options)
