"""Pipes, sockets and devices: read once where somebody writes, named in a line elsewhere, and never waited for."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from odd_folder import saved, scene
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import streams

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as POSIX has them")


def call(*words: str | Path, piped: bytes = b"") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], input=piped)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.5)


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str]:
    return ["restore", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


@contextmanager
def fed(path: Path, data: bytes) -> Iterator[None]:
    """Make a named pipe into which somebody writes once."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    try:
        yield
    finally:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK)):  # if nobody has read, he is let go
            pass
        writer.join(5)


@pytest.mark.parametrize("more", [[], ["--memory", "3GB"], ["--dry-run"], ["--compare"]])
def test_a_pipe_given_by_name_is_read_once(more: list[str], denoise: list[str], tmp_path: Path) -> None:
    data = saved(scene(40, 50), "PNG")
    (tmp_path / "file.png").write_bytes(data)
    with fed(tmp_path / "pipe", data):
        status, out, err = call(*denoise, tmp_path / "pipe", "-o", tmp_path / "out.png", *more)
    assert status == 0, err
    if "--dry-run" in more:
        assert "(1 tile)" in out
        return
    assert call(*denoise, tmp_path / "file.png", "-o", tmp_path / "same.png")[0] == 0
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "same.png").read_bytes()


def test_a_mask_and_a_list_come_through_pipes(denoise: list[str], tmp_path: Path) -> None:
    mask = np.zeros((40, 50, 1), np.uint8)
    mask[5:9, 5:9] = 255
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(saved(scene(40, 50), "PNG"))
    names = f"{tmp_path / 'a.png'}\n{tmp_path / 'b.png'}\n".encode()
    with fed(tmp_path / "mask", saved(mask, "PNG")), fed(tmp_path / "list", names):
        words = ["--mask", tmp_path / "mask", "-o", tmp_path / "out"]
        status, out, err = call(*denoise, f"@{tmp_path / 'list'}", *words, "--task", "inpaint")
    assert status == 0, err
    assert len(out.splitlines()) == 2


def test_what_is_no_file_does_not_stop_a_batch(denoise: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.png").write_bytes(saved(scene(40, 50), "PNG"))
    os.mkfifo(folder / "pipe.png")
    os.symlink("/dev/zero", folder / "device.png")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)  # a socket's name must be short
        listener.bind("socket.png")
        os.chdir(here)
        for words in ([folder], [f"{folder}/*"]):
            status, out, err = call(*denoise, *words, "-o", tmp_path / "out", "--overwrite")
            assert (status, out) == (0, f"{tmp_path / 'out' / 'good.png'}\n"), err
            assert "3 pipes or devices" in err
        named = [folder / name for name in ("good.png", "pipe.png", "device.png", "socket.png")]
        status, out, err = call(*denoise, *named, "-o", tmp_path / "out", "--overwrite", "--json")
    states = [json.loads(line) for line in out.splitlines()][:-1]
    assert [one["status"] for one in states] == ["ok", "failed", "failed", "failed"], err
    assert "nobody has written" in states[1]["error"]
    assert "is not a file" in states[2]["error"]
    assert "is not a file" in states[3]["error"]


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "socket", "holes"])
@pytest.mark.parametrize("use", ["picture", "--mask", "list", "--weights"])
def test_one_line_says_what_cannot_be_read(kind: str, use: str, denoise: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(scene(40, 50), "PNG"))
    odd = Path(kind) if kind.startswith("/") else tmp_path / "odd"
    listener = socket.socket(socket.AF_UNIX)
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(tmp_path)
        listener.bind("odd")
        os.chdir(here)
    elif kind == "holes":
        with odd.open("wb") as stream:
            stream.truncate(200 << 30)
    picture = {"picture": str(odd), "list": f"@{odd}"}.get(use, str(tmp_path / "a.png"))
    words = [*denoise, picture, "-o", str(tmp_path / "out.png")]
    if use.startswith("--"):
        words += [use, str(odd)]
    if use == "--mask":
        words += ["--task", "inpaint"]
    with listener:
        status, out, err = call(*words)
    assert (status, out) == ({"picture": 1, "--mask": 1, "list": 2, "--weights": 4}[use], ""), err
    assert len(err.splitlines()) == 1
    assert "odd" in err or "/dev/zero" in err
    assert "unexpected" not in err
    assert "MemoryError" not in err


def test_a_stream_without_end_is_refused_once_it_is_clear_that_it_is_no_picture(
    denoise: list[str], tmp_path: Path
) -> None:
    status, out, err = call(*denoise, "-", "-o", tmp_path / "out.png", piped=bytes(2 << 20))
    assert (status, out) == (1, "")
    assert err.startswith("cyclerdm: standard input: not a picture")
    with open("/dev/zero", "rb") as zeros, pytest.raises(PictureError, match="not a picture"):
        streams.read_stream(zeros, "standard input", 1 << 40)
    with open("/dev/zero", "rb") as zeros, pytest.raises(PictureError, match="more than"):
        streams.read_stream(zeros, "a list", 4 << 20, pictures=False)


def test_a_stream_is_read_to_its_end_though_it_comes_slowly(tmp_path: Path) -> None:
    data = saved(scene(40, 50), "PNG")
    os.mkfifo(tmp_path / "pipe")

    def drip() -> None:
        with (tmp_path / "pipe").open("wb", buffering=0) as stream:
            for start in range(0, len(data), 2000):
                stream.write(data[start : start + 2000])
                time.sleep(0.2)

    writer = threading.Thread(target=drip)
    writer.start()
    assert streams.read_pipe(tmp_path / "pipe", 1 << 30) == data
    writer.join()


HANGING = """
import sys, threading
from cyclerdm_cli.restoring import batch, one_file
def hang(*arguments, **options):
    print("hangs", file=sys.stderr, flush=True)
    {how}
{where} = hang
from cyclerdm_cli.app import main
main()
"""


@pytest.mark.parametrize(
    ("number", "times", "where", "how"),
    [
        (signal.SIGTERM, 1, "one_file.read_picture", "threading.Event().wait()"),
        (
            signal.SIGTERM,
            1,
            "batch._Queue._compute",
            "import ctypes\n    while 1: ctypes.CDLL(None).sleep(9)",
        ),
        (signal.SIGINT, 2, "batch._Queue._compute", "import time; time.sleep(100)"),
    ],
)
def test_whatever_runs_a_signal_ends_it_within_seconds(
    number: signal.Signals, times: int, where: str, how: str, denoise: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(saved(scene(40, 50), "PNG"))
    program = HANGING.format(where=where, how=how)
    words = [sys.executable, "-c", program, *denoise, str(tmp_path / "a.png")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "hangs\n"
        began = time.monotonic()
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.3)
        _, err = process.communicate(timeout=20)
        took = time.monotonic() - began
    assert process.returncode == 130, err
    assert "--skip-existing" in err
    assert took < (4 if times == 1 else 1.5)


def test_what_is_not_there_yet_can_be_a_picture(tmp_path: Path) -> None:
    """The first bytes of every format written here are taken for those of a picture."""
    from cyclerdm_cli.pictures.formats import may_begin_picture

    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "DIB"):
        stream = BytesIO()
        Image.fromarray(scene(20, 20)).save(stream, kind)
        assert may_begin_picture(stream.getvalue()[:16]), kind
    assert not may_begin_picture(bytes(16))
