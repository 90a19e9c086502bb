"""Servers that would keep a program busy, or fill its memory: each ends in one line, soon."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import Loopback, Request, serving

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.connections import Timeouts, Watch
from cyclerdm_cli.weights.fetching import Patience, Wanted, Watcher, fetch

DATA = hashlib.sha256(b"seed").digest() * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()
ONCE = Patience(Timeouts(connect=5, silence=5, piece=1), tries=1, longest=2)
FAR_TOO_MUCH = 1 << 40
"""Bytes that a server here says or tries to give; nobody takes more than a few pieces of them."""


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving(DATA) as running:
        yield running


def outcome(tmp_path: Path, address: str, patience: Patience = ONCE) -> str:
    """Return why a fetch failed, or nothing; it must end within seconds, and take no memory worth speaking of."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    target = tmp_path / "some.safetensors"
    try:
        fetch(Wanted("some", target, len(DATA), SHA256, (address,)), Watcher(), patience)
    except WeightsError as fault:
        said = str(fault)
        assert not target.exists()
        assert "\n" not in said
    else:
        said = ""
        assert target.read_bytes() == DATA
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # in kB
    return said


def pour(request: Request, piece: bytes = bytes(1 << 16)) -> None:
    """Send for ever, as long as anyone takes it."""
    while True:
        request.body(piece)


def drip(request: Request, pieces: Iterator[bytes]) -> None:
    """Send a little every so often, for ever."""
    for piece in pieces:
        request.body(piece)
        time.sleep(0.05)


@pytest.mark.parametrize("headers", [{}, {"Content_Length": FAR_TOO_MUCH}, {"Content_Encoding": "gzip"}])
def test_the_body_of_a_redirection_is_not_read(
    server: Loopback, tmp_path: Path, headers: dict[str, str | int]
) -> None:
    def moved(request: Request) -> None:
        request.head(302, Location="/good", **headers)
        pour(request)

    server.good()
    assert outcome(tmp_path, server.at("moved", moved)) == ""


def test_a_packed_body_of_a_redirection_is_not_unpacked(server: Loopback, tmp_path: Path) -> None:
    packed = gzip.compress(gzip.compress(bytes(100_000_000)))

    def moved(request: Request) -> None:
        request.head(302, Location="/good", Content_Encoding="gzip, gzip", Content_Length=len(packed))
        request.body(packed)

    server.good()
    assert outcome(tmp_path, server.at("moved", moved)) == ""


@pytest.mark.parametrize("status", [401, 404, 416, 503])
def test_the_body_of_an_error_is_not_read(server: Loopback, tmp_path: Path, status: int) -> None:
    def bad(request: Request) -> None:
        request.head(status)
        pour(request)

    assert outcome(tmp_path, server.at("bad", bad))


def test_a_file_that_comes_packed_is_refused(server: Loopback, tmp_path: Path) -> None:
    def packed(request: Request) -> None:
        request.head(200, Content_Encoding="gzip")
        request.body(gzip.compress(bytes(100_000_000)))

    assert "packed" in outcome(tmp_path, server.at("packed", packed))


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Content_Length": "9" * 5000}),
        (200, {"Content_Length": "1" + "0" * 30}),
        (206, {"Content_Range": f"bytes {'9' * 5000}-5/10"}),
        (206, {"Content_Range": f"bytes 0-5/{'9' * 5000}"}),
        (503, {"Retry_After": "9" * 5000}),
        (503, {"Retry_After": f"Mon, 1 Jan {'9' * 400} 00:00:00 GMT"}),
        (503, {"Retry_After": f"Mon, 1 Jan 2000 00:00:00 +{'9' * 30}"}),
        (302, {"Location": "http://[::2"}),
        (302, {"Location": "/" + "x" * 50_000}),
        (302, {"Location": "\xff\xfe"}),
        (200, {"X_Long": "x" * 100_000}),
    ],
)
def test_fields_of_any_length_are_one_line(
    server: Loopback, tmp_path: Path, status: int, headers: dict[str, str]
) -> None:
    said = outcome(tmp_path, server.at("long", lambda request: request.head(status, **headers)))
    assert said
    assert len(said) < 1000


def chunks(*parts: bytes) -> Callable[[Request], None]:
    """Return a behaviour that sends these bytes as a chunked body."""

    def behaviour(request: Request) -> None:
        request.head(200, Transfer_Encoding="chunked")
        for part in parts:
            request.body(part)

    return behaviour


def whole_in_chunks() -> list[bytes]:
    pieces = [DATA[place : place + 5000] for place in range(0, len(DATA), 5000)]
    return [b"%x;name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


def test_a_body_in_chunks_is_taken(server: Loopback, tmp_path: Path) -> None:
    assert outcome(tmp_path, server.at("chunked", chunks(*whole_in_chunks()))) == ""


@pytest.mark.parametrize(
    "first",
    [
        b"f" * 5000 + b"\r\n",
        b"-1\r\n",
        b"-5\r\n",
        b"1_0\r\n",
        b"\r\n",
        b"0x10\r\n",
        b"7fffffffffffffffff\r\n",
    ],
)
def test_a_chunk_that_claims_anything_is_not_believed(server: Loopback, tmp_path: Path, first: bytes) -> None:
    def endless(request: Request) -> None:
        chunks(first)(request)
        pour(request)

    assert "connection broke" in outcome(tmp_path, server.at("chunked", endless))


def test_a_chunk_line_without_an_end_is_not_kept(server: Loopback, tmp_path: Path) -> None:
    def endless(request: Request) -> None:
        chunks()(request)
        pour(request, b"0" * 65536)

    assert "connection broke" in outcome(tmp_path, server.at("chunked", endless))


def test_a_body_in_chunks_that_breaks_is_gone_on_with(server: Loopback, tmp_path: Path) -> None:
    def breaks(request: Request) -> None:
        if request.count:
            request.give(request.data)
        else:
            chunks(*whole_in_chunks()[:15])(request)

    patience = Patience(ONCE.timeouts, tries=2, back_off=0.01)
    assert outcome(tmp_path, server.at("breaks", breaks), patience) == ""
    assert server.asked[1][1]["Range"] == "bytes=75000-"


def test_a_body_that_drips_for_ever_is_given_up(server: Loopback, tmp_path: Path) -> None:
    def slow(request: Request) -> None:
        request.head(200, Content_Length=len(request.data))
        drip(request, (bytes([byte]) for byte in request.data))

    assert "too little came within 1 s" in outcome(tmp_path, server.at("slow", slow))


def test_chunks_that_drip_for_ever_are_given_up(server: Loopback, tmp_path: Path) -> None:
    def slow(request: Request) -> None:
        chunks()(request)
        drip(request, itertools.repeat(b"1\r\nx\r\n"))

    assert "too little came within 1 s" in outcome(tmp_path, server.at("slow", slow))


def test_a_head_that_drips_for_ever_is_given_up(server: Loopback, tmp_path: Path) -> None:
    def slow(request: Request) -> None:
        request.body(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        drip(request, itertools.repeat(b"x"))

    assert "too little came within 1 s" in outcome(tmp_path, server.at("slow", slow))


def test_an_answer_that_only_promises_to_go_on_is_given_up(server: Loopback, tmp_path: Path) -> None:
    def promises(request: Request) -> None:
        pour(request, b"HTTP/1.1 100 Continue\r\n\r\n")

    assert "too little came within 1 s" in outcome(tmp_path, server.at("promises", promises))


def test_a_slow_server_that_gets_on_is_waited_for(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watch, "PIECE", 8192)

    def slow(request: Request) -> None:
        request.head(200, Content_Length=len(request.data))
        for place in range(0, len(request.data), 8192):
            time.sleep(0.2)
            request.body(request.data[place : place + 8192])

    patience = Patience(Timeouts(connect=5, silence=5, piece=2), tries=1)
    assert outcome(tmp_path, server.at("slow", slow), patience) == ""


@pytest.mark.parametrize(
    "form", ["http://evil.test\\@{here}/good", "http://evil.test%5C@{here}\\@evil.test/good"]
)
def test_the_host_that_is_judged_is_the_one_that_is_asked(
    server: Loopback, tmp_path: Path, form: str
) -> None:
    address = form.format(here=server.good().split("/")[2])
    moved = server.at("moved", lambda request: request.fail(302, Location=address))
    assert "which is not https" in outcome(tmp_path, moved)
    assert "which is not https" in outcome(tmp_path, address)
    assert server.count("good") == 0
