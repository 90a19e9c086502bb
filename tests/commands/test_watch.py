"""`restore --watch`: what is there and what comes is restored once, whatever is killed, full or gone in between."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from kill_and_resume import contents
from typer.testing import CliRunner
from watched import kill_and_restart, picture, wait_for, watching

from cyclerdm_cli.app import app
from cyclerdm_cli.commands.stopping import GRACE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture
def words(tiny_weights: Path) -> list[str]:
    return ["--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


def test_what_comes_slowly_is_restored_once_and_whole_though_the_watcher_is_killed(
    words: list[str], tmp_path: Path
) -> None:
    assert kill_and_restart(tmp_path, words, count=36, kills=1, pause=0.3) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_soon_with_a_tally(number: signal.Signals, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(picture(1))
    (tmp_path / "out" / "b.png").write_bytes(b"the result of before")
    with watching(tmp_path, "in", "-o", "out", *words) as watcher:
        wait_for(lambda: len(watcher.records) == 2, watcher)
        began = time.monotonic()
        assert watcher.status_after(number) == 130
        assert time.monotonic() - began < 10 * GRACE  # which a loaded machine needs
    assert [(one["input"], one["status"]) for one in watcher.records] == [
        ("in/a.png", "ok"),
        ("in/b.png", "skipped"),
    ]
    assert {**watcher.summary, "seconds": 0} == {"ok": 1, "skipped": 1, "failed": 0, "seconds": 0}
    assert "watching in; Ctrl-C ends it" in watcher.said
    assert "1 done, 1 skipped, 0 failed; the same command goes on from here" in watcher.said


def test_results_in_the_watched_folder_are_no_inputs_and_a_folder_may_go_and_come_back(
    words: list[str], tmp_path: Path
) -> None:
    folder, results = tmp_path / "in", tmp_path / "in" / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.png").write_bytes(picture(1))
    with watching(tmp_path, "in", "-r", "-o", "in/out/", *words) as watcher:
        wait_for(lambda: len(watcher.records) == 1, watcher)
        folder.rename(tmp_path / "away")
        wait_for(
            lambda: "in: cannot be listed: No such file or directory; waiting for it" in watcher.said, watcher
        )
        (tmp_path / "away" / "b.png").write_bytes(picture(2))
        (tmp_path / "away").rename(folder)
        wait_for(lambda: (results / "b.png").exists(), watcher)
        (folder / "c.png").write_bytes(picture(3))
        wait_for(lambda: len(watcher.records) == 3, watcher)
        assert watcher.status_after(signal.SIGTERM) == 130
    found = sorted(path.relative_to(results).as_posix() for path in results.rglob("*.png"))
    assert found == ["b.png", "c.png", "sub/a.png"]
    assert [one["status"] for one in watcher.records] == ["ok"] * 3
    assert watcher.said.count("cannot be listed") == 1
    assert "in: is there again" in watcher.said


def test_a_failure_is_said_once_and_what_caused_it_may_end(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_text("a file where the results' folder should be")
    with watching(tmp_path, "in", "-o", "out/", *words) as watcher:
        (tmp_path / "in" / "a.png").write_bytes(picture(1))
        (tmp_path / "in" / "damaged.png").write_bytes(picture(1)[:-40])
        wait_for(lambda: len(watcher.records) == 2, watcher)
        assert all(one["status"] == "failed" for one in watcher.records)
        (tmp_path / "out").unlink()
        (tmp_path / "in" / "damaged.png").write_bytes(picture(2))
        os.utime(tmp_path / "in" / "a.png")  # sooner than by waiting
        wait_for(lambda: len(contents(tmp_path / "out")) == 2, watcher)
        wait_for(lambda: len(watcher.records) == 4, watcher)
        assert watcher.status_after(signal.SIGTERM) == 130
    assert {**watcher.summary, "seconds": 0} == {"ok": 2, "skipped": 0, "failed": 0, "seconds": 0}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["photo.png", "-o", "out/"], "photo.png: is no folder, and --watch needs one"),
        (["missing", "-o", "out/"], "missing: there is no such folder"),
        (["in/*.png", "-o", "out/"], "there is no such folder"),
        (["-", "-o", "out/"], "-: there is no such folder"),
        (["in"], "--watch needs a place for many results"),
        (["in", "-o", "-"], "--watch needs a place for many results"),
        (["in", "-o", "a.png"], "-o a.png: is one file"),
        (["in", "-o", "in"], "-o in/: is the folder that is watched"),
        (["in", "-o", "out/{stm}{ext}"], "did you mean {stem}?"),
        (["in", "-o", "out/", "--overwrite"], "--watch and --overwrite exclude each other"),
        (["in", "-o", "out/", "--dry-run"], "--watch and --dry-run exclude each other"),
        (["in", "-o", "out/", "--cluster", "local"], "--watch and --cluster exclude each other"),
        (["in", "-o", "out/", "--format", "gif"], "gif"),
    ],
)
def test_what_cannot_be_watched_is_one_line(
    more: list[str], said: str, words: list[str], photograph_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photograph_file.parent)
    Path("in").mkdir()
    result = CliRunner().invoke(app, ["restore", *more, "--watch", *words])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert said in result.stderr
    assert not Path("out").exists()
