"""`restore --cluster`: what the plain command does, though workers and machines are lost on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("ray", reason="needs the extra cluster")

from cyclerdm_cli.app import app

COUNT = 48
PATIENCE = 120


def call(*words: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command in this process: exit status, records without their times, standard error."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, records_of(result.stdout), result.stderr


def records_of(out: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in out.splitlines()]
    for record in records:
        record.pop("seconds", None)
        record.get("summary", {}).pop("seconds", None)
    return records


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, shelf: Path) -> Path:
    """Return a folder with small pictures, one of them damaged, in a tree; the same lies on the shelf."""
    folder = shelf / "in"
    rows, columns = np.mgrid[:120, :160]
    for number in range(COUNT):
        values = 110 + 60 * np.sin(rows / 17 + number)[..., None] * np.cos(columns / 23)[..., None]
        noise = np.random.default_rng(number).normal(0, 6, (120, 160, 3))
        path = folder / ("deep" if number % 3 else ".") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(values + noise, 0, 255).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def words(tiny_weights: Path) -> list[str]:
    return ["restore", "-r", "--json", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu"]


@pytest.fixture(scope="module")
def plain(pictures: Path, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of the plain command."""
    results = tmp_path_factory.mktemp("plain") / "out"
    assert call(*words, pictures, "-o", results)[0] == 0
    return results


def test_names_bytes_records_and_status_are_those_of_the_plain_command(
    address: str, words: list[str], photograph_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(5):
        (tmp_path / "in" / f"{number}.png").write_bytes(photograph_file.read_bytes())
    (tmp_path / "in" / "2.png").write_bytes(photograph_file.read_bytes()[:200])
    Path("out").mkdir()
    (tmp_path / "out" / "3.png").write_bytes(b"precious")
    (tmp_path / "out" / f".cyclerdm-{'0' * 16}.part").write_bytes(b"half")
    asked = [*words, "in", "-o", "out", "--compare"]
    status, records, err = call(*asked, "--cluster", address)
    spread = contents(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []
    for name in set(spread) - {"3.png"}:
        (tmp_path / "out" / name).unlink()
    assert (status, records, err) == call(*asked)
    assert status == 3
    assert [record["status"] for record in records[:-1]] == ["ok", "ok", "failed", "failed", "ok"]
    assert spread == contents(tmp_path / "out")
    assert len(spread) == 7


def test_addresses_are_read_and_written_by_the_workers(
    address: str, words: list[str], pictures: Path, plain: Path, shelf: Path
) -> None:
    asked = [*words, "shelf://in", "-o", "shelf://out", "--cluster", address]
    status, records, err = call(*asked)
    assert status == 0, err
    assert contents(shelf / "out") == contents(plain)
    assert list((shelf / "out").rglob(".*")) == []
    assert {record["input"] for record in records[:-1]} == {
        f"shelf://in/{name}" for name in contents(pictures)
    }
    assert call(*asked, "--skip-existing")[1][-1] == {"summary": {"ok": 0, "skipped": COUNT, "failed": 0}}


def test_each_task_has_its_own_weights_in_the_workers_too(
    address: str, families: Path, photograph_file: Path, tmp_path: Path
) -> None:
    words = ["restore", "--json", "--device", "cpu", "--task", "derain+dehaze", "--strength", "derain=0.5"]
    words += [str(photograph_file), "-o"]
    status, (record, _), err = call(*words, tmp_path / "spread.png", "--cluster", address)
    assert (status, record["weights"]) == (0, "small-derain+small-dehaze"), err
    assert call(*words, tmp_path / "plain.png")[0] == 0
    assert (tmp_path / "spread.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cyclerdm_cli", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def watch(
    process: subprocess.Popen[str], seen: dict[str, int], until: Callable[[], bool], results: Path
) -> None:
    """Wait, noting which file each name first stood for: one written again is another.

    Where the command has done all its work before this process was given a look at it, there is nothing to test.
    """
    at_work = process.poll() is None
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, "nothing more came"
        for path in results.rglob("*.png"):
            if not path.name.startswith("."):
                seen.setdefault(str(path), path.stat().st_ino)
        if at_work and process.poll() == 0 and not until():
            pytest.skip("this machine is so busy that all was done before anything could be lost")
        time.sleep(0.01)


def workers_in(folder: Path) -> list[int]:
    """Return the workers of a command that was started in a folder of its own; none where there is no /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = (process / "cmdline").read_bytes().startswith(b"ray::Host")
            if is_worker and os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def send(process: int, number: signal.Signals) -> None:
    """Send a signal to a process, which may have ended since it was found."""
    with suppress(ProcessLookupError):
        os.kill(process, number)


def hold_until_all_are_there(process: subprocess.Popen[str], folder: Path, count: int, results: Path) -> None:
    """Let no worker begin before the last one has started: two of three could do all the work meanwhile."""

    def are_there() -> bool:
        workers = workers_in(folder)
        for worker in workers:
            send(worker, signal.SIGSTOP)
        return len(workers) == count

    try:
        watch(process, {}, are_there, results)
    finally:
        for worker in workers_in(folder):
            send(worker, signal.SIGCONT)


@pytest.fixture
def third(machines: Any) -> Iterator[Any]:
    """Give a third machine for one test."""
    machine = machines.add_node(**machines.small)
    yield machine
    if machine in machines.worker_nodes:
        machines.remove_node(machine)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="workers are found by /proc")
def test_a_worker_and_a_machine_are_lost_and_nothing_with_them(
    machines: Any, third: Any, address: str, words: list[str], pictures: Path, plain: Path, tmp_path: Path
) -> None:
    results, seen = tmp_path / "out", dict[str, int]()
    process = started([*words, str(pictures), "-o", str(results), "--cluster", address], tmp_path)
    hold_until_all_are_there(process, tmp_path, 3, results)
    watch(process, seen, lambda: len(seen) >= 4, results)
    for worker in workers_in(tmp_path)[:1]:
        send(worker, signal.SIGKILL)
    watch(process, seen, lambda: len(seen) >= 12, results)
    machines.remove_node(third, allow_graceful=False)
    watch(process, seen, lambda: process.poll() is not None, results)
    out, err = process.communicate()
    assert process.returncode == 0, err
    *records, summary = records_of(out)
    assert summary == {"summary": {"ok": COUNT, "skipped": 0, "failed": 0}}
    assert {record["input"] for record in records} == {str(pictures / name) for name in contents(pictures)}
    assert len(records) == COUNT
    assert contents(results) == contents(plain)
    assert {name: Path(name).stat().st_ino for name in seen} == seen, "none was written twice"


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_killed_or_interrupted_it_goes_on_with_skip_existing(
    address: str, words: list[str], pictures: Path, plain: Path, tmp_path: Path
) -> None:
    results, seen = tmp_path / "out", dict[str, int]()
    asked = [*words, str(pictures), "-o", str(results), "--cluster", address, "--skip-existing"]
    process = started(asked, tmp_path)
    watch(process, seen, lambda: len(seen) >= 3, results)
    process.kill()
    process.communicate()
    if len(contents(results)) == COUNT:
        pytest.skip("this machine is so busy that all was done before it could be killed")
    # Its workers write what they have in hand until the cluster notices.
    watch(process, seen, lambda: not workers_in(tmp_path), results)
    there = len(contents(results))
    assert there < COUNT
    process = started(asked, tmp_path)
    watch(process, seen, lambda: len(seen) >= there + 3, results)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    if process.returncode == 0:
        pytest.skip("this machine is so busy that all was done before it could be interrupted")
    assert process.returncode == 130, err
    *records, _ = records_of(out)
    assert "--skip-existing" in err
    written = {record["output"] for record in records if record["status"] in ("ok", "skipped")}
    assert written == {str(results / name) for name in contents(results)}
    assert len(written) < COUNT
    assert call(*asked)[0] == 0
    assert contents(results) == contents(plain)
