"""Threads leave the processor to others while they wait, and a user's own settings win."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cyclerdm_cli.processor import WAITING, processors_allowed, share_processor, ways_to_wait


def test_threads_sleep_while_they_wait() -> None:
    environment: dict[str, str] = {}
    share_processor(environment)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert int(environment["GOMP_SPINCOUNT"]) < 10_000  # the default is 300,000


@pytest.mark.parametrize("name", WAITING)
def test_settings_of_the_users_own_win(name: str) -> None:
    environment = {name: "5", "OMP_NUM_THREADS": "3"}
    share_processor(environment)
    assert environment == {name: "5", "OMP_NUM_THREADS": "3"}


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ("150000 100000", 2),
        ("20000 100000", 1),
        ("max 100000", None),
        ("nonsense", None),
        ("100000 0", None),
        ("99999999999 100000", None),
    ],
)
def test_a_container_is_given_as_many_threads_as_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, allowed: int | None
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    (tmp_path / "cpu.max").write_text(said + "\n")
    assert processors_allowed(tmp_path / "cpu.max") == allowed
    assert processors_allowed(tmp_path / "absent") is None


def test_other_machines_wait_as_this_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "100")
    assert ways_to_wait() == {"GOMP_SPINCOUNT": "100"}


def test_the_command_says_so_before_torch_is_loaded() -> None:
    code = (
        "import os, sys; from cyclerdm_cli import app; app.gather = lambda names: lambda: None; app.main();"
        "print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ended.stdout.split() == ["False", "PASSIVE"]
