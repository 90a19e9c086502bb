"""Sets with a direct address, from a server of our own."""

from __future__ import annotations

import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cyclerdm_cli.benchmark.datasets import Archive, Dataset, find_dataset
from cyclerdm_cli.benchmark.fetching import fetch
from cyclerdm_cli.errors import DataError


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, name.encode() * 4000)
    return stream.getvalue()


class Server(ThreadingHTTPServer):
    """Gives one file, whole or from a byte on, and notes what was asked for."""

    content = b""
    asked: list[str | None]
    cut = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        content = self.server.content
        if self.path != "/set.zip":
            self.send_error(404)
            return
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.cut or None])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.asked = []
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def dataset(server: Server, inside: str, name: str = "set.zip") -> Dataset:
    url = f"http://127.0.0.1:{server.server_address[1]}/{name}"
    return replace(find_dataset("CC15").dataset, archive=Archive(url, inside))


def test_the_folder_wanted_is_unpacked_and_nothing_else(server: Server, tmp_path: Path) -> None:
    server.content = zipped(
        "repo-1/set/a_real.png", "repo-1/set/deep/b.png", "repo-1/set/code.m", "repo-1/c.png"
    )
    said: list[str] = []
    fetch(dataset(server, "set"), tmp_path, said.append)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["CC15/a_real.png", "CC15/deep/b.png"]
    assert "none stated" in said[0]


def test_no_file_leaves_its_folder(server: Server, tmp_path: Path) -> None:
    server.content = zipped("set/a.png", "../evil.png", "set/../../evil.png", "/evil.png")
    fetch(dataset(server, ""), tmp_path / "root", lambda line: None)
    assert [path.name for path in tmp_path.rglob("*.png")] == ["a.png"]


def test_a_broken_download_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.content, server.cut = zipped("set/a.png", "other/b.png"), 20_000
    with pytest.raises(DataError, match="goes on from here"):
        fetch(dataset(server, "set"), tmp_path, lambda line: None)
    assert not (tmp_path / "CC15").exists()
    server.cut = 0
    fetch(dataset(server, "set"), tmp_path, lambda line: None)
    assert server.asked == [None, "bytes=16384-"]  # pieces of 8 KiB are kept
    assert (tmp_path / "CC15" / "a.png").read_bytes() == b"set/a.png" * 4000
    assert [path.name for path in tmp_path.iterdir()] == ["CC15"]


def test_an_archive_that_has_come_whole_before_is_only_unpacked(server: Server, tmp_path: Path) -> None:
    server.content = zipped("set/a.png", "other/b.png")
    (tmp_path / ".CC15.zip.part").write_bytes(server.content)
    fetch(dataset(server, "set"), tmp_path, lambda line: None)
    assert server.asked == [f"bytes={len(server.content)}-"]
    assert [path.name for path in tmp_path.rglob("*.png")] == ["a.png"]


def test_what_cannot_be_had_is_said_in_one_line(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="404"):
        fetch(dataset(server, "", "none.zip"), tmp_path, lambda line: None)
    server.content = b"<html>sign in first</html>"
    with pytest.raises(DataError, match="no zip file"):
        fetch(dataset(server, ""), tmp_path, lambda line: None)
    server.content = zipped("set/readme.txt")
    with pytest.raises(DataError, match="no pictures"):
        fetch(dataset(server, "set"), tmp_path, lambda line: None)
    assert not (tmp_path / "CC15").exists()


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/a.bmp", bytes(20_000_000))
        archive.writestr("other/b.txt", b"")
    server.content = stream.getvalue()
    with pytest.raises(DataError, match="far more than what came"):
        fetch(dataset(server, "set"), tmp_path, lambda line: None)
    assert not list(tmp_path.rglob("*.bmp"))


def test_a_disk_that_runs_full_ends_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=50_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    server.content = zipped("set/a.png", "other/b.png")
    with pytest.raises(DataError, match="less than 100 MB are free"):
        fetch(dataset(server, "set"), tmp_path, lambda line: None)


@pytest.mark.parametrize(
    "change", [(b"set/a.png" * 20, b"set/b.png" * 20), (b"\x14\0\0\0\0\0", b"\x14\0\1\0\x63\0")]
)
def test_a_damaged_locked_or_odd_archive_is_one_line(
    server: Server, tmp_path: Path, change: tuple[bytes, bytes]
) -> None:
    server.content = zipped("set/a.png").replace(*change)
    with pytest.raises(DataError, match="no zip file that can be unpacked"):
        fetch(dataset(server, ""), tmp_path, lambda line: None)


def test_an_address_that_is_not_https_or_dead_is_not_asked(server: Server, tmp_path: Path) -> None:
    plain = replace(dataset(server, ""), archive=Archive("http://example.org/set.zip"))
    with pytest.raises(DataError, match="is not https"):
        fetch(plain, tmp_path, lambda line: None)
    alive = dataset(server, "").archive
    assert alive is not None
    with pytest.raises(DataError, match="gives the file no more, since 2026-11"):
        fetch(replace(plain, archive=replace(alive, dead="2026-11")), tmp_path, lambda line: None)
    assert server.asked == []
