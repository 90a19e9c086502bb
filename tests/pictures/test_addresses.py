"""Pictures at addresses, here in fsspec's memory: listed, named, read and written like those in folders."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("fsspec", reason="addresses need fsspec")

from fsspec.implementations.memory import MemoryFileSystem

from cyclerdm_cli.app import app
from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.addresses import Address, normalised, placed
from cyclerdm_cli.pictures.atomic import write_atomically
from cyclerdm_cli.pictures.listing import list_inputs
from cyclerdm_cli.pictures.naming import plan_outputs
from cyclerdm_cli.pictures.reading import read_bytes


@pytest.fixture
def memory(photograph_file: Path) -> Iterator[MemoryFileSystem]:
    files = MemoryFileSystem()
    for name in ("10.png", "2.png", "sub/3.png", "notes.txt", ".hidden.png"):
        files.pipe_file(f"/album/{name}", photograph_file.read_bytes())
    yield files
    files.store.clear()


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def test_an_address_is_a_path_in_its_names() -> None:
    address = placed("s3://bucket/a b/c.d.JPG") if _has("s3") else placed("memory://bucket/a b/c.d.JPG")
    assert isinstance(address, Address)
    scheme = str(address).partition(":")[0]
    assert str(address) == f"{scheme}://bucket/a b/c.d.JPG"
    assert (address.name, address.stem, address.suffix) == ("c.d.JPG", "c.d", ".JPG")
    assert str(address.parent) == f"{scheme}://bucket/a b"
    assert str(address.parent / "x.png") == f"{scheme}://bucket/a b/x.png"
    again = pickle.loads(pickle.dumps(address))
    assert (again, str(again)) == (address, str(address))
    assert normalised("s3://bucket/a/../b//c") == "s3://bucket/b/c"
    assert placed("file:///tmp/a.png") == Path("/tmp/a.png")
    assert placed("a:b/c.png") == Path("a:b/c.png")


def _has(scheme: str) -> bool:
    from importlib.util import find_spec

    return find_spec({"s3": "s3fs"}[scheme]) is not None


@pytest.mark.parametrize("name", ["nowhere://x/a.png", "memory:///a.png", "memory://"])
def test_what_nothing_reaches_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        placed(name)


@pytest.mark.parametrize(
    ("argument", "recursive", "names"),
    [
        ("memory://album", False, ["2.png", "10.png"]),
        ("memory://album/", True, ["2.png", "10.png", "sub/3.png"]),
        ("memory://album/1*.png", False, ["10.png"]),
        ("memory://album/2.png", False, ["2.png"]),
        ("memory://album/missing.png", False, ["missing.png"]),
    ],
)
def test_listing(memory: MemoryFileSystem, argument: str, recursive: bool, names: list[str]) -> None:
    assert [entry.name for entry in list_inputs([argument], recursive)] == [
        f"memory://album/{n}" for n in names
    ]


def test_results_keep_the_tree_and_never_take_an_inputs_place(memory: MemoryFileSystem) -> None:
    inputs = list_inputs(["memory://album"], recursive=True)
    jobs = plan_outputs(inputs, "memory://out", "denoise")
    assert [str(job.output) for job in jobs][-1] == "memory://out/sub/3.png"
    beside = plan_outputs(inputs, None, "denoise")
    assert str(beside[0].output) == "memory://album/2_denoise.png"
    with pytest.raises(UsageError, match="never overwritten"):
        plan_outputs(list_inputs(["memory://album/2.png"]), "memory://album/./2.png", "denoise")


def test_from_address_to_address_as_from_folder_to_folder(
    memory: MemoryFileSystem, photograph_file: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    words = ["restore", "--task", "denoise", "--weights", tiny_weights, "--device", "cpu"]
    assert call(*words, photograph_file, "-o", tmp_path / "out.png")[0] == 0
    status, out, err = call(*words, "memory://album", "-o", "memory://out")
    assert (status, out.splitlines()) == (0, ["memory://out/2.png", "memory://out/10.png"]), err
    assert memory.cat_file("/out/2.png") == (tmp_path / "out.png").read_bytes()
    status, _, err = call(*words, "memory://album/2.png", "-o", "memory://out/2.png")
    assert status == 1
    assert "memory://out/2.png: exists already" in err
    assert call(*words, "memory://album/2.png", "-o", f"file://{tmp_path}/x.png")[0] == 0
    assert (tmp_path / "x.png").read_bytes() == (tmp_path / "out.png").read_bytes()
    status, _, err = call(*words, "memory://album/missing.png", "-o", tmp_path / "y.png")
    assert (status, len(err.splitlines())) == (1, 1)
    assert "memory://album/missing.png: no such file" in err


def test_a_failed_upload_leaves_what_was_there(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "no room")

    address = placed("memory://album/2.png")
    before = read_bytes(address)
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", fail)
    with pytest.raises(PictureError, match=r"memory://album/2.png: cannot be written: no room"):
        write_atomically(address, b"new")
    assert read_bytes(address) == before
