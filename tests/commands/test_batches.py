"""Batches as shells run them: bad files among good ones, kills, pipes, two processes at once."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from kill_and_resume import Ended, command, contents, kill_after, leftovers, run
from odd_folder import make_folder, saved, scene
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app

GOOD = 30

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, links and pipes as POSIX has them")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    place = tmp_path_factory.mktemp("odd") / "in"
    return place, *make_folder(place, GOOD)


@pytest.fixture(scope="module")
def once(
    folder: tuple[Path, list[str], list[str]], tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ended, Path]:
    """Return how an uninterrupted run ended, and its results."""
    results = tmp_path_factory.mktemp("once") / "out"
    return run(command(folder[0], results, tiny_weights)), results


def test_bad_files_are_named_each_with_its_reason_and_the_others_done(
    folder: tuple[Path, list[str], list[str]], once: tuple[Ended, Path]
) -> None:
    place, good, bad = folder
    ended, results = once
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("the superuser may read everything")
    assert ended.status == 3, ended.err
    assert sorted(contents(results)) == sorted(good)
    assert leftovers(results) == []
    reasons = {
        Path(str(one["input"])).name: str(one["error"]) for one in ended.records if one["status"] == "failed"
    }
    assert sorted(reasons) == sorted(bad)
    for name, reason in reasons.items():
        assert reason.startswith(str(place / name)), "the reason names the file"
        assert "unexpected" not in reason
    said = {
        "empty.jpg": "empty", "cut at 40.jpg": "cut short", "cut at 98.png": "cut short",
        "text.jpg": "not a picture",
        "x.png": "is a folder", "loop.png": "cannot be read", "gone.png": "no such file",
        "forbidden.png": "no permission", "bomb.png": "30000 x 30000", "liar.png": "cut short",
        "great liar.png": "cut short",
    }  # fmt: skip
    for name, words in said.items():
        assert words in reasons[name], reasons[name]
    assert "Traceback" not in ended.err
    for name in good:
        with Image.open(BytesIO((place / name).read_bytes())) as before, Image.open(results / name) as after:
            turned = name == "turned.jpg"
            assert after.size == (before.size[::-1] if turned else before.size), name


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is told by /proc")
def test_memory_does_not_follow_what_headers_say(once: tuple[Ended, Path]) -> None:
    assert 50 < once[0].peak_mib < 900  # a 20,000 x 20,000 picture alone would take more


def test_killed_and_gone_on_with_it_gives_the_same_bytes(
    folder: tuple[Path, list[str], list[str]], once: tuple[Ended, Path], tiny_weights: Path, tmp_path: Path
) -> None:
    results = tmp_path / "out"
    words = command(folder[0], results, tiny_weights, "--skip-existing")
    for count, delay in ((1, 0.0), (9, 0.01)):
        there = kill_after(words, results, count, delay)
        assert 0 < there < GOOD, "the kill came too late to show anything"
    (results / f".cyclerdm-{'0' * 16}.part").write_bytes(b"half")  # a kill does not always leave one
    assert run(words).status == 3
    assert contents(results) == contents(once[1])
    assert leftovers(results) == []


def test_two_processes_share_the_work_of_xargs(tiny_weights: Path, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"a b {number}.png").write_bytes(saved(scene(40, 50, seed=number), "PNG"))
    call = f"{shlex.quote(sys.executable)} -m cyclerdm_cli restore --task denoise --device cpu -o out/"
    line = (
        f"find . -name '*.png' -print0 | xargs -0 -P 2 -n 3 {call} --weights {shlex.quote(str(tiny_weights))}"
    )
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert sorted(contents(tmp_path / "out")) == [f"a b {number}.png" for number in range(6)]
    assert sorted(done.stdout.splitlines()) == [f"out/a b {number}.png" for number in range(6)]


def test_a_jpeg_through_a_pipe_is_a_jpeg(tiny_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(saved(scene(40, 50), "JPEG"))
    call = f"{shlex.quote(sys.executable)} -m cyclerdm_cli restore - -o - --task denoise"
    what = "file -" if shutil.which("file") else "head -c 3"
    line = f"cat photo.jpg | {call} --weights {shlex.quote(str(tiny_weights))} | {what}"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, timeout=300)
    assert b"JPEG" in done.stdout or done.stdout == b"\xff\xd8\xff", done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_asked_to_end_reports_all_that_it_wrote(
    number: signal.Signals, tiny_weights: Path, tmp_path: Path
) -> None:
    source = saved(scene(300, 400), "PNG")
    for index in range(200):
        (tmp_path / f"{index:03}.png").write_bytes(source)
    process = subprocess.Popen(
        command(tmp_path, tmp_path / "out", tiny_weights),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while len(contents(tmp_path / "out")) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    *records, last = [json.loads(line) for line in out.splitlines()]
    written = sorted(contents(tmp_path / "out"))
    assert sorted(Path(one["output"]).name for one in records if one["status"] == "ok") == written
    assert last["summary"]["ok"] == len(written) < 200
    assert "--skip-existing" in err
    assert leftovers(tmp_path / "out") == []


def invoke(*words: str | Path, piped: bytes = b"") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], input=piped)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str]:
    return ["restore", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


def test_ten_thousand_finished_files_take_seconds(denoise: list[str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for number in range(10_000):
        (tmp_path / "in" / f"{number}.jpg").touch()
        (tmp_path / "out" / f"{number}.jpg").touch()
    began = time.perf_counter()
    status, out, _ = invoke(*denoise, tmp_path / "in", "-o", tmp_path / "out", "--skip-existing", "--json")
    assert time.perf_counter() - began < 60  # some 3 s on an idle machine
    assert status == 0
    assert json.loads(out.splitlines()[-1])["summary"]["skipped"] == 10_000


def test_names_too_long_fail_alone(denoise: list[str], tmp_path: Path) -> None:
    for name in ("n" * 250 + ".png", "a.png"):
        (tmp_path / name).write_bytes(saved(scene(20, 20), "PNG"))
    status, out, err = invoke(*denoise, tmp_path, "--skip-existing")
    assert status == 3
    assert out.splitlines() == [str(tmp_path / "a_denoise.png")]
    assert "too long" in err


def test_a_picture_and_records_do_not_share_standard_output(denoise: list[str]) -> None:
    for words in (["-"], ["-", "-o", "-"]):
        status, out, err = invoke(*denoise, *words, "--json", piped=saved(scene(20, 20), "PNG"))
        assert (status, out) == (2, "")
        assert "standard output" in err


def test_a_folder_without_pictures_among_others_fails_alone(denoise: list[str], tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "a.png").write_bytes(saved(scene(20, 20), "PNG"))
    status, out, err = invoke(*denoise, tmp_path / "none", tmp_path / "a.png", "-o", tmp_path / "out")
    assert status == 3
    assert out.splitlines() == [str(tmp_path / "out" / "a.png")]
    assert "is a folder" in err


def test_a_fault_of_the_program_over_one_picture_is_that_ones(
    denoise: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cyclerdm_cli.restoring import one_file

    def own_mask(picture: object) -> None:
        raise RuntimeError("for the test")

    monkeypatch.setattr(one_file, "own_mask", own_mask)
    (tmp_path / "a.png").write_bytes(saved(scene(20, 20), "PNG"))
    words = [*denoise, tmp_path / "a.png", "-o", tmp_path / "out"]
    words[2] = "inpaint"
    status, _, err = invoke(*words)
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "unexpected RuntimeError: for the test" in err


def test_a_reader_that_goes_away_ends_the_batch_and_is_no_fault_of_a_picture(
    denoise: list[str], tmp_path: Path
) -> None:
    """As with `| head -1`: what another picture has come to is told between two tiles."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        (tmp_path / "in" / f"{number}.png").write_bytes(saved(scene(200, 200), "PNG"))
    words = [*denoise, tmp_path / "in", "-o", tmp_path / "out", "--tile", "64", "--overlap", "16"]
    with subprocess.Popen(
        [sys.executable, "-m", "cyclerdm_cli", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE
    assert not list((tmp_path / "out").glob(".*"))


def test_a_dry_run_says_the_plan_and_writes_nothing(denoise: list[str], tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(saved(scene(20, 20), "PNG"))
    (tmp_path / "large.jpg").write_bytes(saved(scene(700, 880), "JPEG"))
    (tmp_path / "text.png").write_text("words")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "small.png").write_bytes(b"there")
    words = [*denoise, tmp_path, "-o", tmp_path / "out", "--dry-run", "--tile", "512"]
    before = sorted(tmp_path.rglob("*"))
    status, out, err = invoke(*words, "--skip-existing")
    assert status == 0
    large, small, text = out.splitlines()
    assert large == f"{tmp_path / 'large.jpg'} -> {tmp_path / 'out' / 'large.jpg'} (4 tiles)"
    assert "skipped" in small
    assert "not a picture" in text
    assert "MiB" in err
    records = [json.loads(line) for line in invoke(*words, "--overwrite", "--json")[1].splitlines()]
    assert [(one["status"], one["tiles"]) for one in records] == [
        ("planned", 4),
        ("planned", 1),
        ("failed", 0),
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_words_are_completed() -> None:
    def offered(line: str) -> list[str]:
        words = line.split(" ")
        environment = {
            **os.environ, "_CYCLERDM_COMPLETE": "complete_bash",
            "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
        }  # fmt: skip
        program = (
            "import sys; sys.argv = ['cyclerdm']; from cyclerdm_cli.app import app; app(prog_name='cyclerdm')"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True
        )
        return done.stdout.split()

    assert offered("cyclerdm restore --task deh") == ["dehaze"]
    assert offered("cyclerdm restore --task derain+deh") == ["derain+dehaze"]
    assert offered("cyclerdm enhance --task ")[:3] == ["low-light", "underwater", "backlight"]
    assert offered("cyclerdm enhance --task d") == [
        "dejpeg",
        "denoise",
        "derain",
        "desnow",
        "deblur",
        "dehaze",
    ]
    assert offered("cyclerdm restore --format a") == ["avif"]


def test_small_pictures_share_batches_where_the_device_gains_by_it(
    denoise: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cyclerdm_cli.restoring import batch
    from cyclerdm_cli.restoring.planning import Planner
    from cyclerdm_cli.restoring.restorer import Restorer

    for number in range(7):
        (tmp_path / f"{number}.png").write_bytes(saved(scene(50, 60, seed=number), "PNG"))
    (tmp_path / "6x.png").write_bytes(saved(scene(90, 60), "PNG"))
    assert invoke(*denoise, tmp_path, "-o", tmp_path / "alone")[0] == 0
    sizes = []
    together = Restorer.restore_together

    def counted(self: Restorer, pictures: list[np.ndarray], *others: object) -> list[np.ndarray]:
        sizes.append(len(pictures))
        return together(self, pictures, *others)  # type: ignore[arg-type]

    gather = batch._Queue._gather_its_like

    def patient(self: batch._Queue, first: object) -> object:
        wait(self.waiting)  # else it is by chance how many are decoded already
        return gather(self, first)  # type: ignore[arg-type]

    monkeypatch.setattr(batch._Queue, "_gather_its_like", patient)
    monkeypatch.setattr(Restorer, "restore_together", counted)
    monkeypatch.setattr(Planner, "tiles_together", lambda self, grid: 4)  # as a GPU would have it
    assert invoke(*denoise, tmp_path, "-o", tmp_path / "together")[0] == 0
    assert sizes == [2, 4, 1, 1]  # as many as --jobs at first; the last is of another size
    for name in contents(tmp_path / "alone"):
        alone, shared = (
            np.asarray(Image.open(tmp_path / place / name)).astype(int) for place in ("alone", "together")
        )
        assert np.abs(alone - shared).max() <= 1, "processors round otherwise for each size of batch"
