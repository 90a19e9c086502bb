"""`--task auto` and `--prompt`, as a shell sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import write_tiny
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.words import clip as clip_module
from cyclerdm_cli.words import eye as eye_module
from cyclerdm_cli.words.wordings import NAMES

See = Callable[..., None]


class Eye:
    """Sees in every picture what it was told to, or what its mean brightness is told to mean."""

    names = NAMES

    def __init__(self, **values: float) -> None:
        self.values = {name.replace("_", "-"): value for name, value in values.items()}

    def see(self, pixels: np.ndarray) -> np.ndarray:
        assert pixels.dtype == np.uint8
        values = {"low-light": 0.95} if pixels.mean() < 30 else self.values
        return np.array([values.get(name, 0.02) for name in NAMES])

    def read(self, sentences: list[str]) -> list[list[float]]:
        return [[0.9 * (name in sentence) for name in NAMES] for sentence in sentences]


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> See:
    def set_eye(**values: float) -> None:
        monkeypatch.setattr(clip_module, "load_clip", lambda path: Eye(**values))
        monkeypatch.setattr(eye_module, "load_eye", lambda: Eye(**values))

    return set_eye


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def restore(tiny_weights: Path) -> list[str]:
    return ["restore", "--weights", str(tiny_weights), "--device", "cpu"]


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_without_a_task_restore_looks_and_says_what_it_saw(
    restore: list[str], photograph_file: Path, sees: See
) -> None:
    sees(dehaze=0.92, derain=0.95)
    status, out, err = call(*restore, photograph_file)
    result = photograph_file.with_name("photo_auto.png")
    assert (status, out.splitlines()) == (0, [str(result)])
    assert "derain+dehaze (derain 0.95, dehaze 0.92)" in err
    assert call(*restore, "--task", "derain+dehaze", photograph_file)[0] == 0
    np.testing.assert_array_equal(
        pixels_of(result), pixels_of(photograph_file.with_name("photo_derain+dehaze.png"))
    )


def test_a_second_damage_of_light_is_suggested(
    restore: list[str], photograph_file: Path, sees: See, tmp_path: Path
) -> None:
    sees(derain=0.95, backlight=0.8)
    status, out, err = call(*restore, photograph_file, "-o", tmp_path / "out.png", "--json")
    assert (status, json.loads(out.splitlines()[0])["task"]) == (0, "derain")
    assert "derain (derain 0.95, backlight 0.80; perhaps backlight too)" in err


def test_both_commands_call_on_the_other_ones_tasks(
    tiny_weights: Path, photograph_file: Path, sees: See, tmp_path: Path
) -> None:
    sees(denoise=0.7, low_light=0.9)
    for command in ("restore", "enhance"):
        words = [command, "--task", "auto", "--weights", tiny_weights, photograph_file, "--json"]
        status, out, _ = call(*words, "-o", tmp_path / f"{command}.png")
        assert status == 0
        record = json.loads(out.splitlines()[0])
        assert record["task"] == "denoise+low-light"
        assert record["probabilities"]["low-light"] == 0.9
        assert set(record["probabilities"]) == set(NAMES)


def test_a_clean_picture_is_copied_byte_by_byte(
    restore: list[str], photograph_file: Path, sees: See, tmp_path: Path
) -> None:
    sees(clean=0.97)
    status, out, err = call(*restore, photograph_file, "-o", tmp_path / "out" / "photo.png", "--json")
    assert status == 0
    assert "nothing wrong, left as it is (clean 0.97)" in err
    assert (tmp_path / "out" / "photo.png").read_bytes() == photograph_file.read_bytes()
    record = json.loads(out.splitlines()[0])
    assert (record["status"], record["task"], record["tiles"]) == ("ok", "none", 0)


def test_a_clean_picture_in_another_format_keeps_its_pixels(
    restore: list[str], photograph_file: Path, sees: See, tmp_path: Path
) -> None:
    sees(clean=0.97)
    assert call(*restore, photograph_file, "-o", tmp_path / "photo.tiff")[0] == 0
    np.testing.assert_array_equal(pixels_of(tmp_path / "photo.tiff"), pixels_of(photograph_file))


@pytest.mark.parametrize(
    ("quality", "seen", "task"),
    [
        (15, {"clean": 0.97}, "dejpeg"),
        (15, {"denoise": 0.9}, "dejpeg+denoise"),
        (15, {"deblur": 0.22}, "dejpeg"),  # alone it would be doubted
        (80, {"clean": 0.97}, "none"),
    ],
)
def test_a_jpeg_says_itself_that_it_is_coarse(
    restore: list[str], photograph: np.ndarray, sees: See, tmp_path: Path,
    quality: int, seen: dict[str, float], task: str,
) -> None:  # fmt: skip
    sees(**seen)
    Image.fromarray(photograph).save(tmp_path / "photo.jpg", quality=quality)
    status, out, err = call(*restore, tmp_path / "photo.jpg", "--json", "-o", tmp_path / "out.png")
    record = json.loads(out.splitlines()[0])
    assert (status, record["task"]) == (0, task)
    assert ("JPEG of quality 15" in err) == (quality == 15)
    assert (record["probabilities"]["dejpeg"] == 1) == (quality == 15)


def test_compression_that_the_weights_cannot_undo_is_left_alone(
    photograph: np.ndarray, sees: See, tmp_path: Path
) -> None:
    sees(clean=0.97)
    write_tiny(tmp_path / "older.safetensors", 0, ("denoise", "derain"))
    Image.fromarray(photograph).save(tmp_path / "photo.jpg", quality=15)
    words = ["restore", "--weights", tmp_path / "older.safetensors", "--device", "cpu"]
    status, out, _ = call(*words, tmp_path / "photo.jpg", "--json", "-o", tmp_path / "out.jpg")
    assert (status, json.loads(out.splitlines()[0])["task"]) == (0, "none")
    assert (tmp_path / "out.jpg").read_bytes() == (tmp_path / "photo.jpg").read_bytes()


def test_a_doubtful_picture_fails_alone_and_asks_for_the_task(
    restore: list[str], photograph_file: Path, sees: See, tmp_path: Path
) -> None:
    sees(deblur=0.22)
    Image.linear_gradient("L").resize((64, 48)).point(lambda value: value // 10).save(tmp_path / "dark.png")
    status, out, err = call(
        *restore, photograph_file, tmp_path / "dark.png", "-o", tmp_path / "out", "--json"
    )
    assert status == 3
    doubtful, dark, _ = (json.loads(line) for line in out.splitlines())
    assert doubtful["status"] == "failed"
    assert "--task" in doubtful["error"]
    assert "deblur 0.22" in doubtful["error"]
    assert doubtful["probabilities"]["deblur"] == 0.22
    assert (dark["status"], dark["task"]) == ("ok", "low-light")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dark.png"]
    assert "not sure" in err


def test_pictures_of_one_size_with_other_damage_are_not_mixed_up(
    restore: list[str], photograph: np.ndarray, sees: See, tmp_path: Path
) -> None:
    sees(denoise=0.9)
    Image.fromarray(photograph).save(tmp_path / "a.png")
    Image.fromarray(photograph // 6).save(tmp_path / "b.png")
    assert call(*restore, tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out")[0] == 0
    for name, task in (("a", "denoise"), ("b", "low-light")):
        command = "enhance" if task == "low-light" else "restore"
        words = [command, *restore[1:], "--task", task, tmp_path / f"{name}.png"]
        assert call(*words, "-o", tmp_path / f"{name}_alone.png")[0] == 0
        np.testing.assert_array_equal(
            pixels_of(tmp_path / "out" / f"{name}.png"), pixels_of(tmp_path / f"{name}_alone.png")
        )


def test_a_prompt_chooses_the_tasks(restore: list[str], photograph_file: Path, sees: See) -> None:
    sees()
    status, _, err = call(*restore, photograph_file, "--prompt", "derain and low-light")
    assert status == 0
    assert "understood: derain, low-light" in err
    assert photograph_file.with_name("photo_derain+low-light.png").is_file()


def test_what_is_not_understood_is_a_usage_error(
    restore: list[str], photograph_file: Path, sees: See
) -> None:
    sees()
    for words in (["--prompt", "xyzzy"], ["--prompt", "derain", "--task", "derain"], ["--clip", "a:b"]):
        status, _, err = call(*restore, photograph_file, *words)
        assert status == 2
        assert len(err.splitlines()) == 1
    assert sorted(path.name for path in photograph_file.parent.iterdir()) == ["photo.png"]


def test_enhance_looks_too_where_no_task_is_named(
    tiny_weights: Path, photograph_file: Path, sees: See
) -> None:
    sees(low_light=0.9)
    status, out, err = call("enhance", "--weights", tiny_weights, "--device", "cpu", photograph_file)
    assert (status, out.splitlines()) == (0, [str(photograph_file.with_name("photo_auto.png"))])
    assert "low-light (low-light 0.90" in err
