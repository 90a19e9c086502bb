"""`cyclerdm try`, as a shell sees it."""

from __future__ import annotations

import base64
import io
import re
import shlex
import webbrowser
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.trying.trying import DETAIL
from cyclerdm_cli.words import eye as eye_module
from cyclerdm_cli.words.wordings import NAMES


class Eye:
    """Sees rain in every picture."""

    def see(self, pixels: np.ndarray) -> np.ndarray:
        return np.array([{"derain": 0.9, "desnow": 0.2}.get(name, 0.02) for name in NAMES])


@pytest.fixture(autouse=True)
def _sees_rain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eye_module, "load_eye", lambda: Eye())


@pytest.fixture
def words(tiny_weights: Path) -> list[str]:
    return ["try", "--weights", str(tiny_weights), "--device", "cpu", "--precision", "fp32"]


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def commands(page: Path) -> list[str]:
    return [
        unescape(found) for found in re.findall(r'data-command="([^"]*)"', page.read_text(encoding="utf-8"))
    ]


def test_the_page_lies_beside_the_picture_and_the_likeliest_task_comes_first(
    words: list[str], photograph_file: Path
) -> None:
    status, out, err = call(*words, photograph_file)
    page = photograph_file.with_name("photo_try.html")
    assert (status, out) == (0, f"{page}\n")
    assert "Auto would run derain" in err
    assert "--task derain " in commands(page)[0]
    assert "--task desnow " in commands(page)[1]


def test_the_command_on_the_page_gives_what_the_page_shows(
    words: list[str], photograph_file: Path, tmp_path: Path
) -> None:
    assert call(*words, photograph_file, "--task", "derain", "-o", tmp_path / "page.html")[0] == 0
    (command,) = commands(tmp_path / "page.html")
    program, *rest = shlex.split(command)
    assert program == "cyclerdm"
    assert call(*rest, "-o", tmp_path / "result.png")[0] == 0
    result = np.asarray(Image.open(tmp_path / "result.png")).astype(int)
    assert max(result.shape) < DETAIL
    shown = re.findall(r'base64,([^"]+)', (tmp_path / "page.html").read_text(encoding="utf-8"))
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown[-1])))).astype(int)
    before = np.asarray(Image.open(photograph_file)).astype(int)
    assert np.abs(found - result).mean() < np.abs(found - before).mean() / 4


def test_a_page_that_is_there_stays_unless_it_is_said(words: list[str], photograph_file: Path) -> None:
    page = photograph_file.with_name("photo_try.html")
    page.write_text("mine")
    status, out, err = call(*words, photograph_file)
    assert (status, out, page.read_text()) == (1, "", "mine")
    assert "exists already" in err
    assert call(*words, photograph_file, "--overwrite")[0] == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_inputs_are_never_overwritten(words: list[str], photograph_file: Path, tiny_weights: Path) -> None:
    before = photograph_file.read_bytes(), tiny_weights.read_bytes()
    for target in (photograph_file, tiny_weights):
        status, _, err = call(*words, photograph_file, "-o", target, "--overwrite")
        assert status == 2
        assert "is the input" in err
    assert (photograph_file.read_bytes(), tiny_weights.read_bytes()) == before


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_bad_picture_is_one_line_and_leaves_no_page(
    words: list[str], tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "bad.jpg").write_bytes(content)
    status, out, err = call(*words, tmp_path / "bad.jpg")
    assert (status, out) == (1, "")
    assert len(err.strip().splitlines()) == 1
    assert "bad.jpg" in err
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--task", "derian"], "did you mean 'derain'?"),
        (["--task", "inpaint"], "nothing to fill in"),
        (["--open", "-o", "-"], "exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: list[str], photograph_file: Path, more: list[str], said: str
) -> None:
    status, out, err = call(*words, photograph_file, *more)
    assert status in (1, 2)
    assert out == ""
    assert said in err


def test_standard_input_is_refused_as_it_has_no_name(words: list[str]) -> None:
    status, _, err = call(*words, "-")
    assert status == 2
    assert "name" in err


def test_the_page_goes_into_a_pipe(words: list[str], photograph_file: Path) -> None:
    status, out, _ = call(*words, photograph_file, "--task", "denoise", "-o", "-")
    assert status == 0
    assert out.startswith("<!doctype html>")


@pytest.mark.parametrize("found", [True, False])
def test_the_page_is_opened_in_the_browser_where_there_is_one(
    words: list[str], photograph_file: Path, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or found)
    status, _, err = call(*words, photograph_file, "--task", "denoise", "--open")
    assert status == 0
    assert opened == [photograph_file.with_name("photo_try.html").as_uri()]
    assert ("no browser was found" in err) is not found
