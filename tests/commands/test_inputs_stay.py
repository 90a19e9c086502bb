"""No file that a run reads is ever replaced by what it writes, by whatever name or road."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Lock

import pytest
from odd_folder import saved, scene
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.restoring import one_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str]:
    return ["restore", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder `photos` of three pictures in the working folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(saved(scene(32, 40, seed=number), "PNG"))
    return folder


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("more", [[], ["--overwrite"], ["--skip-existing"]])
@pytest.mark.parametrize(
    "output",
    [
        "new/../photos",
        "new/../photos/",
        "photos/new/..",
        "new/er/../../photos",
        "{task}/../photos/{stem}{ext}",
    ],
)
def test_folders_that_are_not_there_yet_hide_no_inputs(
    output: str, more: list[str], denoise: list[str], photos: Path
) -> None:
    before = bytes_in(photos)
    status, out, err = call(*denoise, "photos", "-o", output, *more)
    assert (status, out) == (2, ""), err
    assert "never overwritten" in err
    assert bytes_in(photos) == before
    assert os.listdir() == ["photos"]


def test_nor_any_other_file(denoise: list[str], photos: Path) -> None:
    Path("precious.png").write_bytes(b"precious")
    status, _, err = call(*denoise, "photos/0.png", "-o", "new/../precious.png")
    assert status == 1
    assert "exists already" in err
    assert Path("precious.png").read_bytes() == b"precious"


@pytest.mark.parametrize("moment", ["write_atomically", "encode_into"])
@pytest.mark.parametrize("more", [[], ["--overwrite"], ["--skip-existing"]])
def test_a_folder_that_becomes_a_link_to_the_inputs_meanwhile(
    more: list[str], moment: str, denoise: list[str], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bytes_in(photos)
    Path("out").mkdir()
    original, one_at_a_time = getattr(one_file, moment), Lock()

    def swapping(*arguments: object, **more: object) -> object:
        with one_at_a_time:  # several threads write
            if not Path("out").is_symlink():
                Path("out").rename("gone")
                Path("out").symlink_to("photos")
        return original(*arguments, **more)

    monkeypatch.setattr(one_file, moment, swapping)
    status, _, err = call(*denoise, "photos", "-o", "out", *more)
    assert bytes_in(photos) == before
    if moment == "encode_into":  # the temporary file went with the folder
        assert status, err
    else:
        assert status == (0 if more == ["--skip-existing"] else 1), err


def test_a_result_that_appears_meanwhile_stays(
    denoise: list[str], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = one_file.encode_into

    def slower(*arguments: object) -> None:
        Path("out/0.png").write_bytes(b"somebody else's")
        encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(one_file, "encode_into", slower)
    status, _, err = call(*denoise, "photos/0.png", "-o", "out")
    assert (status, Path("out/0.png").read_bytes()) == (1, b"somebody else's")
    assert "exists already" in err


@pytest.mark.parametrize("kind", ["list", "mask", "masks", "weights", "standard input"])
def test_what_is_read_beside_the_pictures_is_an_input_too(
    kind: str, denoise: list[str], photos: Path, tiny_weights: Path
) -> None:
    words = [*denoise, "photos/0.png", "--overwrite", "--format", "png", "-o", "precious"]
    precious = Path("precious")
    stream = None
    if kind == "list":
        precious.write_text("photos/0.png\n")
        words[7] = "@precious"
    elif kind == "mask":
        precious.write_bytes(saved(scene(32, 40), "PNG"))
        words += ["--mask", "precious", "--task", "inpaint"]
    elif kind == "masks":
        Path("masks").mkdir()
        precious = Path("masks/0.png")
        precious.write_bytes(saved(scene(32, 40), "PNG"))
        words += ["--mask", "masks", "--task", "inpaint", "-o", "masks"]
    elif kind == "weights":
        precious.write_bytes(tiny_weights.read_bytes())
        words += ["--weights", "./precious"]
    else:
        precious.write_bytes((photos / "0.png").read_bytes())
        words[7] = "-"
        stream = precious.open("rb")
    if kind != "masks":
        precious = precious.rename("precious.png")
        words = [word.replace("precious", "precious.png") for word in words]
    before = precious.read_bytes()
    if stream is None:
        status, out, err = call(*words)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "cyclerdm_cli", *words], stdin=stream, capture_output=True, text=True
        )
        status, out, err = done.returncode, done.stdout, done.stderr
    assert (status, out) == (2, ""), err
    assert "never overwritten" in err
    assert precious.read_bytes() == before


def test_a_result_of_an_earlier_run_is_replaced_where_that_is_asked(denoise: list[str], photos: Path) -> None:
    assert call(*denoise, "photos")[0] == 0
    first = Path("photos/0_denoise.png").read_bytes()
    Path("photos/0_denoise.png").write_bytes(b"old")
    status, _, err = call(*denoise, "photos", "--overwrite")
    assert status == 0, err
    assert Path("photos/0_denoise.png").read_bytes() == first


@pytest.mark.parametrize("option", ["--json", "--csv", "--report"])
@pytest.mark.parametrize("name", ["lq/0.png", "gt/0.png", "lq/new/../0.png", "peer/0.png", "own.safetensors"])
def test_results_of_bench_are_written_over_no_input(
    option: str, name: str, photos: Path, tiny_weights: Path
) -> None:
    photos.rename("lq")
    for folder in ("gt", "peer"):
        Path(folder).mkdir()
        for path in Path("lq").iterdir():
            (Path(folder) / path.name).write_bytes(path.read_bytes())
    Path("own.safetensors").write_bytes(tiny_weights.read_bytes())
    before = Path(os.path.normpath(name)).read_bytes()
    words = ["--lq", "lq", "--gt", "gt", "--task", "denoise", "--weights", "own.safetensors"]
    status, out, err = call("bench", *words, "--outputs", "peer", option, name)
    assert Path(os.path.normpath(name)).read_bytes() == before
    assert (status, out) == (2, ""), err
    assert "never overwritten" in err


def test_two_files_of_results_are_not_one(photos: Path, tiny_weights: Path) -> None:
    words = ["--lq", "photos", "--task", "denoise", "--weights", tiny_weights]
    status, _, err = call("bench", *words, "--json", "r", "--report", "new/../r")
    assert status == 2
    assert "cannot be one" in err
    assert not Path("r").exists()


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (
            ["--data", "photos", "--out", "run", "--init", "run/weights.safetensors"],
            "run/weights.safetensors",
        ),
        (["--data", "photos", "--out", "run", "--config", "run/recipe.json"], "run/recipe.json"),
        (["--data", "photos", "--out", "new/../photos"], "photos/samples.png"),
        (["--data", "pairs", "--out", "pairs/gt"], "pairs/gt/samples.png"),
    ],
)
def test_a_training_writes_over_nothing_that_it_reads(words: list[str], kept: str, photos: Path) -> None:
    place = Path(kept)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"before")
    status, out, err = call("train", *words, "--task", "Denoise", "--iterations", "1")
    assert (status, out, place.read_bytes()) == (2, "", b"before"), err
    assert "--out" in err or "never overwritten" in err
