"""Names in lists, and what searches pass over."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.listing import list_inputs
from cyclerdm_cli.pictures.lists import names_in
from cyclerdm_cli.training.photographs import pictures_in

NAMES = ["pics/a.png", "pics/b ü.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_of_every_shell(encoding, end):
    text = end.join(["# holiday", *NAMES, "", "  # the rest is blurred"])
    assert names_in(text.encode(encoding)) == NAMES
    big_endian = b"\xfe\xff" + text.encode("utf-16-be")
    assert names_in(big_endian) == NAMES


def test_a_file_may_be_named_like_a_comment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("#1.png").touch()
    assert names_in(b"#1.png\n#2.png\n") == ["#1.png"]
    assert names_in(b"#1.png\0#2.png\0") == ["#1.png", "#2.png"]


def test_a_list_that_breaks_its_encoding_is_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfea\0b")
    with pytest.raises(UsageError, match=r"list\.txt: the list is not in the encoding"):
        list_inputs([f"@{tmp_path}/list.txt"])


def test_a_list_comes_through_a_pipe(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.png\nb.png\n")))
    assert [entry.name for entry in list_inputs(["@-"])] == ["a.png", "b.png"]


def test_what_machines_put_beside_pictures_is_passed_over(tmp_path):
    for name in (
        "a.jpg",
        "in/b.jpg",
        "._a.jpg",
        "@eaDir/a.jpg/S.jpg",
        "in/.thumbnails/b.jpg",
        "__MACOSX/a.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    wanted = [tmp_path / "a.jpg", tmp_path / "in" / "b.jpg"]
    assert [entry.path for entry in list_inputs([str(tmp_path)], recursive=True)] == wanted
    assert [entry.path for entry in list_inputs([f"{tmp_path}/**/*.jpg"])] == wanted
    assert [entry.path for entry in list_inputs([f"{tmp_path}/*"], recursive=True)] == wanted
    assert pictures_in(tmp_path) == wanted
    hidden = tmp_path / "in" / ".thumbnails"
    assert [entry.path for entry in list_inputs([str(hidden)])] == [hidden / "b.jpg"]
    assert [entry.path for entry in list_inputs([f"{hidden}/*.jpg"])] == [hidden / "b.jpg"]
