"""The contract of the command line, as a shell sees it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app


def call(*words: str | Path) -> tuple[int, str, str]:
    """Run the command in this process: exit status, standard output, standard error."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str]:
    return ["restore", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


def test_the_result_stands_beside_the_input_and_is_named(denoise: list[str], photograph_file: Path) -> None:
    status, out, err = call(*denoise, photograph_file)
    result = photograph_file.with_name("photo_denoise.png")
    assert (status, out.splitlines()) == (0, [str(result)])
    assert err == ""
    assert Image.open(result).size == Image.open(photograph_file).size


def test_the_same_call_gives_the_same_bytes(
    denoise: list[str], photograph_file: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        assert call(*denoise, photograph_file, "-o", tmp_path / name)[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_json_speaks_of_every_file_and_ends_with_a_summary(
    denoise: list[str], photograph_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(photograph_file.read_bytes()[:200])
    status, out, _ = call(
        *denoise, "--json", photograph_file, tmp_path / "broken.png", "-o", tmp_path / "out"
    )
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 3
    good, bad, summary = records
    assert (good["status"], good["width"], good["height"], good["tiles"]) == ("ok", 131, 97, 1)
    assert good["sha256"] == hashlib.sha256((tmp_path / "out" / "photo.png").read_bytes()).hexdigest()
    assert bad["status"] == "failed"
    assert "broken.png" in bad["error"]
    assert (summary["summary"]["ok"], summary["summary"]["failed"]) == (1, 1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photo.png"]


def test_an_output_that_exists_is_kept_unless_asked(
    denoise: list[str], photograph_file: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(b"precious")
    status, _, err = call(*denoise, photograph_file, "-o", there)
    assert status == 1
    assert "exists already" in err
    assert len(err.splitlines()) == 1
    assert there.read_bytes() == b"precious"
    assert call(*denoise, photograph_file, "-o", there, "--skip-existing")[0] == 0
    assert there.read_bytes() == b"precious"
    assert call(*denoise, photograph_file, "-o", there, "--overwrite")[0] == 0
    assert Image.open(there).size == (131, 97)


def test_the_best_effort_costs_four_times_the_tiles_and_changes_the_result(
    denoise: list[str], photograph_file: Path, tmp_path: Path
) -> None:
    found = {}
    for name, words in (("n", []), ("one", ["--effort", "best", "--jobs", "1"]), ("b", ["--effort", "best"])):
        status, out, _ = call(*denoise, photograph_file, "-o", tmp_path / f"{name}.png", "--json", *words)
        record = json.loads(out.splitlines()[0])
        assert (status, record["tiles"]) == (0, 4 if words else 1)
        found[name] = record["sha256"]
    assert found["one"] == found["b"] != found["n"]
    status, out, _ = call(*denoise, photograph_file, "--effort", "best", "--dry-run")
    assert (status, out.strip().endswith("(4 tiles)")) == (0, True)
    status, _, err = call(*denoise, photograph_file, "--effort", "most")
    assert (status, err) == (2, "cyclerdm: --effort most: is none of normal, best\n")


def test_compare_writes_before_and_after(
    denoise: list[str], photograph_file: Path, tmp_path: Path, photograph: np.ndarray
) -> None:
    assert call(*denoise, photograph_file, "-o", tmp_path / "x.png", "--compare")[0] == 0
    both = np.asarray(Image.open(tmp_path / "x_compare.png"))
    np.testing.assert_array_equal(both[:, :131], photograph)
    np.testing.assert_array_equal(both[:, -131:], np.asarray(Image.open(tmp_path / "x.png")))


@pytest.mark.parametrize(
    ("words", "name", "size"),
    [
        (["--compare", "{photo}", "--seed", "0"], "x_compare.png", (264, 97)),
        (["{photo}", "--compare=split"], "x_compare.png", (300, 131)),
        (["{photo}", "--compare", "animated", "--seed", "0"], "x_compare.webp", (300, 131)),
        (["--compare", "--", "{photo}"], "x_compare.png", (264, 97)),
    ],
)
def test_a_comparison_has_a_kind_or_is_side_by_side(
    denoise: list[str],
    photograph_file: Path,
    tmp_path: Path,
    words: list[str],
    name: str,
    size: tuple[int, int],
) -> None:
    given = [word.format(photo=photograph_file) for word in words]
    status, out, err = call(*denoise, "-o", tmp_path / "x.png", "--json", *given)
    assert status == 0, err
    assert json.loads(out.splitlines()[0])["compare"] == str(tmp_path / name)
    image = Image.open(tmp_path / name)
    assert image.size == size
    assert image.getexif()[270] == "before: photo.png, after: x.png"


def test_a_kind_of_comparison_that_there_is_not_is_refused(denoise: list[str], photograph_file: Path) -> None:
    status, _, err = call(*denoise, photograph_file, "--compare=spilt")
    said = "cyclerdm: --compare spilt (allowed: side, split, diagonal, detail, animated)\n"
    assert (status, err) == (2, said)


def test_tasks_one_after_the_other(tiny_weights: Path, photograph_file: Path, tmp_path: Path) -> None:
    both = ["restore", "--weights", tiny_weights, "--task"]
    assert call(*both, "derain+dehaze", photograph_file, "-o", tmp_path / "once.png")[0] == 0
    assert call(*both, "derain", photograph_file, "-o", tmp_path / "first.png")[0] == 0
    assert call(*both, "dehaze", tmp_path / "first.png", "-o", tmp_path / "second.png")[0] == 0
    once, second = (np.asarray(Image.open(tmp_path / name)) for name in ("once.png", "second.png"))
    np.testing.assert_array_equal(once, second)


@pytest.mark.parametrize(
    ("command", "words", "task"),
    [
        ("restore", ["--task", "Denoise"], "denoise"),
        ("restore", ["--task", "low-light"], "low-light"),
        ("restore", ["--task", "LOW_LIGHT"], "low-light"),
        ("enhance", ["--task", "derain,Low-Light"], "derain+low-light"),
        ("enhance", ["--task", "derain + dehaze"], "derain+dehaze"),
        ("enhance", ["--task", "Auto"], "auto"),
        ("enhance", [], "auto"),
        ("restore", [], "auto"),
    ],
)
def test_both_commands_take_every_task_however_it_is_typed(
    command: str, words: list[str], task: str, tiny_weights: Path, photograph_file: Path
) -> None:
    fixed = ["--weights", tiny_weights, "--device", "cpu", "--dry-run", "--json"]
    status, out, err = call(command, photograph_file, *words, *fixed)
    assert status == 0, err
    assert json.loads(out)["task"] == task


@pytest.mark.parametrize(
    ("word", "extension", "format"),
    [("jpeg", ".jpg", "JPEG"), ("tif", ".tif", "TIFF"), ("BMP", ".bmp", "BMP")],
)
def test_formats_have_their_other_names(
    word: str, extension: str, format: str, denoise: list[str], photograph_file: Path
) -> None:
    status, out, err = call(*denoise, photograph_file, "--format", word)
    assert status == 0, err
    assert out.strip() == str(photograph_file.with_name(f"photo_denoise{extension}"))
    assert Image.open(out.strip()).format == format


def test_a_mask_says_what_is_missing(tiny_weights: Path, photograph_file: Path, tmp_path: Path) -> None:
    mask = np.zeros((97, 131), np.uint8)
    mask[10:30, 20:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    inpaint = ["restore", "--task", "inpaint", "--weights", tiny_weights, photograph_file]
    status, _, _ = call(*inpaint, "--mask", tmp_path / "mask.png", "-o", tmp_path / "filled.png")
    assert status == 0
    before, after = (np.asarray(Image.open(path)) for path in (photograph_file, tmp_path / "filled.png"))
    np.testing.assert_array_equal(before[mask == 0], after[mask == 0])
    assert (before[mask > 0] != after[mask > 0]).any()

    Image.fromarray(mask[:50]).save(tmp_path / "small.png")
    status, _, err = call(*inpaint, "--mask", tmp_path / "small.png", "-o", tmp_path / "not.png")
    assert status == 1
    assert "131 x 50" in err
    assert "131 x 97" in err
    assert not (tmp_path / "not.png").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["restore", "PHOTO", "--task", "denoize"], 2, "did you mean 'denoise'"),
        (["restore", "PHOTO", "--task", "denoise", "--device", "cuda:7"], 2, "cuda:7"),
        (["restore", "PHOTO", "--task", "denoise", "--device", "abacus"], 2, "unknown device"),
        (["restore", "PHOTO", "--task", "denoise", "--precision", "fp8"], 2, "unknown precision"),
        (["restore", "PHOTO", "--task", "denoise", "--tile", "big"], 2, "--tile"),
        (["restore", "PHOTO", "--task", "denoise", "--mask", "PHOTO"], 2, "--task inpaint"),
        (
            ["restore", "PHOTO", "--task", "denoise", "--overwrite", "--skip-existing"],
            2,
            "exclude each other",
        ),
        (["restore", "PHOTO", "--task", "denoise", "-o", "-", "--json"], 2, "standard output"),
        (["restore", "PHOTO", "--task", "denoise", "-o", "PHOTO"], 2, "never overwritten"),
        (["restore", "PHOTO", "--task", "denoise", "-o", "out/{stam}.png"], 2, "did you mean {stem}"),
        (["restore", "missing.png", "--task", "denoise"], 1, "missing.png"),
        (["restore", "EMPTY", "--task", "denoise"], 2, "no pictures"),
        (["restore", "TEXT", "--task", "denoise"], 1, "TEXT"),
        (["restore", "PHOTO", "--task", "denoise", "--weights", "no-such"], 4, "no weights called"),
        (["restore", "PHOTO", "--task", "denoise", "--weights", "TEXT"], 4, "damaged, or not safetensors"),
        (["restore", "PHOTO", "--task", "denoise", "--limit-pixels", "100"], 1, "photo.png"),
        (["restore", "PHOTO", "--task", "auto+denoise"], 2, "unknown task 'auto'"),
    ],
)
def test_bad_input_is_one_line_the_right_status_and_no_output(
    words: list[str], status: int, said: str, photograph_file: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jpg").write_text("not a picture")
    places = {
        "PHOTO": str(photograph_file),
        "EMPTY": str(tmp_path / "empty"),
        "TEXT": str(tmp_path / "text.jpg"),
    }
    words = [places.get(word, word) for word in words]
    if "--weights" not in words:
        words += ["--weights", str(tiny_weights)]
    before = sorted(path.name for path in tmp_path.rglob("*"))
    found, out, err = call(*words)
    assert found == status, err
    assert places.get(said, said) in err
    assert len(err.splitlines()) == 1
    assert out == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def run(*words: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "cyclerdm_cli", *map(str, words)], capture_output=True, timeout=120, **options
    )


def test_help_comes_without_torch() -> None:
    program = (
        "import sys; from cyclerdm_cli.app import app\n"
        "try: app(['{}', '--help'], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "heavy = {{'torch', 'numpy', 'cv2', 'PIL', 'pywt'}} & set(sys.modules)\n"
        "sys.exit(f'imported: {{heavy}}' if heavy else 0)"
    )
    for command in ("restore", "enhance", "train", "env"):
        done = subprocess.run([sys.executable, "-c", program.format(command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Example" in done.stdout or command == "env"


def test_a_pipe_goes_in_and_comes_out(tiny_weights: Path, photograph_file: Path) -> None:
    done = run(
        "restore", "-", "-o", "-", "--task", "denoise", "--weights", tiny_weights,
        input=photograph_file.read_bytes(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\x89PNG")


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupted_run_leaves_whole_files_and_says_how_to_go_on(
    tiny_weights: Path, photograph_file: Path, tmp_path: Path
) -> None:
    for number in range(400):
        (tmp_path / f"in{number:03}.png").symlink_to(photograph_file)
    words = [
        "restore",
        str(tmp_path),
        "-o",
        str(tmp_path / "out"),
        "--task",
        "denoise",
        "--weights",
        str(tiny_weights),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "cyclerdm_cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "out").glob("*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "--skip-existing" in err
    for path in (tmp_path / "out").iterdir():
        assert path.suffix == ".png", "a temporary file was left"
        Image.open(path).load()
