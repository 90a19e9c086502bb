"""Patterns, and files of them, choose among the pictures that a search comes upon."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.listing import list_inputs
from cyclerdm_cli.pictures.selecting import BY_FILE, BY_PATTERNS, Selection, matches

TREE = ("a.jpg", "b.PNG", "june/a.jpg", "june/c.tif", "june/raw/d.jpg", "raw/e.jpg")


@pytest.fixture(autouse=True)
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work beside a folder `in` of empty files."""
    monkeypatch.chdir(tmp_path)
    for name in TREE:
        path = Path("in", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def taken(selection: Selection, *words: str) -> list[str]:
    found = list_inputs(words or ["in"], True, Counter(), selection)
    return sorted(entry.name.replace(os.sep, "/").removeprefix("in/") for entry in found)


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("*.png", "deep/er/a.PNG", True), ("raw", "june/raw/d.jpg", True), ("raw/", "june/raw/d.jpg", True),
        ("raw", "rawer/d.jpg", False), ("/raw", "june/raw/d.jpg", False), ("/raw", "raw/d.jpg", True),
        ("june/*.jpg", "june/raw/d.jpg", True), ("june/*.jpg", "old/june/d.jpg", False),
        ("**/d.jpg", "d.jpg", True), ("**/d.jpg", "june/raw/d.jpg", True), ("./raw/*", "raw/e.jpg", True),
        ("[ab].jpg", "a.jpg", True), ("[ab].jpg", "c.jpg", False), ("", "a.jpg", False),
        ("cafe\u0301/*", "caf\u00e9/a.jpg", True),
    ],
)  # fmt: skip
def test_what_a_pattern_matches(pattern: str, path: str, wanted: bool) -> None:
    assert matches(pattern, path.replace("/", os.sep)) is wanted


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ((), (), TREE),
        (("*.jpg",), (), ("a.jpg", "june/a.jpg", "june/raw/d.jpg", "raw/e.jpg")),
        (("*.tif", "*.png"), (), ("b.PNG", "june/c.tif")),
        ((), ("raw", "*.png"), ("a.jpg", "june/a.jpg", "june/c.tif")),
        (("june/*",), ("raw",), ("june/a.jpg", "june/c.tif")),
    ],
)
def test_patterns_choose(include: tuple[str, ...], exclude: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    assert taken(Selection(include, exclude)) == sorted(wanted)
    assert taken(Selection(include, exclude), "in/**/*.*") == sorted(wanted)


def test_a_picture_that_is_named_is_taken() -> None:
    Path("in/.cyclerdmignore").write_text("*")
    assert taken(Selection(exclude=["*"]), "in/a.jpg") == ["a.jpg"]


def test_files_of_patterns_hold_for_their_folder_and_below() -> None:
    Path("in/.cyclerdmignore").write_text("# not these\n/a.jpg\r\nraw\n\n")
    Path("in/june/.cyclerdmignore").write_text("*.tif\n!raw\n")
    selection = Selection()
    assert taken(selection) == ["b.PNG", "june/a.jpg", "june/raw/d.jpg"]
    assert sorted(selection.read) == [Path("in/.cyclerdmignore"), Path("in/june/.cyclerdmignore")]


def test_what_is_left_out_is_counted() -> None:
    Path("in/raw/.cyclerdmignore").write_text("*")
    passed_over: Counter[str] = Counter()
    list_inputs(["in"], True, passed_over, Selection(exclude=["june"]))
    assert passed_over == {BY_PATTERNS: 3, BY_FILE: 1}


def test_nothing_left_is_said_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"no pictures to work on \(passed over: 6 left out by --include"):
        taken(Selection(include=["*.heic"]))


def test_a_file_of_patterns_that_cannot_be_read_is_named() -> None:
    Path("in/.cyclerdmignore").write_bytes(b"\xff\xfea")
    with pytest.raises(UsageError, match=r"in.\.cyclerdmignore: is not in the encoding"):
        taken(Selection())
    Path("in/.cyclerdmignore").write_bytes(b"x\n" * (1 << 20))
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        taken(Selection())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_of_that_name_is_left_alone() -> None:
    os.mkfifo("in/.cyclerdmignore")
    assert taken(Selection()) == sorted(TREE)
