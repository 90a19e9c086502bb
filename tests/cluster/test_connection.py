"""What cannot be joined is one line, and soon."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.cluster import connection
from cyclerdm_cli.errors import ClusterError


@pytest.fixture
def listener() -> Iterator[str]:
    """Return an address that takes calls and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_without_the_extra_it_says_what_to_install(
    photograph_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    words = ["restore", str(photograph_file), "--task", "denoise", "--cluster", "local"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "pip install ray fsspec" in result.stderr


def test_actors_without_a_cluster_mean_nothing(photograph_file: Path) -> None:
    result = CliRunner().invoke(app, ["restore", str(photograph_file), "--task", "denoise", "--actors", "2"])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_an_address_where_nothing_listens(photograph_file: Path, tiny_weights: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = f"127.0.0.1:{other.getsockname()[1]}"
    words = ["restore", str(photograph_file), "--task", "denoise", "--weights", str(tiny_weights)]
    result = CliRunner().invoke(app, [*words, "--cluster", free])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "does not answer" in result.stderr


def test_something_else_listens_there(listener: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    assert connection.CONNECTING + connection.ANSWERING <= 30
    monkeypatch.setattr(connection, "ANSWERING", 3)
    began = time.monotonic()
    with pytest.raises(ClusterError, match="did not answer like Ray"), connection.joined(listener):
        pass
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:x", ":6379"])
def test_words_that_are_no_address(address: str) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    with pytest.raises(ClusterError, match=r"HOST:PORT"), connection.joined(address):
        pass


def test_a_cluster_of_another_version(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "import ray, sys; ray.__version__ = '2.0.0'; import ray._private.utils as u; "
    monkeypatch.setattr(connection, "PROBE", other + connection.PROBE)
    with pytest.raises(ClusterError, match="ersion") as caught, connection.joined(address):
        pass
    assert len(str(caught.value).splitlines()) == 1
    assert "2.0.0" in str(caught.value)
    assert "the same Ray and Python on all machines" in str(caught.value)


def test_help_and_usage_come_without_ray() -> None:
    program = (
        "import sys; from cyclerdm_cli.app import app\n"
        "try: app(['restore', 'x.png', '--task', 'denoise', '--actors', '2'], standalone_mode=False)\n"
        "except BaseException: pass\n"
        "sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
