"""Files -> pictures: every format, mode, depth and orientation, with exact values."""

import os
from io import BytesIO

import numpy as np
import pytest
import tifffile
from picture_files import chunk, exif_block, pattern, png, tiff, xmp_packet
from PIL import Image

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.reading import read_picture

MODES = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgba"}


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def assert_holds(picture, samples):
    channels = samples.shape[2]
    colours = samples[..., :1].repeat(3, axis=2) if channels < 3 else samples[..., :3]
    np.testing.assert_array_equal(picture.pixels, colours)
    assert picture.pixels.dtype == samples.dtype
    assert picture.mode == MODES[channels]
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha, samples[..., -1])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("make", [png, tiff])
def test_every_value_is_read_as_it_is_stored(make, channels, dtype):
    samples = pattern(13, 17, channels, dtype)
    picture = read_picture(make(samples))
    assert_holds(picture, samples)
    assert picture.depth == samples.itemsize * 8
    assert picture.format == make.__name__


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": 2},
        {"rowsperstrip": 3},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib", "predictor": 2, "rowsperstrip": 4},
        {"tile": (16, 16)},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_tiff_in_every_layout(options, channels):
    samples = pattern(21, 34, channels, np.uint16)
    assert_holds(read_picture(tiff(samples, **options)), samples)


def test_sixteen_bit_tiff_by_lzw_which_another_library_unpacks(tmp_path):
    import cv2

    samples = pattern(21, 34, 3, np.uint16)
    path = tmp_path / "a.tif"
    assert cv2.imwrite(os.fspath(path), samples[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    assert tifffile.TiffFile(path).pages[0].compression == 5
    assert_holds(read_picture(path), samples)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bit_planes_that_lie_apart(compression):
    samples = pattern(21, 34, 3, np.uint16)
    data = tiff(np.moveaxis(samples, -1, 0), planarconfig="separate", compression=compression)
    assert_holds(read_picture(data), samples)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_that_counts_from_white(dtype):
    samples = pattern(5, 6, 1, dtype)
    picture = read_picture(tiff(np.iinfo(dtype).max - samples, photometric="miniswhite"))
    assert_holds(picture, samples)


def test_associated_alpha_is_divided_out_with_sixteen_bits():
    straight = pattern(9, 9, 4, np.uint16)
    straight[..., 3] = 20000
    stored = straight.copy()
    stored[..., :3] = np.rint(straight[..., :3] * (20000 / 65535))
    picture = read_picture(tiff(stored, extrasamples=["assocalpha"]))
    assert np.abs(picture.pixels.astype(int) - straight[..., :3]).max() <= 2
    assert (picture.alpha == 20000).all()


def test_a_fourth_channel_that_is_not_alpha_is_left_out():
    samples = pattern(5, 6, 4, np.uint16)
    assert_holds(read_picture(tiff(samples, extrasamples=["unspecified"])), samples[..., :3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_with_one_transparent_colour(channels, dtype):
    samples = pattern(5, 6, channels, dtype)
    samples[2, 3] = 7
    samples[4, 5] = 7
    picture = read_picture(png(samples, chunk(b"tRNS", b"\0\x07" * channels)))
    transparent = (samples == 7).all(axis=2)
    np.testing.assert_array_equal(picture.alpha == 0, transparent)
    np.testing.assert_array_equal(picture.alpha == np.iinfo(dtype).max, ~transparent)
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(samples, (5, 6, 3)))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "BMP"])
def test_formats_with_loss_come_near(kind):
    samples = pattern(32, 48, 3)
    picture = read_picture(
        saved(Image.fromarray(samples), kind, **({} if kind == "BMP" else {"quality": 95}))
    )
    assert picture.size == (32, 48)
    assert np.abs(picture.pixels.astype(int) - samples).mean() < 3
    assert picture.format == {"JPEG": "jpg"}.get(kind, kind.lower())


def test_jpeg_says_how_it_was_compressed():
    for sampling in (0, 1, 2):
        data = saved(Image.fromarray(pattern(32, 48, 3)), "JPEG", quality=77, subsampling=sampling)
        picture = read_picture(data)
        assert picture.subsampling == sampling
        assert picture.quantisation == Image.open(BytesIO(data)).quantization


def test_bilevel_and_palette_pictures():
    checks = np.indices((6, 7)).sum(axis=0) % 2 * 255
    bilevel = read_picture(saved(Image.fromarray(checks.astype(np.uint8)).convert("1"), "PNG"))
    np.testing.assert_array_equal(bilevel.pixels[..., 1], checks)
    assert bilevel.mode == "grey"
    palette = Image.frombytes("P", (7, 6), (checks // 255).astype(np.uint8).tobytes())
    palette.putpalette([10, 20, 30, 200, 100, 50])
    picture = read_picture(saved(palette, "PNG", transparency=0))
    assert picture.mode == "palette"
    assert picture.pixels[0, 0].tolist() == [10, 20, 30]
    assert picture.pixels[0, 1].tolist() == [200, 100, 50]
    np.testing.assert_array_equal(picture.alpha, checks)
    assert any("palette" in note for note in picture.notes)


def test_cmyk_is_converted_and_said_so():
    data = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    picture = read_picture(data)
    assert picture.mode == "cmyk"
    red, green, blue = picture.pixels[4, 4]
    assert (red > 240, green < 15, blue < 15) == (True, True, True)
    assert "CMYK converted to sRGB" in picture.notes


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png8", "png16", "png-la16", "tiff16", "webp"])
def test_orientation_is_applied_once_and_dropped(kind, orientation):
    # Seen upright: dark left half, and the upper right quarter the brightest.
    dtype = np.uint16 if "16" in kind else np.uint8
    seen = np.zeros((32, 48, 1), dtype)
    seen[:, 24:] = np.iinfo(dtype).max // 2
    seen[:16, 24:] = np.iinfo(dtype).max
    seen = seen.repeat(2 if "la" in kind else 3, axis=2)
    # How a camera held that way stores it: the inverse of what EXIF asks viewers to do (CIPA DC-008).
    store = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    stored = np.ascontiguousarray(store(seen))
    block = exif_block(orientation)
    if kind == "jpg":
        data = saved(Image.fromarray(stored), "JPEG", quality=100, exif=block)
    elif kind == "webp":
        data = saved(Image.fromarray(stored), "WEBP", lossless=True, exif=block)
    elif kind == "tiff16":
        data = tiff(stored, extratags=[(274, "H", 1, orientation, True)])
    else:
        data = png(stored, chunk(b"eXIf", block[6:]))
    picture = read_picture(data)
    colours = seen[..., :1].repeat(3, axis=2)
    assert picture.size == (32, 48)
    assert np.abs(picture.pixels.astype(float) - colours).max() <= (3 if kind == "jpg" else 0)
    if "la" in kind:
        np.testing.assert_array_equal(picture.alpha, seen[..., 1])
    if picture.exif is not None:
        kept = Image.Exif()
        kept.load(picture.exif)
        assert 0x0112 not in kept
    if kind != "tiff16":
        assert kept[0x010F] == "Maker"
        assert kept.get_ifd(0x8769)[0x829A] == pytest.approx(1 / 250)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_width_and_height_in_exif_follow_the_turn(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8769] = {0xA002: 24, 0xA003: 16}
    picture = read_picture(saved(Image.fromarray(pattern(16, 24, 3)), "JPEG", exif=exif))
    kept = Image.Exif()
    kept.load(picture.exif)
    camera = kept.get_ifd(0x8769)
    assert (camera[0xA003], camera[0xA002]) == picture.size


def test_orientation_in_xmp_goes_too():
    data = saved(Image.fromarray(pattern(16, 24, 3)), "JPEG", xmp=xmp_packet(6))
    picture = read_picture(data)
    assert picture.size == (24, 16)
    assert b"Orientation" not in picture.xmp
    assert b'tiff:Make="Maker"' in picture.xmp


def test_animated_pictures_give_the_frame_asked_for():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    first, last = read_picture(data), read_picture(data, frame=2)
    assert first.pixels[0, 0].tolist() == [255, 0, 0]
    assert first.notes == ("first frame of 3 used",)
    assert last.pixels[0, 0].tolist() == [0, 0, 255]
    with pytest.raises(PictureError, match="no frame 3"):
        read_picture(data, frame=3)


def test_pages_of_a_sixteen_bit_tiff():
    stream = BytesIO()
    pages = [pattern(9, 11, 3, np.uint16, seed) for seed in (1, 2)]
    with tifffile.TiffWriter(stream) as writer:
        for page in pages:
            writer.write(page, photometric="rgb", tile=(16, 16))
    assert_holds(read_picture(stream.getvalue(), frame=1), pages[1])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_the_smallest_pictures(size):
    for dtype in (np.uint8, np.uint16):
        samples = pattern(*size, 3, dtype)
        for make in (png, tiff):
            assert_holds(read_picture(make(samples)), samples)


def test_sixteen_bits_that_are_lost_are_spoken_of():
    inks = np.zeros((4, 5, 4), np.uint16)
    picture = read_picture(tiff(inks, photometric="separated"))
    assert (picture.mode, picture.depth) == ("cmyk", 8)
    assert any("16 bits" in note for note in picture.notes)
    assert picture.pixels.min() >= 250  # no ink at all


def test_other_kinds_of_samples_are_refused_and_named():
    for dtype, channels, words in (
        (np.int32, 1, "32 bits, signed whole numbers"),
        (np.uint32, 3, "32 bits, whole numbers"),
        (np.float64, 3, "64 bits, floating point"),
        (np.int16, 3, "16 bits, signed whole numbers"),
    ):
        with pytest.raises(PictureError, match=f"a TIFF of {words}, plain is not read here"):
            read_picture(tiff(np.ones((4, 4, channels), dtype)))


def test_large_pictures_are_read_without_warnings(recwarn):
    data = saved(Image.new("1", (20_000, 9_500)), "PNG")  # above both of Pillow's own limits
    with pytest.raises(PictureError, match="20000 x 9500 pixels are more than the limit of 1000000"):
        read_picture(data, limit_pixels=1_000_000)
    assert read_picture(saved(Image.new("1", (16, 16)), "PNG"), limit_pixels=256).size == (16, 16)
    assert not recwarn.list


def test_the_limit_is_checked_before_decoding():
    header = chunk(b"IHDR", (50_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0")
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"not pixels") + chunk(b"IEND", b"")
    with pytest.raises(PictureError, match="50000 x 50000"):
        read_picture(bomb)
