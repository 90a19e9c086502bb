"""What other programs build upon: summaries, progress, records, the manual page, completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.commands import progress as telling
from cyclerdm_cli.commands.manual import manual_page
from cyclerdm_cli.commands.progress import Lines


def call(*words: str | Path, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], env=environment, prog_name="cyclerdm")
    return result.exit_code, result.stdout, result.stderr


def records(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects among lines."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str]:
    return ["restore", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


@pytest.fixture
def folder(photograph_file: Path, tmp_path: Path) -> Path:
    """Return a folder of a good picture and a damaged one."""
    (tmp_path / "in").mkdir()
    photograph_file.rename(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:200])
    return tmp_path / "in"


def test_the_summary_goes_into_a_file_instead_of_the_last_line(
    denoise: list[str], folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "summary.json"
    place.write_text("of an earlier run")
    status, out, _ = call(*denoise, folder, "-o", tmp_path / "out", "--json", "--summary-json", place)
    assert status == 3
    assert [record["status"] for record in records(out)] == ["ok", "failed"]
    summary = json.loads(place.read_text())["summary"]
    assert {key: summary[key] for key in ("ok", "skipped", "failed")} == {"ok": 1, "skipped": 0, "failed": 1}
    status, out, _ = call(*denoise, folder / "a.png", "-o", tmp_path / "x.png", "--summary-json", place)
    assert (status, out) == (0, f"{tmp_path / 'x.png'}\n")
    assert json.loads(place.read_text())["summary"]["ok"] == 1


def test_the_summary_takes_no_place_of_a_picture(denoise: list[str], folder: Path, tmp_path: Path) -> None:
    picture, result = folder / "a.png", tmp_path / "x.png"
    before = picture.read_bytes()
    (tmp_path / "link.json").symlink_to(picture)
    for place, said in (
        (picture, "is an input"),
        (tmp_path / "link.json", "is an input"),
        (result, "a result goes there"),
        (tmp_path / "x_compare.png", "a result goes there"),
        (folder, "is a folder"),
    ):
        status, _, err = call(*denoise, picture, "-o", result, "--compare", "--summary-json", place)
        assert (status, said in err) == (2, True), err
    assert picture.read_bytes() == before
    assert not result.exists()


def test_a_dry_run_writes_no_summary(denoise: list[str], folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "summary.json"
    assert call(*denoise, folder / "a.png", "--dry-run", "--summary-json", place)[0] == 0
    assert not place.exists()


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
def test_the_summary_goes_through_a_pipe(denoise: list[str], folder: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert call(*denoise, folder / "a.png", "-o", tmp_path / "x.png", "--summary-json", pipe)[0] == 0
    reader.join(30)
    assert json.loads(read[0])["summary"]["ok"] == 1


def test_progress_is_told_as_json_on_standard_error(denoise: list[str], folder: Path, tmp_path: Path) -> None:
    words = [*denoise, folder, "-o", tmp_path / "out", "--progress", "json"]
    status, out, err = call(*words, "--quiet")
    told = records(err)
    assert status == 3
    assert out == f"{tmp_path / 'out' / 'a.png'}\n"
    assert told[0] == {
        "done": 0, "total": 2, "file": None, "status": None, "seconds": told[0]["seconds"], "eta": None,
        "tile": 0, "tiles": 0,
    }  # fmt: skip
    files = [line for line in told if line["file"]]
    assert [(line["done"], Path(line["file"]).name, line["status"]) for line in files] == [
        (1, "a.png", "ok"), (2, "b.png", "failed"),
    ]  # fmt: skip
    assert (files[-1]["eta"], files[-1]["tile"]) == (0, 0)
    assert all(before["seconds"] <= after["seconds"] for before, after in pairwise(told))
    assert any(line.startswith("cyclerdm: ") for line in err.splitlines()), "faults are words all the same"
    assert not records(call(*denoise, folder / "a.png", "--progress", "none")[2])


def test_what_is_left_is_reckoned_with_tiles_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: now[0])
    lines = Lines(2)
    lines.put()
    lines.expect_tiles(4)
    for _ in range(4):
        now[0] += 0.3
        lines.tile_done()
    lines.file_done("ä.png", "ok")
    told = capsys.readouterr().err
    assert told.isascii()
    assert [(one["tile"], one["file"], one["eta"]) for one in records(told)] == [
        (0, None, None), (2, None, 1.8), (4, None, 1.2), (4, "ä.png", 0.0),
    ]  # fmt: skip


def test_a_way_of_telling_that_there_is_not_is_refused(denoise: list[str], folder: Path) -> None:
    status, _, err = call(*denoise, folder / "a.png", "--progress", "xml")
    assert (status, err) == (2, "cyclerdm: --progress xml: is none of auto, json, none\n")


def test_env_and_the_sets_are_told_as_json() -> None:
    status, out, _ = call("env", "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["libraries"]["torch"]
    assert {"version", "device", "precision", "reason", "weights", "defaults", "presets"} <= set(facts)
    assert f"auto chooses: {facts['device']}, {facts['precision']} ({facts['reason']})" in call("env")[1]
    sets = records(call("bench", "datasets", "--json")[1])
    assert len(sets) > 40
    (one,) = records(call("bench", "datasets", "rain100l", "--json")[1])
    assert one["name"] == "Rain100L"
    assert one in sets
    assert {"task", "layouts", "convention", "fetched", "published"} <= set(one)


def options_below(command: Any, path: str = "cyclerdm") -> list[tuple[str, list[str]]]:
    """Return every listed command below one, with the options that its help lists."""
    found = []
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            flags = [flag for one in inner.params if one.param_type_name == "option" for flag in one.opts]
            found += [(f"{path} {name}", flags), *options_below(inner, f"{path} {name}")]
    return found


def test_the_manual_page_has_every_command_and_option() -> None:
    page = manual_page(get_command(app))
    plain = page.replace("\\-", "-")
    listed = options_below(get_command(app))
    assert len(listed) > 10
    for path, flags in listed:
        part = plain.partition(f'.SS "{path} ')[2].partition("\n.SS")[0]
        assert part, path
        for flag in flags:
            assert f"\\fB{flag}\\fP" in part, f"{path} {flag}"
    assert "[bold]" not in page
    assert "[/]" not in page
    assert call("man")[:2] == (0, page + "\n")


@pytest.mark.skipif(not shutil.which("man") or not shutil.which("groff"), reason="man is not here")
def test_man_reads_the_manual_page_without_a_warning(tmp_path: Path) -> None:
    place = tmp_path / "cyclerdm.1"
    place.write_text(manual_page(get_command(app)), encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""}
    command = ["man", "--warnings", "-E", "UTF-8", "-l", str(place)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "EXIT STATUS" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "pwsh"])
def test_every_shell_gets_a_script(shell: str) -> None:
    status, out, _ = call(_CYCLERDM_COMPLETE=f"source_{shell}")
    assert (status, "_CYCLERDM_COMPLETE" in out, "cyclerdm" in out) == (0, True, True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("cyclerdm restore --task des", {"desnow"}),
        ("cyclerdm restore --compare ", {"side", "split", "diagonal", "detail", "animated"}),
        ("cyclerdm restore a.jpg --progress ", {"auto", "json", "none"}),
        ("cyclerdm weights p", {"pull", "path"}),
    ],
)
def test_shells_offer_what_an_option_knows(typed: str, offered: set[str]) -> None:
    words = typed.split(" ")
    bash = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1), "_CYCLERDM_COMPLETE": "complete_bash"}
    assert set(call(**bash)[1].split()) == offered
    others = {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1]}
    out = call(**others, _CYCLERDM_COMPLETE="complete_powershell")[1]
    assert {line.partition(":::")[0] for line in out.splitlines()} == offered
    out = call(**others, _CYCLERDM_COMPLETE="complete_fish", _TYPER_COMPLETE_FISH_ACTION="get-args")[1]
    assert {line.partition("\t")[0] for line in out.splitlines()} == offered
    assert all(word in call(**others, _CYCLERDM_COMPLETE="complete_zsh")[1] for word in offered)
