"""`cyclerdm weights` and weights that come on demand, as a shell sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from loopback import Loopback, Request, serving
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.weights import choosing, ensuring, registry
from cyclerdm_cli.weights.publishing import as_toml, describe


def call(*words: str | Path) -> tuple[int, str, str]:
    """Run the command in this process: exit status, standard output, standard error."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of weights, empty."""
    monkeypatch.setenv("CYCLERDM_HOME", str(tmp_path / "home"))
    for name in ("CYCLERDM_OFFLINE", "CYCLERDM_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home" / "weights"


@pytest.fixture
def server(tiny_weights: Path) -> Iterator[Loopback]:
    with serving(tiny_weights.read_bytes()) as running:
        yield running


@pytest.fixture
def tiny(
    home: Path, server: Loopback, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Let a registry of the user's name the tiny weights on the server; return where they would lie."""
    entry = describe(tiny_weights, "tiny", addresses=(server.good(),))
    own = tmp_path / "own.toml"
    own.write_text(as_toml(entry))
    monkeypatch.setenv("CYCLERDM_WEIGHTS", str(own))
    return home / "tiny.safetensors"


def test_the_list_says_what_is_here_and_under_which_licence(tiny: Path) -> None:
    status, out, err = call("weights", "list")
    lines = {line.split()[1]: line for line in out.splitlines() if line.startswith("derain ")}
    assert status == 0
    assert "  yes      package  " in lines["compact-derain"]
    assert "Apache-2.0" in lines["compact-derain"]
    assert "none given" in lines["paper"]
    assert " no " in lines["tiny"]
    assert "cyclerdm weights import FILE --task TASK" in err
    records = {
        record["name"]: record
        for record in map(json.loads, call("weights", "list", "--json")[1].splitlines())
    }
    assert records["compact-derain"]["default"] is True
    assert records["compact-derain"]["needs"]["multiple"] == 16
    assert records["paper"]["manual"].startswith("https://")
    assert (records["tiny"]["here"], records["tiny"]["path"]) == ("no", str(tiny))


def test_pulling_verifying_and_removing(tiny: Path, server: Loopback) -> None:
    status, out, _ = call("weights", "pull", "tiny", "--dry-run")
    assert (status, server.asked) == (0, [])
    assert f"\t{server.good()}\t{tiny}" in out
    assert not tiny.parent.exists()

    assert call("weights", "verify", "tiny")[0] == 4
    assert call("weights", "pull", "tiny")[:2] == (0, f"{tiny}\n")
    assert call("weights", "pull", "all")[0] == 0
    assert call("weights", "pull", "denoise", "tiny")[0] == 0
    assert server.count("good") == 1
    assert call("weights", "path", "tiny")[1] == f"{tiny}\n"
    assert call("weights", "path")[1] == f"{tiny.parent}\n"
    status, out, _ = call("weights", "verify")
    assert status == 0
    verdicts = {line.split("\t")[1] for line in out.splitlines()}
    assert verdicts == {"right"}
    assert len(out.splitlines()) == len(choosing.tasks_of("compact")) + 1  # the package's, and this one

    stamp = tiny.stat().st_mtime_ns
    tiny.write_bytes(bytes(tiny.stat().st_size))
    os.utime(tiny, ns=(stamp, stamp))
    status, out, err = call("weights", "verify")
    assert status == 4
    assert "damaged" in out
    assert err.startswith("cyclerdm: damaged or missing: tiny")

    assert call("weights", "rm", "tiny")[:2] == (0, f"{tiny}\n")
    assert not tiny.exists()
    assert "nothing" in call("weights", "rm", "tiny")[2]


def test_what_cannot_be_pulled_does_not_keep_the_rest_away(tiny: Path, server: Loopback) -> None:
    own = Path(os.environ["CYCLERDM_WEIGHTS"])
    gone = server.at("gone", lambda request: request.fail(404))
    own.write_text(
        own.read_text()
        + own.read_text()
        .replace("weights.tiny", "weights.lost")
        .replace("tiny.s", "lost.s")
        .replace(server.good(), gone)
    )
    status, out, err = call("weights", "pull", "lost", "tiny", "-q")
    assert (status, out) == (4, f"{tiny}\n")
    assert f"{gone}: 404 Not Found" in err
    assert str(tiny.with_name("lost.safetensors")) in err
    assert len(err.splitlines()) == 1


def test_weights_that_must_be_had_by_hand_are_explained(home: Path, photograph_file: Path) -> None:
    for words in (
        ["weights", "pull", "paper"],
        ["restore", photograph_file, "--task", "derain", "--weights", "paper"],
    ):
        status, _, err = call(*words)
        assert status == 4
        assert "https://drive.google.com/drive/folders/" in err
        assert "licence: none given" in err
        assert "cyclerdm weights import FILE --task TASK" in err


@pytest.mark.parametrize(("words", "said"), [
    (["pull", "nonsense"], "no weights called 'nonsense'"),
    (["rm", "compact"], "compact comes with the package"),
    (["import", "x.pth", "--task", "derian"], "did you mean 'derain'"),
])  # fmt: skip
def test_usage_is_told(home: Path, words: list[str], said: str) -> None:
    status, _, err = call("weights", *words)
    assert status == 2
    assert said in err


def test_restoring_fetches_once_and_then_knows_the_file(
    tiny: Path, server: Loopback, photograph_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore = ["restore", photograph_file, "--task", "denoise", "--weights", "tiny", "--device", "cpu"]
    status, _, err = call(*restore, "--dry-run", "-o", tmp_path / "a.png")
    assert status == 0
    assert "to be fetched" in err
    assert server.asked == []

    status, _, err = call(*restore, "--offline", "-o", tmp_path / "a.png")
    assert status == 4
    assert "--offline forbids to fetch it" in err
    assert str(tiny) in err
    monkeypatch.setenv("CYCLERDM_OFFLINE", "1")
    assert "CYCLERDM_OFFLINE forbids" in call(*restore, "-o", tmp_path / "a.png")[2]
    monkeypatch.delenv("CYCLERDM_OFFLINE")
    assert server.asked == []

    status, _, err = call(*restore, "-o", tmp_path / "a.png")
    assert status == 0
    assert "fetching the weights tiny" in err
    monkeypatch.setattr("cyclerdm_cli.weights.checking.sha256_of", lambda path: pytest.fail("read again"))
    assert call(*restore, "--offline", "-o", tmp_path / "b.png") == (0, f"{tmp_path / 'b.png'}\n", "")
    assert server.count("good") == 1
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_damaged_file_in_the_cache_is_fetched_again(
    tiny: Path, server: Loopback, photograph_file: Path
) -> None:
    assert call("weights", "pull", "tiny")[0] == 0
    right = tiny.read_bytes()
    tiny.write_bytes(right[:-1])
    restore = ["restore", photograph_file, "--task", "denoise", "--weights", "tiny", "--device", "cpu"]
    status, _, err = call(*restore, "--offline")
    assert (status, "damaged, its sha256 is not" in err) == (4, True)
    assert call(*restore)[0] == 0
    assert tiny.read_bytes() == right


def test_a_mirror_takes_the_place_of_the_base(
    tiny: Path, server: Loopback, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = describe(tiny_weights, "tiny", addresses=("{mirror}/good",))
    Path(os.environ["CYCLERDM_WEIGHTS"]).write_text(f'mirror = "{server.base}/"\n{as_toml(entry)}')
    assert call("weights", "pull", "tiny")[0] == 0
    assert call("weights", "rm", "tiny")[0] == 0
    server.at("other/good", lambda request: request.give(request.data))
    monkeypatch.setenv("CYCLERDM_MIRROR", f"{server.base}/other")
    assert call("weights", "pull", "tiny")[0] == 0
    assert [path for path, _ in server.asked] == ["/good", "/other/good"]


def test_the_entry_that_is_printed_is_one_that_works(home: Path, tiny_weights: Path) -> None:
    status, out, _ = call(
        "weights", "entry", tiny_weights, "--name", "mine", "--address", "https://example.org/mine"
    )
    assert status == 0
    table = tomllib.loads(out)["weights"]["mine"]
    assert table["bytes"] == tiny_weights.stat().st_size
    assert table["addresses"] == ["https://example.org/mine"]
    assert table["config"]["widths"] == [8, 12, 16]
    assert table["needs"]["multiple"] == 8
    status, _, err = call("weights", "entry", tiny_weights, "--address", "http://example.org/mine")
    assert (status, "addresses is wrong" in err) == (4, True)


def test_a_registry_that_says_another_configuration_is_found_out(
    home: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, entry, err = call("weights", "entry", tiny_weights, "--name", "tiny")
    assert status == 0, err
    own = tmp_path / "own.toml"
    monkeypatch.setenv("CYCLERDM_WEIGHTS", str(own))
    place = home / "tiny.safetensors"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(tiny_weights.read_bytes())
    own.write_text(entry)
    assert call("weights", "verify", "tiny")[0] == 0
    assert "most_steps = 1" in entry
    own.write_text(entry.replace("most_steps = 1", "most_steps = 2"))
    status, out, _ = call("weights", "verify", "tiny")
    assert status == 4
    assert "the registry says most_steps 2, the file 1" in out


def test_a_dry_run_neither_fetches_nor_needs_the_weights(
    tiny: Path, server: Loopback, photograph_file: Path
) -> None:
    words = ("restore", photograph_file, "--task", "denoise", "--weights", "tiny", "--dry-run", "--json")
    status, out, err = call(*words)
    assert (status, server.asked) == (0, [])
    assert "to be fetched" in err
    record = json.loads(out)
    assert (record["status"], record["weights"], record["tiles"]) == ("planned", "tiny", 0)


def test_env_fetches_nothing(tiny: Path, server: Loopback) -> None:
    own = Path(os.environ["CYCLERDM_WEIGHTS"])
    own.write_text('default = "tiny"\n' + own.read_text())
    status, out, _ = call("env")
    assert (status, server.asked) == (0, [])
    assert f"weights: tiny, {tiny}, to be fetched" in out


def test_a_refused_checkpoint_is_one_line_and_exit_4(home: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {"x": torch.zeros(1)}}, tmp_path / "x.pth")
    status, out, err = call("weights", "import", tmp_path / "x.pth", "--task", "derain")
    assert (status, out, len(err.splitlines())) == (4, "", 1)
    assert "in the paper's network" in err


WITHOUT_NETWORK = """
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"opened a connection: {arguments}")

sys.addaudithook(watch)
from cyclerdm_cli.app import app
try:
    app()
finally:
    loaded = [name for name in ("requests", "torch") if name in sys.modules]
    print("loaded:", *loaded, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["--help"], []),
        (["weights", "--help"], []),
        (["weights", "list"], []),
        (["weights", "verify"], []),
        (["weights", "pull", "compact-denoise"], []),
        (["weights", "path", "compact-denoise"], []),
        (["env"], ["torch"]),
        (["restore", "photo.png", "--task", "denoise", "--device", "cpu"], ["torch"]),
    ],
)
def test_nothing_that_is_here_needs_the_network(
    home: Path, photograph_file: Path, words: list[str], loaded: list[str]
) -> None:
    refusing = "http://127.0.0.1:9"
    environment = os.environ | {"HTTP_PROXY": refusing, "HTTPS_PROXY": refusing, "https_proxy": refusing}
    command = [sys.executable, "-c", WITHOUT_NETWORK, *words]
    done = subprocess.run(
        command, cwd=photograph_file.parent, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = done.stderr.splitlines()[-1].removeprefix("loaded:").split()
    assert found == loaded


def test_twenty_processes_that_start_at_once_fetch_once(
    tiny: Path, server: Loopback, tiny_weights: Path
) -> None:
    def slow(request: Request) -> None:
        time.sleep(2)
        request.give(request.data)

    server.at("good", slow)
    command = [sys.executable, "-m", "cyclerdm_cli", "weights", "pull", "tiny"]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(20)
    ]
    said = {process.communicate(timeout=300)[0].decode() for process in processes}
    assert said == {f"{tiny}\n"}
    assert server.count("good") == 1
    assert tiny.read_bytes() == tiny_weights.read_bytes()
    assert ensuring.fault_of(registry.read_registry().find("tiny"), thoroughly=True) == ""
