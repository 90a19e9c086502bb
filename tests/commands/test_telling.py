"""What is told of the work: to people, to programs, on a terminal; and that it may fail without harm."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from odd_folder import saved, scene
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.escapes import shown, to_json

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names, pipes and terminals as POSIX has them")

EVIL = os.fsdecode(b"a\x1b]0;gone\x07\r\xc2\x9b31m\xe2\x80\xae\xff.png")
"""A name that would ring, set a title, go back in the line, turn red and run backwards; and is no UTF-8."""
FORBIDDEN = ("\x1b]0", "\x07", "\r", "\x9b", "\u202e")


def call(*words: str | Path) -> tuple[int, bytes, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout_bytes, result.stderr


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str]:
    return ["restore", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of four pictures in the working folder, `2.png` damaged."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(4):
        data = saved(scene(40, 50, seed=number), "PNG")
        (tmp_path / "in" / f"{number}.png").write_bytes(data[:200] if number == 2 else data)
    return tmp_path / "in"


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert shown(EVIL) == "a\\x1b]0;gone\\x07\\x0d\\x9b31m\\u202e\\xff.png"
    assert shown("Grüße\t日本\n") == "Grüße\t日本\n"
    text = to_json({"name": EVIL})
    assert json.loads(text.encode("utf-8")) == {"name": EVIL}


@pytest.mark.parametrize("more", [[], ["-v"], ["--dry-run"]])
def test_names_in_lines_for_people_are_escaped(more: list[str], denoise: list[str], photos: Path) -> None:
    (photos / EVIL).write_bytes(saved(scene(40, 50), "PNG"))
    (photos / f"bad{EVIL}").write_bytes(b"no picture")
    status, out, err = call(*denoise, "in", "-o", "out", *more)
    assert status == (0 if more == ["--dry-run"] else 3)
    assert not any(character in err for character in FORBIDDEN)
    if more != ["--dry-run"]:
        assert "bada\\x1b]0;gone\\x07\\x0d\\x9b31m" in err
    assert os.fsencode(EVIL) in out, "what goes into a pipe is the name itself"
    status, _, err = call(*denoise, f"missing{EVIL}")
    assert status == 1
    assert not any(character in err for character in FORBIDDEN)


def test_json_is_valid_whatever_files_are_called(denoise: list[str], photos: Path) -> None:
    (photos / EVIL).write_bytes(saved(scene(40, 50), "PNG"))
    _, out, _ = call(*denoise, "in", "-o", "out", "--json")
    records = [json.loads(line) for line in out.decode("utf-8").splitlines()]
    assert os.fsencode(f"in/{EVIL}") in [os.fsencode(one.get("input", "")) for one in records]
    assert not any(character.encode() in out for character in FORBIDDEN)


def test_names_in_reports_are_data(photos: Path, tiny_weights: Path) -> None:
    shutil.copy(photos / "0.png", photos / "=cmd()|'<img src=x onerror=alert(1)>.png")
    shutil.copy(photos / "0.png", photos / EVIL)
    (photos / "2.png").unlink()
    files = ["--json", "r.json", "--csv", "r.csv", "--report", "r.html"]
    status, _, err = call(
        "bench", "--lq", photos, "--gt", photos, "--task", "denoise", "--weights", tiny_weights, *files
    )
    assert status == 0, err
    assert "<img src=x" not in Path("r.html").read_text("utf-8")
    with Path("r.csv").open(encoding="utf-8", newline="") as stream:
        names = [row["picture"] for row in csv.DictReader(stream)]
    assert "'=cmd()|'<img src=x onerror=alert(1)>" in names
    (entry,) = json.loads(Path("r.json").read_text("utf-8"))["results"]
    assert EVIL.removesuffix(".png") in [one["name"] for one in entry["pictures"]]


def test_no_absolute_path_stands_in_a_report(photos: Path, tiny_weights: Path, tmp_path: Path) -> None:
    for folder in ("gt", "theirs", "one", "two"):
        shutil.copytree(photos, tmp_path / folder)
    (tmp_path / "gt" / "3.png").unlink()
    (tmp_path / "theirs" / "1.png").unlink()
    own = [tmp_path / "one" / "w.safetensors", tmp_path / "two" / "w.safetensors"]
    for path in own:
        shutil.copy(tiny_weights, path)
    words = ["--lq", photos, "--gt", tmp_path / "gt", "--task", "denoise", "--outputs", tmp_path / "theirs"]
    files = ["--json", "r.json", "--csv", "r.csv", "--report", "r.html"]
    status, _, err = call("bench", *words, "--weights", own[0], "--weights", own[1], *files)
    assert status == 3, err
    for name in ("r.json", "r.csv", "r.html"):
        assert str(tmp_path) not in Path(name).read_text("utf-8"), name
    names = {entry["name"] for entry in json.loads(Path("r.json").read_text("utf-8"))["results"]}
    assert names == {"one/w", "two/w", "theirs"}


def shell(line: str, denoise: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which $R stands for the command."""
    command = " ".join([sys.executable, "-m", "cyclerdm_cli", *denoise])
    return subprocess.run(
        ["bash", "-c", line.replace("$R", command)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_where_outcomes_cannot_be_told_no_good_picture_is_blamed(denoise: list[str], photos: Path) -> None:
    (photos / "2.png").unlink()
    ended = shell("$R in -o out --tile 32 --overlap 16 --json > /dev/full", denoise)
    assert ended.returncode == 1
    assert ended.stderr == "cyclerdm: standard output cannot be written: No space left on device\n"


def test_where_standard_output_is_closed_the_work_goes_on(denoise: list[str], photos: Path) -> None:
    (photos / "2.png").unlink()
    ended = shell("$R in -o out >&-", denoise)
    assert (ended.returncode, ended.stderr) == (0, "3 done, 0 skipped, 0 failed\n")
    assert sorted(os.listdir("out")) == ["0.png", "1.png", "3.png"]
    ended = shell("$R in/0.png -o - >&-", denoise)
    assert (ended.returncode, ended.stderr) == (2, "cyclerdm: standard output is closed (-o FILE)\n")
    ended = shell("$R - -o x.png <&-", denoise)
    assert ended.returncode == 2
    assert ended.stderr.startswith("cyclerdm: standard input is closed")


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_where_words_for_people_cannot_be_written_the_work_goes_on(
    where: str, denoise: list[str], photos: Path
) -> None:
    ended = shell(f"$R in -o out -v {where}", denoise)
    assert ended.returncode == 3
    assert ended.stdout.split() == ["out/0.png", "out/1.png", "out/3.png"]


def test_a_batch_ends_with_a_tally_and_what_failed_and_what_was_passed_over(
    denoise: list[str], photos: Path
) -> None:
    (photos / "deeper").mkdir()
    for name in ("a.NEF", "b.dng", "c.gif", "notes.txt", ".hidden.gif"):
        (photos / name).write_bytes(b"")
    _, out, err = call(*denoise, "in", "-o", "out")
    assert out.decode().splitlines() == ["out/0.png", "out/1.png", "out/3.png"]
    reason = "in/2.png: the picture is cut short"
    assert err.splitlines() == [
        f"cyclerdm: {reason}",
        "3 done, 0 skipped, 1 failed",
        f"  failed: {reason}",
        "  passed over: 1 GIF, 2 RAW, 1 subfolder (see -r)",
    ]
    _, _, err = call(*denoise, "in", "-o", "out", "--skip-existing", "--quiet")
    assert err.splitlines() == [f"cyclerdm: {reason}"]
    _, _, err = call(*denoise, "in/deeper")
    assert "no pictures" in err


def test_a_long_list_of_failures_is_cut_short(denoise: list[str], photos: Path) -> None:
    for number in range(30):
        (photos / f"bad{number:02}.png").write_bytes(b"")
    _, _, err = call(*denoise, "in", "-o", "out")
    assert err.splitlines()[-2:] == ["  failed: in/bad18.png: the file is empty", "  failed: 11 more"]


def test_what_libraries_say_is_not_passed_on(
    denoise: list[str], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import warnings

    from cyclerdm_cli.restoring import one_file, restorer

    read = one_file.read_picture

    def warned(*arguments: object, **options: object) -> object:
        place = {"category": UserWarning, "lineno": 1}
        for words, name in (
            ("of a library", "/lib/torch/cuda/__init__.py"),
            ("of its C++ (Triggered internally at /pytorch/x.cpp:1.)", one_file.__file__),
            ("of our own", restorer.__file__),
        ):
            warnings.warn_explicit(words, filename=name, **place)  # type: ignore[arg-type]
        return read(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(one_file, "read_picture", warned)
    _, _, err = call(*denoise, "in/0.png", "-o", "out/")
    assert err == "of our own\n"


def test_a_decoder_that_fails_prints_nothing_itself(denoise: list[str], photos: Path) -> None:
    """OpenCV's reader of TIFFs writes to the standard error of the process."""
    import numpy as np
    import tifffile

    pixels = np.random.default_rng(0).integers(0, 65535, (64, 64, 3), np.uint16)
    tifffile.imwrite("a.tif", pixels, compression="zlib", photometric="rgb")
    data = bytearray(Path("a.tif").read_bytes())
    data[300:20000] = bytes(255 for _ in range(19700))
    Path("a.tif").write_bytes(data)
    ended = shell("$R a.tif", denoise)
    assert ended.returncode == 1
    assert ended.stderr.startswith("cyclerdm: a.tif: ")
    assert len(ended.stderr.splitlines()) == 1


class Terminal:
    """A terminal of so many columns, in which a line of the shell runs."""

    def __init__(self, place: Path, columns: int, line: str) -> None:
        self._server = ["tmux", "-S", str(place / f"s{columns}"), "-f", "/dev/null"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm-256color"}
        size = ["-x", str(columns), "-y", "40"]
        self._sent = place / f"sent{columns}"
        # The line waits for a key, so that all that it sends is kept.
        command = f"cd {place}; read -r key; {line}; echo ended; sleep 60"
        subprocess.run([*self._server, "new-session", "-d", *size, command], env=environment, check=True)
        subprocess.run([*self._server, "pipe-pane", f"cat > '{self._sent}'"], check=True)
        subprocess.run([*self._server, "send-keys", "Enter"], check=True)
        self.screen = ""

    def look(self) -> bool:
        """Keep what stands there now; tell whether that is the end."""
        shot = subprocess.run([*self._server, "capture-pane", "-p", "-J"], capture_output=True, text=True)
        self.screen = shot.stdout
        return "ended" in shot.stdout

    @property
    def sent(self) -> str:
        """All that was ever sent to the terminal, with its control characters."""
        return self._sent.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        subprocess.run([*self._server, "kill-server"], check=False)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_lines_and_bar_leave_each_other_alone_on_a_terminal(
    denoise: list[str], photos: Path, tmp_path: Path
) -> None:
    folder = "long" * 20
    photos.rename(folder)
    command = " ".join(
        [sys.executable, "-m", "cyclerdm_cli", *denoise, folder, "--tile", "32", "--overlap", "16"]
    )
    terminals = [Terminal(tmp_path, columns, f"{command} -o {columns}/") for columns in (80, 120)]
    deadline = time.monotonic() + 120
    try:
        while {one.look() for one in terminals} != {True} and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        for one in terminals:
            one.close()
    reason = f"{folder}/2.png: the picture is cut short"
    for columns, one in zip((80, 120), terminals, strict=True):
        assert [line.rstrip() for line in one.screen.splitlines() if line.strip()] == [
            f"{columns}/0.png", f"{columns}/1.png", f"cyclerdm: {reason}", f"{columns}/3.png",
            "3 done, 0 skipped, 1 failed", f"  failed: {reason}", "ended",
        ]  # fmt: skip
        assert "pictures" in one.sent, "there was no bar"
        assert "tiles" in one.sent, "there was no bar"
