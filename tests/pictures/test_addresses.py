"""Pictures at addresses, here in fsspec's memory: listed, named, read and written like those in folders."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest
from loopback import Loopback, serving
from typer.testing import CliRunner

pytest.importorskip("fsspec", reason="addresses need fsspec")

from fsspec.implementations.memory import MemoryFileSystem

from cyclerdm_cli.app import app
from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures import addresses
from cyclerdm_cli.pictures.addresses import Address, normalised, placed
from cyclerdm_cli.pictures.atomic import write_atomically
from cyclerdm_cli.pictures.listing import list_inputs
from cyclerdm_cli.pictures.naming import plan_outputs
from cyclerdm_cli.pictures.reading import read_bytes
from cyclerdm_cli.pictures.streams import BLOCK, ROOM, read_address


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


def test_wildcards_that_match_nothing_are_said_to_and_a_name_with_their_signs_is_a_name(
    memory: MemoryFileSystem, photograph_file: Path
) -> None:
    with pytest.raises(UsageError, match=r"memory://album/x\*\.png: matches no pictures"):
        list_inputs(["memory://album/x*.png"])
    memory.pipe_file("/album/a[1].png", photograph_file.read_bytes())
    (found,) = list_inputs(["memory://album/a[1].png"])
    assert found.name == "memory://album/a[1].png"


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


needs_web = pytest.mark.skipif(find_spec("aiohttp") is None, reason="needs the extra remote")


@pytest.fixture
def server(photograph_file: Path) -> Iterator[Loopback]:
    with serving(photograph_file.read_bytes()) as running:
        running.at("album/a%20b.png", lambda request: request.give(request.data))
        yield running


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str | Path]:
    return ["restore", "--task", "denoise", "--weights", tiny_weights, "--device", "cpu"]


@needs_web
def test_a_picture_on_the_web_is_restored_as_the_same_file_here(
    server: Loopback,
    denoise: list[str | Path],
    photograph_file: Path,
    tmp_path: Path,
    memory: MemoryFileSystem,
) -> None:
    assert call(*denoise, photograph_file, "-o", tmp_path / "here.png")[0] == 0
    address = f"{server.base}/album/a%20b.png?size=large&of=x/y.gif"
    status, out, err = call(*denoise, address, "-o", f"{tmp_path}/out/")
    assert (status, out.splitlines()) == (0, [f"{tmp_path}/out/a b.png"]), err
    assert (tmp_path / "out" / "a b.png").read_bytes() == (tmp_path / "here.png").read_bytes()
    assert [path for path, _ in server.asked] == ["/album/a%20b.png"], "one request brings it"
    assert call(*denoise, address, "-o", "memory://out/")[0] == 0
    assert memory.cat_file("/out/a b.png") == (tmp_path / "here.png").read_bytes()
    (tmp_path / "list.txt").write_text(f"{address}\n")
    status, out, err = call(
        *denoise, f"@{tmp_path}/list.txt", "-o", f"{tmp_path}/out/", "--skip-existing", "--json"
    )
    assert (status, '"skipped"' in out) == (0, True), err


@needs_web
def test_what_is_wrong_on_the_web_is_one_line(
    server: Loopback, denoise: list[str | Path], tmp_path: Path
) -> None:
    answers = {
        "gone.png": lambda request: request.fail(404),
        "secret.png": lambda request: request.fail(403),
        "broken.png": lambda request: request.fail(503),
        "cut.png": lambda request: request.give(request.data, sent=200),
        "page.png": lambda request: request.give(b"<html>" + b"." * (2 * BLOCK)),
        "liar.png": lambda request: request.head(200, Content_Length=5 << 30),
    }
    said = {
        "gone.png": "no such file",
        "secret.png": "cannot be read: the server says 403",
        "broken.png": "cannot be read: the server says 503",
        "cut.png": "cannot be read",
        "page.png": "not a picture of a format read here",
        "liar.png": "5,120 MiB are more than the 4,071 MiB that are read (see --limit-pixels)",
    }
    for name, behaviour in answers.items():
        address = server.at(name, behaviour)
        status, _, err = call(*denoise, address, "-o", tmp_path / "out.png")
        assert (status, len(err.splitlines())) == (1, 1), err
        assert err.startswith(f"cyclerdm: {address}: {said[name]}"), err
    status, _, err = call(*denoise, "http://127.0.0.1:9/a.png", "-o", tmp_path / "out.png")
    assert (status, len(err.splitlines())) == (1, 1), err
    assert "http://127.0.0.1:9/a.png: cannot be read" in err


@needs_web
def test_what_does_not_end_is_not_waited_for(server: Loopback) -> None:
    def endless(request: object) -> None:
        request.head(200)  # type: ignore[attr-defined]
        request.body(b"\x89PNG\r\n\x1a\n")  # type: ignore[attr-defined]
        while True:
            request.body(bytes(BLOCK))  # type: ignore[attr-defined]

    address = placed(server.at("endless.png", endless))
    assert isinstance(address, Address)
    with pytest.raises(PictureError, match="are more than"):
        read_address(address, limit_pixels=1)


@needs_web
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["https://host.invalid/a.jpg"], "https://host.invalid/a_denoise.jpg: nothing can be written there"),
        (["https://host.invalid/a.jpg", "-o", "https://host.invalid/out/"], "nothing can be written there"),
        (["https://host.invalid/album/", "-o", "out/"], "the web lists no folders"),
        (["https://host.invalid/a.jpg", "-o", "out/", "--offline"], "--offline forbids to open a connection"),
        (["a.jpg", "-o", "http://host.invalid/a.jpg"], "nothing can be written there"),
    ],
)
def test_what_the_web_does_not_offer_is_said_before_any_work(
    words: list[str], said: str, denoise: list[str | Path]
) -> None:
    status, _, err = call(*denoise, *words)
    assert (status, len(err.splitlines())) == (2, 1), err
    assert said in err


def test_names_on_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_see_that_it_is_known", lambda scheme: None)
    where = placed(f"https://host/album/{quote('grün 1.jpg')}?sign=a/b//c#top")
    assert (where.name, where.stem, where.suffix) == ("grün 1.jpg", "grün 1", ".jpg")
    assert str(where) == "https://host/album/gr%C3%BCn%201.jpg?sign=a%2Fb%2F%2Fc"
    assert placed("https://host/..%2F..%2Fetc%2Fa.jpg").name == "..%2F..%2Fetc%2Fa.jpg"


@pytest.mark.parametrize("scheme", ["https", "s3"])
def test_without_the_extra_one_line_names_it(
    scheme: str, denoise: list[str | Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses._see_that_it_is_known.cache_clear()
    monkeypatch.setitem(sys.modules, "fsspec", None)
    status, _, err = call(*denoise, f"{scheme}://host/a.jpg", "-o", "out/")
    assert (status, err) == (
        2,
        f"cyclerdm: {scheme}:// needs the extra remote (pip install 'cyclerdm[remote]')\n",
    )


def test_files_at_addresses_have_the_limits_of_others(
    memory: MemoryFileSystem, denoise: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/album/large.png", b"\x89PNG\r\n\x1a\n" + bytes(2 * BLOCK))
    monkeypatch.setattr(addresses, "LARGE", BLOCK)
    monkeypatch.setattr("cyclerdm_cli.pictures.streams.ROOM", BLOCK)
    assert ROOM > BLOCK
    where = placed("memory://album/large.png")
    assert isinstance(where, Address)
    with pytest.raises(PictureError, match=r"2 MiB are more than the 1 MiB .* \(see --limit-pixels\)"):
        read_address(where, limit_pixels=1)
    memory.pipe_file("/album/text.png", b"text" + bytes(2 * BLOCK))
    status, _, err = call(*denoise, "memory://album/text.png", "-o", tmp_path / "out.png")
    assert (status, len(err.splitlines())) == (1, 1), err
    assert "memory://album/text.png: not a picture" in err
    status, _, err = call(*denoise, "memory://album/2.png", "-o", tmp_path / "out.png", "--limit-pixels", "9")
    assert (status, len(err.splitlines())) == (1, 1), err
