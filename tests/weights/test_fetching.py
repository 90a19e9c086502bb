"""Whatever a server does, the file arrives whole or the fault is clear, and nothing wrong lies in its place."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from loopback import Loopback, Request, serving

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.checking import is_known_right
from cyclerdm_cli.weights.connections import Timeouts
from cyclerdm_cli.weights.fetching import Patience, Wanted, Watcher, fetch

DATA = random.Random(0).randbytes(1_000_003)
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(Timeouts(10, 20), tries=4, back_off=0.01, longest=2)
HASTY = replace(QUICK, timeouts=Timeouts(10, 0.5))


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving(DATA) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "some.safetensors"


def bring(target: Path, *addresses: str, patience: Patience = QUICK) -> list[str]:
    """Fetch, and return the lines that were said."""
    said: list[str] = []
    wanted = Wanted("some", target, len(DATA), SHA256, addresses)
    fetch(wanted, Watcher(said.append), patience)
    assert target.read_bytes() == DATA
    assert is_known_right(target, wanted.size, SHA256)
    assert not leftovers(target)
    return said


def refused(target: Path, *addresses: str, patience: Patience = QUICK) -> str:
    """Fetch in vain, and return the fault in words."""
    with pytest.raises(WeightsError) as fault:
        bring(target, *addresses, patience=patience)
    assert not target.exists()
    assert fault.value.exit_status == 4
    return str(fault.value)


def leftovers(target: Path) -> list[str]:
    return sorted(
        path.name for path in target.parent.iterdir() if ".part" in path.name or "failed" in path.name
    )


def cut_once(request: Request) -> None:
    request.give(request.data, sent=409_600 if request.count == 0 else None)


def test_a_good_server_is_asked_once(server: Loopback, target: Path) -> None:
    assert bring(target, server.good()) == []
    assert bring(target, server.good()) == []
    assert server.count("good") == 1


def test_progress_grows_to_the_whole_size(server: Loopback, target: Path) -> None:
    seen: list[int] = []
    wanted = Wanted("some", target, len(DATA), SHA256, (server.good(),))
    fetch(wanted, Watcher(advance=seen.append), QUICK)
    assert seen == sorted(seen)
    assert seen[-1] == len(DATA)


def test_a_cut_connection_is_gone_on_with(server: Loopback, target: Path) -> None:
    bring(target, server.at("cut", cut_once))
    assert server.count("cut") == 2
    assert server.asked[1][1]["Range"] == "bytes=409600-"
    assert server.asked[1][1]["If-Range"] == '"one"'


def test_a_server_that_cuts_every_time_is_not_given_up_while_it_brings_something(
    server: Loopback, target: Path
) -> None:
    bring(target, server.at("cuts", lambda request: request.give(request.data, sent=90_112)))
    assert server.count("cuts") == 12


def test_a_server_that_cuts_at_once_every_time_is_given_up(server: Loopback, target: Path) -> None:
    said = refused(target, server.at("cuts", lambda request: request.give(request.data, sent=0)))
    assert server.count("cuts") == QUICK.tries
    assert "the connection broke" in said


def test_a_stall_is_noticed_and_gone_on_from(server: Loopback, target: Path) -> None:
    def stall_once(request: Request) -> None:
        if request.count:
            request.give(request.data)
        else:
            request.head(200, Content_Length=len(request.data))
            request.body(request.data[:300_000])
            request.stall()

    said = bring(target, server.at("stall", stall_once), patience=HASTY)
    assert any("nothing came for 0.5 s" in line for line in said)
    assert int(server.asked[1][1]["Range"].removeprefix("bytes=").rstrip("-")) > 0


def test_a_server_that_never_answers_is_left_for_the_next(server: Loopback, target: Path) -> None:
    said = bring(target, server.at("dead", lambda request: request.stall()), server.good(), patience=HASTY)
    assert any("trying the next address" in line for line in said)


@pytest.mark.parametrize("told", [len(DATA) - 1, len(DATA) + 1, 17])
def test_another_length_is_not_even_fetched(server: Loopback, target: Path, told: int) -> None:
    def lie(request: Request) -> None:
        request.head(200, Content_Length=told)
        request.body(request.data)

    said = refused(target, server.at("lies", lie))
    assert f"has a file of {told} bytes, not {len(DATA)}" in said
    bring(target, server.at("lies", lie), server.good())


def test_more_than_the_whole_is_cut_off(server: Loopback, target: Path) -> None:
    def endless(request: Request) -> None:
        request.head(200)
        while True:
            request.body(request.data)

    assert f"sends more than {len(DATA)} bytes" in refused(target, server.at("endless", endless))
    assert leftovers(target) == [".some.safetensors.failed"]


def test_less_than_the_whole_without_a_length_is_noticed(server: Loopback, target: Path) -> None:
    def brief(request: Request) -> None:
        request.head(200)
        request.body(request.data[:1000])

    assert f"ended after 1000 of {len(DATA)} bytes" in refused(target, server.at("brief", brief))


def test_wrong_bytes_are_never_kept(server: Loopback, target: Path) -> None:
    wrong = bytes(len(DATA))
    address = server.at("wrong", lambda request: request.give(wrong))
    said = refused(target, address)
    assert f"{address}: its file has another sha256 than {SHA256}" in said
    assert leftovers(target) == [".some.safetensors.failed"]
    bring(target, address, server.good())


def test_wrong_bytes_that_are_cut_too_come_to_an_end(server: Loopback, target: Path) -> None:
    wrong = bytes(len(DATA))
    said = refused(target, server.at("bad", lambda request: request.give(wrong, sent=500_000)))
    assert "another sha256" in said
    assert server.count("bad") < 8


def test_a_range_answered_with_the_whole_begins_anew(server: Loopback, target: Path) -> None:
    def no_ranges(request: Request) -> None:
        request.head(200, Content_Length=len(request.data))
        request.body(request.data[: 409_600 if request.count == 0 else None])

    bring(target, server.at("plain", no_ranges))
    assert "Range" in server.asked[1][1]


@pytest.mark.parametrize("content_range", ["bytes 5-1000002/1000003", "bytes", ""])
def test_a_range_that_was_not_asked_for_is_not_appended(
    server: Loopback, target: Path, content_range: str
) -> None:
    def odd(request: Request) -> None:
        if request.count == 1:
            request.head(206, Content_Length=10, Content_Range=content_range)
            request.body(b"0123456789")
        else:
            cut_once(request)

    bring(target, server.at("odd", odd))


def test_a_range_past_the_end_begins_anew(server: Loopback, target: Path) -> None:
    def past(request: Request) -> None:
        if request.count == 1:
            request.fail(416, Content_Range=f"bytes */{len(request.data)}")
        else:
            cut_once(request)

    bring(target, server.at("past", past))


def test_a_file_that_changed_half_way_is_fetched_whole(server: Loopback, target: Path) -> None:
    def changes(request: Request) -> None:
        if request.count == 0:
            request.give(bytes(len(request.data)), sent=409_600, tag='"old"')
        else:
            request.give(request.data, tag='"new"')

    bring(target, server.at("changes", changes))
    assert server.count("changes") == 2
    assert server.asked[1][1]["If-Range"] == '"old"'


def test_halves_of_two_files_are_found_out_and_fetched_again(server: Loopback, target: Path) -> None:
    def changes_in_silence(request: Request) -> None:
        if request.count == 0:
            request.give(bytes(len(request.data)), sent=409_600)
        else:
            request.give(request.data)  # the same tag, so the second half alone comes

    said = bring(target, server.at("silent", changes_in_silence))
    assert any("do not fit together" in line for line in said)
    assert server.count("silent") == 3


def test_what_one_address_began_another_completes(server: Loopback, target: Path) -> None:
    def dies(request: Request) -> None:
        if request.count == 0:
            request.give(request.data, sent=598_016)
        else:
            request.fail(404)

    bring(target, server.at("dies", dies), server.good())
    path, headers = server.asked[-1]
    assert (path, headers["Range"]) == ("/good", "bytes=598016-")
    assert "If-Range" not in headers  # the tag was another server's


@pytest.mark.parametrize("after", ["1", lambda: formatdate(time.time() + 1.9, usegmt=True)])
def test_a_wait_that_is_asked_for_is_kept(server: Loopback, target: Path, after: object) -> None:
    def busy(request: Request) -> None:
        if request.count == 0:
            request.fail(429, Retry_After=after if isinstance(after, str) else after())  # type: ignore[operator]
        else:
            request.give(request.data)

    began = time.monotonic()
    said = bring(target, server.at("busy", busy))
    assert time.monotonic() - began > 0.8
    assert "429 Too Many Requests; trying again in" in said[0]


def test_a_wait_of_an_hour_is_not_kept(server: Loopback, target: Path) -> None:
    address = server.at("busy", lambda request: request.fail(429, Retry_After=3600))
    bring(target, address, server.good())
    assert server.count("busy") == 1
    target.unlink()
    assert "429 Too Many Requests, asks to wait 3600 s" in refused(target, address)


def test_a_server_that_is_down_twice_is_asked_a_third_time(server: Loopback, target: Path) -> None:
    def down(request: Request) -> None:
        request.give(request.data) if request.count == 2 else request.fail(503)

    bring(target, server.at("down", down))
    assert server.count("down") == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_answer_is_not_asked_for_again(server: Loopback, target: Path, status: int) -> None:
    assert f": {status} " in refused(target, server.at("gone", lambda request: request.fail(status)))
    assert server.count("gone") == 1


def test_redirections_are_followed_with_the_range(server: Loopback, target: Path) -> None:
    server.at("place", cut_once)
    bring(target, server.at("moved", lambda request: request.fail(302, Location="/place?signed=1")))
    assert [path for path, _ in server.asked] == ["/moved", "/place", "/moved", "/place"]
    assert server.asked[3][1]["Range"] == "bytes=409600-"


def test_redirections_in_a_circle_end(server: Loopback, target: Path) -> None:
    said = refused(target, server.at("round", lambda request: request.fail(301, Location="/round")))
    assert "redirects more than 5 times" in said


@pytest.mark.parametrize(
    "elsewhere",
    ["http://example.invalid/x?key=1", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://[::2]/x"],
)
def test_no_redirection_leads_off_https(server: Loopback, target: Path, elsewhere: str) -> None:
    said = refused(target, server.at("down", lambda request: request.fail(302, Location=elsewhere)))
    assert f"leads to {elsewhere.split('?')[0]}, which is not https" in said


def test_a_host_that_is_not_there_is_named_with_its_reason_and_the_way_by_hand(
    server: Loopback, target: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    gone = server.at("gone", lambda request: request.fail(404))
    said = refused(target, dead.replace("127.", "user:secret@127."), f"{gone}?token=secret")
    assert f"{dead}: refuses the connection" in said
    assert f"{gone}: 404" in said
    assert f"put the file with sha256 {SHA256} at {target}" in said
    assert "secret" not in said


def test_a_certificate_that_nobody_knows_is_not_trusted(target: Path, server: Loopback) -> None:
    said = refused(target, server.good().replace("http:", "https:"))
    assert "its certificate is not trusted" in said or "no connection" in said


def test_proxies_come_from_the_environment(
    server: Loopback, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert "the proxy does not let through, or is not there" in refused(target, server.good())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    bring(target, server.good())


def test_a_mirror_that_is_not_set_is_said(server: Loopback, target: Path) -> None:
    assert "CYCLERDM_MIRROR" in refused(target, "{mirror}/some.safetensors")
    bring(target, "{mirror}/some.safetensors", server.good())


def test_a_disk_without_room_is_noticed_before_anything_is_asked(
    server: Loopback, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(target.parents[1])._replace(free=500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    assert "0 MiB are free, some needs 2" in refused(target, server.good())
    assert server.asked == []


def test_a_disk_that_takes_no_more_is_a_clear_fault(server: Loopback, target: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        said = refused(target, server.good())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written: File too large" in said
    bring(target, server.good())


def test_a_place_that_is_no_folder_is_a_clear_fault(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wanted = Wanted("some", tmp_path / "file" / "x.safetensors", 3, SHA256, (server.good(),))
    with pytest.raises(WeightsError, match="cannot be written"):
        fetch(wanted)


def test_a_whole_part_is_checked_and_taken_without_asking(server: Loopback, target: Path) -> None:
    target.parent.mkdir()
    part = target.with_name(".some.safetensors.part")
    part.write_bytes(DATA)
    bring(target, server.good())
    assert server.asked == []
    target.unlink()
    part.write_bytes(bytes(len(DATA)))
    bring(target, server.good())
    assert server.count("good") == 1


def test_those_who_waited_for_a_fetch_that_failed_do_not_try_again(server: Loopback, target: Path) -> None:
    address = server.at("gone", lambda request: request.fail(404))
    refused(target, address)
    note = target.with_name(".some.safetensors.failed")
    later = json.loads(note.read_text()) | {"time": time.time() + 60}
    note.write_text(json.dumps(later))
    assert "404" in refused(target, address)
    assert server.count("gone") == 1
    note.write_text(json.dumps(later | {"time": time.time() - 1}))
    refused(target, address)
    assert server.count("gone") == 2


FETCHING = """
import sys
from pathlib import Path
from cyclerdm_cli.weights.connections import Timeouts
from cyclerdm_cli.weights.fetching import Wanted, fetch
fetch(Wanted("some", Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], (sys.argv[4],)))
print("torch" in sys.modules)
"""


def start(target: Path, server: Loopback, address: str) -> subprocess.Popen[str]:
    words = [str(target), str(len(server.data)), SHA256, address]
    return subprocess.Popen([sys.executable, "-c", FETCHING, *words], stdout=subprocess.PIPE, text=True)


def test_a_download_that_was_killed_is_gone_on_with(server: Loopback, target: Path) -> None:
    def slow(request: Request) -> None:
        if request.count:
            request.give(request.data)
        else:
            request.head(200, Content_Length=len(request.data), ETag='"one"')
            for begin in range(0, len(request.data), 65536):
                request.body(request.data[begin : begin + 65536])
                time.sleep(0.1)

    address = server.at("slow", slow)
    process = start(target, server, address)
    part = target.with_name(".some.safetensors.part")
    until = time.monotonic() + 120
    while time.monotonic() < until and not (part.exists() and part.stat().st_size > 200_000):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert 0 < part.stat().st_size < len(DATA)
    assert not target.exists()
    held = part.stat().st_size
    bring(target, address)
    assert server.asked[-1][1]["Range"] == f"bytes={held}-"


def test_twenty_processes_make_one_download(server: Loopback, target: Path) -> None:
    def slow(request: Request) -> None:
        time.sleep(1)
        request.give(request.data)

    address = server.at("slow", slow)
    processes = [start(target, server, address) for _ in range(20)]
    said = [process.communicate(timeout=300)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 20
    assert server.count("slow") == 1
    assert target.read_bytes() == DATA
    assert set(said) == {"False"}


def test_a_fetched_file_is_not_read_again_unless_it_changed(tmp_path: Path, server: Loopback) -> None:
    path = tmp_path / "some.safetensors"
    path.write_bytes(DATA)
    assert is_known_right(path, len(DATA), SHA256)
    stamp = path.stat().st_mtime_ns
    path.write_bytes(bytes(len(DATA)))
    os.utime(path, ns=(stamp, stamp))
    assert is_known_right(path, len(DATA), SHA256)  # by size and time alone: that is the bargain
    os.utime(path, ns=(stamp, stamp + 1))
    assert not is_known_right(path, len(DATA), SHA256)
    path.write_bytes(DATA)
    assert is_known_right(path, len(DATA), SHA256)
    assert not is_known_right(path, len(DATA), "0" * 64)
    assert not is_known_right(path, len(DATA) - 1, SHA256)
