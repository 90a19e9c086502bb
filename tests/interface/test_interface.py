"""Programs restore by the interface as people do by the command: the same bytes, of whatever kind came."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from typer.testing import CliRunner

import cyclerdm_cli as cyclerdm
from cyclerdm_cli.app import app
from cyclerdm_cli.pictures.png_writing import write_png
from cyclerdm_cli.restoring import networks as networks_module
from cyclerdm_cli.restoring import restorers as restorers_module
from cyclerdm_cli.words import eye as eye_module
from cyclerdm_cli.words.wordings import NAMES


@pytest.fixture
def restorer(tiny_weights: Path) -> cyclerdm.Restorer:
    return cyclerdm.Restorer("cpu", weights=tiny_weights)


@pytest.fixture
def command(tiny_weights: Path, tmp_path: Path) -> Callable[..., Path]:
    """Restore a file by the command, and return where the result is."""

    def run(path: Path, *words: str | Path) -> Path:
        output = tmp_path / "by_command" / path.name
        fixed = ["restore", path, "--weights", tiny_weights, "--device", "cpu", "-o", output, "--overwrite"]
        result = CliRunner().invoke(app, [str(word) for word in (*fixed, *words)])
        assert result.exit_code == 0, result.stderr
        return output

    return run


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("task", ["denoise", "derain+dehaze"])
def test_arrays_images_and_files_come_out_as_of_the_command(
    task: str,
    restorer: cyclerdm.Restorer,
    command: Callable[..., Path],
    photograph: np.ndarray,
    photograph_file: Path,
    tmp_path: Path,
) -> None:
    before = photograph.copy()
    expected = command(photograph_file, "--task", task)
    pixels = np.asarray(Image.open(expected))
    assert (pixels != photograph).any()
    np.testing.assert_array_equal(restorer.restore(photograph, task), pixels)
    np.testing.assert_array_equal(np.asarray(restorer.restore(Image.open(photograph_file), task)), pixels)
    written = restorer.restore(photograph_file, task)
    assert written == photograph_file.with_name(f"photo_{task}.png")
    assert written.read_bytes() == expected.read_bytes()
    np.testing.assert_array_equal(photograph, before)


def other_profile() -> bytes:
    """Return a profile that is not sRGB: sRGB's with its red and green exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def image_of(kind: str, photograph: np.ndarray) -> Image.Image:
    image = Image.fromarray(photograph)
    opacity = Image.fromarray(np.repeat(np.arange(131, dtype=np.uint8)[None] + 100, 97, axis=0))
    if kind == "I;16":
        return Image.fromarray(photograph[..., 1].astype(np.uint16) * 257 + 13)
    if kind == "P with transparency":
        palette = image.quantize(64)
        palette.info["transparency"] = 3
        return palette
    if kind in ("LA", "RGBA"):
        image = image.convert(kind)
        image.putalpha(opacity)
        return image
    return image.convert(kind)


@pytest.mark.parametrize("kind", ["L", "1", "LA", "RGB", "RGBA", "P", "P with transparency", "CMYK", "I;16"])
@pytest.mark.parametrize("beside", [{}, {"exif": 6}, {"icc_profile": True}], ids=["", "turned", "profile"])
def test_an_image_of_any_kind_comes_out_as_its_file_would(
    kind: str,
    beside: dict[str, Any],
    restorer: cyclerdm.Restorer,
    command: Callable[..., Path],
    photograph: np.ndarray,
    tmp_path: Path,
) -> None:
    image, extra = image_of(kind, photograph), dict[str, Any]()
    if "exif" in beside:
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = beside["exif"], "a test"
        extra["exif"] = exif.tobytes()
    if "icc_profile" in beside and kind in ("RGB", "RGBA", "P"):
        extra["icc_profile"] = other_profile()
    path = saved(image, tmp_path / ("a.tif" if kind == "CMYK" else "a.png"), **extra)
    expected = Image.open(command(path, "--task", "denoise"))
    opened = Image.open(
        BytesIO(path.read_bytes())
    )  # by its path, Pillow 13 loses the orientation of CMYK in TIFF
    found = restorer.restore(opened, "denoise")
    assert found.mode == expected.mode
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert found.info.get("icc_profile") == expected.info.get("icc_profile")
    if "exif" in beside and kind != "CMYK":
        assert dict(found.getexif()) == {0x010E: "a test"}
    again = saved(found, tmp_path / "again.png")
    np.testing.assert_array_equal(np.asarray(Image.open(again)), np.asarray(found))


def as_png(samples: np.ndarray) -> bytes:
    stream = BytesIO()
    write_png(stream, [samples], len(samples))
    return stream.getvalue()


def test_sixteen_bits_stay_sixteen_bits(
    restorer: cyclerdm.Restorer, command: Callable[..., Path], photograph: np.ndarray, tmp_path: Path
) -> None:
    deep = photograph.astype(np.uint16) * 255 + 77
    path = tmp_path / "deep.png"
    path.write_bytes(as_png(deep))
    expected = as_png(restorer.restore(deep, "denoise"))
    assert expected == command(path, "--task", "denoise").read_bytes()
    np.testing.assert_array_equal(
        restorer.restore(deep.astype(">u2"), "denoise"), restorer.restore(deep, "denoise")
    )


def test_floats_keep_what_is_not_changed_and_take_the_change_of_sixteen_bits(
    restorer: cyclerdm.Restorer, photograph: np.ndarray
) -> None:
    values = (photograph / 255 + np.random.default_rng(1).normal(0, 1e-4, photograph.shape)).astype(
        np.float32
    )
    values = values.clip(0, 1)
    levels = np.rint(values * 65535).astype(np.uint16)
    found = restorer.restore(values, "denoise")
    assert found.dtype == np.float32
    change = restorer.restore(levels, "denoise").astype(np.float64) - levels
    np.testing.assert_allclose(found, values + change / 65535, atol=1e-6)
    mask = np.zeros(values.shape[:2], bool)
    mask[20:30, 20:40] = True
    filled = restorer.restore(values, "inpaint", mask=mask)
    np.testing.assert_array_equal(filled[~mask], values[~mask])
    assert (filled[mask] != values[mask]).any()


def test_views_of_arrays_are_pictures_too(restorer: cyclerdm.Restorer, photograph: np.ndarray) -> None:
    found = restorer.restore(photograph[:, ::-1], "denoise")
    np.testing.assert_array_equal(found, restorer.restore(photograph[:, ::-1].copy(), "denoise"))


def test_a_mask_means_the_same_as_array_image_and_file(
    restorer: cyclerdm.Restorer,
    command: Callable[..., Path],
    photograph: np.ndarray,
    photograph_file: Path,
    tmp_path: Path,
) -> None:
    mask = np.zeros(photograph.shape[:2], bool)
    mask[40:60, 50:90] = True
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    file = saved(image, tmp_path / "mask.png")
    expected = command(photograph_file, "--task", "inpaint", "--mask", file)
    for given in (mask, np.asarray(image), image, file, str(file)):
        np.testing.assert_array_equal(
            restorer.restore(photograph, "inpaint", mask=given), np.asarray(Image.open(expected))
        )
        place = restorer.restore(
            photograph_file, "inpaint", mask=given, output=tmp_path / "o.png", overwrite=True
        )
        assert place.read_bytes() == expected.read_bytes()
    torn = photograph.copy()
    torn[mask] = 255
    np.testing.assert_array_equal(
        restorer.restore(torn, "inpaint"), restorer.restore(torn, "inpaint", mask=mask)
    )


def test_strength_blends_and_nothing_gives_a_copy(
    restorer: cyclerdm.Restorer,
    command: Callable[..., Path],
    photograph: np.ndarray,
    photograph_file: Path,
) -> None:
    half = command(photograph_file, "--task", "derain+dehaze", "--strength", "derain=0.5,dehaze=0.25")
    found = restorer.restore(photograph, "derain+dehaze", {"derain": 0.5, "dehaze": 0.25})
    np.testing.assert_array_equal(found, np.asarray(Image.open(half)))
    none = restorer.restore(photograph, "denoise", 0)
    np.testing.assert_array_equal(none, photograph)
    assert none is not photograph


def test_detail_comes_back_as_with_the_command(
    restorer: cyclerdm.Restorer,
    command: Callable[..., Path],
    photograph: np.ndarray,
    photograph_file: Path,
) -> None:
    expected = np.asarray(Image.open(command(photograph_file, "--task", "denoise", "--detail", "0.7")))
    np.testing.assert_array_equal(restorer.restore(photograph, "denoise", detail=0.7), expected)
    assert (restorer.restore(photograph, "denoise") != expected).any()


def test_the_best_effort_is_that_of_the_command(
    restorer: cyclerdm.Restorer,
    command: Callable[..., Path],
    photograph: np.ndarray,
    photograph_file: Path,
    tmp_path: Path,
) -> None:
    expected = command(photograph_file, "--task", "denoise", "--effort", "best")
    pixels = np.asarray(Image.open(expected))
    np.testing.assert_array_equal(restorer.restore(photograph, "denoise", effort="best"), pixels)
    assert (restorer.restore(photograph, "denoise") != pixels).any()
    (one,) = restorer.restore_files(photograph_file, tmp_path / "out", "denoise", effort="best")
    assert Path(one.output).read_bytes() == expected.read_bytes()


def test_four_threads_share_a_restorer_and_each_network_is_loaded_once(
    families: Path, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = networks_module.load_network

    def note(path: Path, *others: Any) -> Any:
        loaded.append(path.stem)
        return load(path, *others)

    monkeypatch.setattr(networks_module, "load_network", note)
    tasks = ["derain", "dehaze", "denoise", "derain+dehaze"]
    shared = cyclerdm.Restorer("cpu")
    assert loaded == []
    with ThreadPoolExecutor(4) as threads:
        found = [*threads.map(lambda task: shared.restore(photograph, task, 0.9), tasks * 3)]
    assert sorted(loaded) == ["small", "small-dehaze", "small-derain"]
    for task, pixels in zip(tasks * 3, found, strict=True):
        np.testing.assert_array_equal(pixels, cyclerdm.Restorer("cpu").restore(photograph, task, 0.9))


@pytest.mark.usefixtures("small_program")
def test_a_limit_of_memory_holds_for_one_picture_after_the_other(
    families: Path, photograph: np.ndarray, tmp_path: Path
) -> None:
    limited = cyclerdm.Restorer("cpu", memory=600_000_000)
    with ThreadPoolExecutor(3) as threads:
        found = [*threads.map(lambda task: limited.restore(photograph, task), ["derain", "dehaze", "derain"])]
    np.testing.assert_array_equal(found[0], cyclerdm.Restorer("cpu").restore(photograph, "derain"))
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()
    path = saved(Image.fromarray(photograph), tmp_path / "a.png")
    (one,) = limited.restore_files(path, tmp_path / "out", "dehaze")
    np.testing.assert_array_equal(np.asarray(Image.open(one.output)), found[1])
    with pytest.raises(cyclerdm.PictureError, match="more than --memory"):
        limited.restore(np.zeros((12000, 12000, 3), np.uint8), "derain")
    with pytest.raises(cyclerdm.UsageError, match="too little for any picture"):
        cyclerdm.Restorer("cpu", memory=1_000_000).restore(photograph, "derain")


def test_outcomes_say_what_the_records_of_the_command_say(
    restorer: cyclerdm.Restorer, tiny_weights: Path, photograph_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(photograph_file.read_bytes()[:200])
    inputs = [photograph_file, tmp_path / "broken.png", tmp_path / "missing.png"]
    outcomes = [*restorer.restore_files(inputs, tmp_path / "one", "denoise")]
    words = ["restore", *inputs, "-o", tmp_path / "two", "--task", "denoise", "--json", "--device", "cpu"]
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--weights", tiny_weights)])
    records = [json.loads(line) for line in result.stdout.splitlines()[:-1]]
    assert [one.status for one in outcomes] == ["ok", "failed", "failed"]
    for outcome, record in zip(outcomes, records, strict=True):
        found = outcome.record()
        assert list(found) == list(record)
        found["seconds"], found["output"] = record["seconds"], found["output"].replace("one", "two")
        assert found == record


def test_files_are_written_in_the_format_asked_for_and_masks_found_in_folders(
    restorer: cyclerdm.Restorer, photograph_file: Path, photograph: np.ndarray, tmp_path: Path
) -> None:
    mask = np.zeros(photograph.shape[:2], np.uint8)
    mask[:10] = 255
    (tmp_path / "masks").mkdir()
    saved(Image.fromarray(mask), tmp_path / "masks" / "photo.png")
    write = cyclerdm.WriteOptions(format="tiff")
    (one,) = restorer.restore_files(
        [photograph_file], tmp_path / "out", "inpaint", mask=tmp_path / "masks", write=write
    )
    assert one.output == str(tmp_path / "out" / "photo.tif")
    found = Image.open(one.output)
    assert found.format == "TIFF"
    np.testing.assert_array_equal(np.asarray(found), restorer.restore(photograph, "inpaint", mask=mask))


def test_what_is_there_is_kept_skipped_or_replaced(
    restorer: cyclerdm.Restorer, photograph_file: Path, tmp_path: Path
) -> None:
    place = tmp_path / "out" / "photo.png"
    place.parent.mkdir()
    place.write_bytes(b"precious")

    def status(**options: bool) -> str:
        (one,) = restorer.restore_files([photograph_file], place.parent, "denoise", **options)
        return one.status

    assert status() == "failed"
    with pytest.raises(cyclerdm.PictureError, match="exists already"):
        restorer.restore(photograph_file, "denoise", output=place)
    assert status(skip_existing=True) == "skipped"
    assert place.read_bytes() == b"precious"
    assert status(overwrite=True) == "ok"
    with pytest.raises(cyclerdm.UsageError, match="is the input"):
        restorer.restore(photograph_file, "denoise", output=photograph_file, overwrite=True)
    with pytest.raises(cyclerdm.UsageError, match="exclude each other"):
        restorer.restore_files([photograph_file], place.parent, overwrite=True, skip_existing=True)


def test_who_closes_the_iterator_ends_the_work(
    restorer: cyclerdm.Restorer, photograph: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [saved(Image.fromarray(photograph), tmp_path / f"{number}.png") for number in range(8)]
    restored = restorers_module.Restorers.restore
    begun = []

    def wait_for_the_caller(*arguments: Any, **options: Any) -> Any:
        begun.append(1)
        if len(begun) > 2:
            closing.result()
        return restored(*arguments, **options)

    monkeypatch.setattr(restorers_module.Restorers, "restore", wait_for_the_caller)
    outcomes = restorer.restore_files(inputs, tmp_path / "out", "denoise")
    with ThreadPoolExecutor(1) as thread:
        closing = thread.submit(lambda: None)
        assert next(outcomes).status == "ok"
        outcomes.close()  # type: ignore[attr-defined]
    assert len(begun) < len(inputs)
    written = [*(tmp_path / "out").iterdir()]
    assert 1 <= len(written) <= len(begun)
    assert all(Image.open(path).size == (131, 97) for path in written)


@pytest.mark.parametrize(
    ("kind", "words", "call"),
    [
        (cyclerdm.UsageError, "int is no picture", lambda one, a: one.restore(3)),
        (cyclerdm.PictureError, "is no picture", lambda one, a: one.restore(a[..., 0], "denoise")),
        (cyclerdm.PictureError, "float64 is no picture", lambda one, a: one.restore(a / 255, "denoise")),
        (cyclerdm.PictureError, "has no pixels", lambda one, a: one.restore(a[:0], "denoise")),
        (
            cyclerdm.PictureError,
            "values from .* white is 1",
            lambda one, a: one.restore(a.astype(np.float32), "denoise"),
        ),
        (
            cyclerdm.PictureError,
            "values from nan",
            lambda one, a: one.restore(np.full((8, 8, 3), np.nan, np.float32), "denoise"),
        ),
        (
            cyclerdm.PictureError,
            "samples of the kind 'F'",
            lambda one, a: one.restore(Image.new("F", (8, 8)), "denoise"),
        ),
        (cyclerdm.PictureError, "no such file", lambda one, a: one.restore("nowhere/x.png", "denoise")),
        (cyclerdm.PictureError, "no such file", lambda one, a: one.look("nowhere/x.png")),
        (cyclerdm.UsageError, "did you mean 'denoise'", lambda one, a: one.restore(a, "denose")),
        (cyclerdm.UsageError, "strength 2", lambda one, a: one.restore(a, "denoise", 2)),
        (cyclerdm.UsageError, "strength nan", lambda one, a: one.restore(a, "denoise", float("nan"))),
        (cyclerdm.UsageError, "strength of derain", lambda one, a: one.restore(a, "denoise", {"derain": 1})),
        (cyclerdm.UsageError, "detail 2", lambda one, a: one.restore(a, "denoise", detail=2)),
        (cyclerdm.UsageError, "detail goes with", lambda one, a: one.restore(a, "derain", detail=0.5)),
        (cyclerdm.UsageError, "mask goes with", lambda one, a: one.restore(a, "denoise", mask=a[..., 0])),
        (cyclerdm.PictureError, "nothing to fill in", lambda one, a: one.restore(a // 2, "inpaint")),
        (
            cyclerdm.PictureError,
            "the mask is 4 x 3 pixels",
            lambda one, a: one.restore(a, "inpaint", mask=np.ones((3, 4), bool)),
        ),
        (
            cyclerdm.PictureError,
            "would fill in everything",
            lambda one, a: one.restore(a, "inpaint", mask=np.ones(a.shape[:2], bool)),
        ),
        (
            cyclerdm.PictureError,
            "is no mask",
            lambda one, a: one.restore(a, "inpaint", mask=np.ones(a.shape[:2])),
        ),
        (cyclerdm.UsageError, "output and overwrite", lambda one, a: one.restore(a, "denoise", output="x")),
        (cyclerdm.UsageError, "standard output", lambda one, a: one.restore("x.png", "denoise", output="-")),
        (cyclerdm.UsageError, "effort 'most'", lambda one, a: one.restore(a, "denoise", effort="most")),
        (cyclerdm.UsageError, "standard input", lambda one, a: one.restore_files("-")),
        (cyclerdm.UsageError, "no pictures to work on", lambda one, a: one.restore_files([])),
        (cyclerdm.UsageError, "unknown device", lambda one, a: cyclerdm.Restorer("tpu")),
        (cyclerdm.UsageError, "unknown precision", lambda one, a: cyclerdm.Restorer(precision="fp8")),
        (cyclerdm.UsageError, "memory 0", lambda one, a: cyclerdm.Restorer(memory=0)),
        (cyclerdm.WeightsError, "no weights called", lambda one, a: cyclerdm.Restorer(weights="nothing")),
        (cyclerdm.WeightsError, "no such file", lambda one, a: cyclerdm.Restorer(weights="a/b.safetensors")),
    ],
)
def test_bad_arguments_are_one_line_of_a_public_kind(
    kind: type[cyclerdm.CycleRDMError],
    words: str,
    call: Callable[[cyclerdm.Restorer, np.ndarray], object],
    restorer: cyclerdm.Restorer,
    photograph: np.ndarray,
) -> None:
    with pytest.raises(kind, match=words) as caught:
        call(restorer, photograph)
    assert caught.type is kind
    assert len(str(caught.value).splitlines()) == 1


def test_what_nobody_foresaw_is_a_public_fault_too(
    restorer: cyclerdm.Restorer,
    photograph: np.ndarray,
    photograph_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("for the test")

    monkeypatch.setattr(restorers_module.Restorers, "restore", fail)
    for picture in (photograph, Image.fromarray(photograph), photograph_file):
        with pytest.raises(
            cyclerdm.CycleRDMError, match="unexpected ZeroDivisionError: for the test"
        ) as caught:
            restorer.restore(picture, "denoise")
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    (outcome,) = restorer.restore_files([photograph_file], task="denoise")
    assert "unexpected ZeroDivisionError" in (outcome.error or "")


def test_missing_weights_of_a_file_are_a_fault_of_weights(families: Path, photograph_file: Path) -> None:
    one = cyclerdm.Restorer("cpu", offline=True)
    (families / "small-derain.safetensors").unlink()
    with pytest.raises(cyclerdm.WeightsError, match="missing"):
        one.restore(photograph_file, "derain")


class Eye:
    """Sees what it was told to."""

    def __init__(self, **values: float) -> None:
        self.values = values

    def see(self, pixels: np.ndarray) -> np.ndarray:
        assert pixels.dtype == np.uint8
        return np.array([self.values.get(name.replace("-", "_"), 0.02) for name in NAMES])


def test_findings_say_what_auto_does(
    restorer: cyclerdm.Restorer,
    photograph: np.ndarray,
    photograph_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eye_module, "load_eye", lambda: Eye(derain=0.9, clean=0.1))
    for picture in (photograph, Image.fromarray(photograph), photograph_file, str(photograph_file)):
        found = restorer.look(picture)
        assert (found.tasks, found.sure) == (("derain",), True)
        assert found.probabilities["derain"] == 0.9
        assert set(found.probabilities) == set(NAMES)
    expected = restorer.restore(photograph, "derain")
    np.testing.assert_array_equal(restorer.restore(photograph), expected)
    (outcome,) = restorer.restore_files([photograph_file])
    assert (outcome.task, outcome.probabilities) == ("derain", restorer.look(photograph).probabilities)
    assert outcome.notes[0] == restorer.look(photograph).note


def test_an_image_from_a_coarse_jpeg_is_seen_to_be_one(
    restorer: cyclerdm.Restorer, photograph: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eye_module, "load_eye", lambda: Eye(clean=0.9))
    path = saved(Image.fromarray(photograph), tmp_path / "coarse.jpg", quality=15)
    assert restorer.look(Image.open(path)) == restorer.look(path)
    assert restorer.look(path).tasks == ("dejpeg",)


def test_auto_leaves_clean_pictures_alone_and_refuses_unclear_ones(
    tiny_weights: Path, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eye_module, "load_eye", lambda: Eye(clean=0.9))
    clean = cyclerdm.Restorer("cpu", weights=tiny_weights)
    assert clean.look(photograph).tasks == ()
    np.testing.assert_array_equal(clean.restore(photograph), photograph)
    monkeypatch.setattr(eye_module, "load_eye", lambda: Eye(derain=0.4, clean=0.2))
    unclear = cyclerdm.Restorer("cpu", weights=tiny_weights)
    assert not unclear.look(photograph).sure
    with pytest.raises(cyclerdm.PictureError, match="not sure what is wrong"):
        unclear.restore(photograph)


SCRIPT = """
import sys
import cyclerdm_cli
from cyclerdm_cli import Restorer, restore_files, WriteOptions, FileOutcome, Diagnosis, TASKS, PictureError
assert "torch" not in sys.modules, "torch"
import numpy as np
from PIL import Image
one = Restorer("cpu", weights=sys.argv[1])
pixels = np.zeros((40, 50, 3), np.uint8)
one.restore(pixels, "denoise")
one.restore(Image.fromarray(pixels), "denoise")
outcomes = one.restore_files([sys.argv[2], "missing.png"], sys.argv[3], "denoise")
assert [outcome.status for outcome in outcomes] == ["ok", "failed"]
"""


def test_importing_costs_no_torch_and_nothing_is_printed(
    tiny_weights: Path, photograph_file: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", SCRIPT, tiny_weights, photograph_file, tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_public_names_are_there_and_no_others() -> None:
    assert set(cyclerdm.__all__) <= set(dir(cyclerdm))
    for name in cyclerdm.__all__:
        assert getattr(cyclerdm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cyclerdm.nothing  # type: ignore[attr-defined]


DOCS = Path(__file__).parents[2] / "docs"


def test_the_examples_of_the_page_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("rain.png").write_bytes((DOCS / "rain.png").read_bytes())
    names: dict[str, Any] = {}
    said: list[str] = []
    names["print"] = lambda *things: said.append(" ".join(map(str, things)))
    for example in examples:
        exec(compile(example, "docs/python.md", "exec"), names)
    words = ["restore", "rain.png", "--task", "derain", "-o", "by_command.png"]
    assert CliRunner().invoke(app, words).exit_code == 0
    expected = Path("by_command.png").read_bytes()
    assert len(examples[0].strip().splitlines()) <= 15
    assert names["restored_file"].read_bytes() == expected == Path("out/rain.png").read_bytes()
    pixels = np.asarray(Image.open("by_command.png"))
    for result in (names["restored_image"], names["restored_array"], *names["results"]):
        np.testing.assert_array_equal(np.asarray(result), pixels)
    assert names["findings"].tasks == ("derain",)
    assert Image.open("jpegs/rain.jpg").format == "JPEG"
    assert not (names["repaired"][140:144] == 0).all()
    assert said[0].startswith("ok out/rain.png")
    assert said[-2:] == ["missing.png: no such file"] * 2
