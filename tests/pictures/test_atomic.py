"""Files appear whole or not at all."""

import errno
import os
import stat
import threading

import pytest

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures import atomic
from cyclerdm_cli.pictures.atomic import (
    TakenError,
    clear_leftovers,
    identity,
    is_temporary,
    write_atomically,
)

posix = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX systems know them")


def test_a_file_and_its_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "c.png"
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"
    assert os.listdir(path.parent) == ["c.png"]


def test_the_longest_name_that_the_disk_takes(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_stood_there_stays_if_anything_fails(tmp_path, monkeypatch, step):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, step, fail)
    with pytest.raises(PictureError, match=r"a\.png: cannot be written: No space left on device"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.png"]


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.png", b"data")
    assert os.listdir(tmp_path) == []


def test_temporary_names_are_known_as_such(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(atomic.os, "fsync", lambda descriptor: seen.append(os.listdir(tmp_path)))
    write_atomically(tmp_path / "a.png", b"data")
    (name,) = seen[0]
    assert is_temporary(name)
    assert not is_temporary("a.png")


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_what_appears_at_the_last_moment_is_not_replaced(tmp_path, monkeypatch, number):
    """The number: what a file system without links says."""
    path = tmp_path / "a.png"
    sync = atomic.flush
    monkeypatch.setattr(atomic, "flush", lambda descriptor: (path.write_bytes(b"before"), sync(descriptor)))
    if number is not None:
        monkeypatch.setattr(atomic.os, "link", refusing(number))
    with pytest.raises(TakenError, match="exists already"):
        write_atomically(path, b"after", replace=False)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.png"]
    monkeypatch.setattr(atomic, "flush", sync)
    write_atomically(tmp_path / "b.png", b"after", replace=False)
    assert (tmp_path / "b.png").read_bytes() == b"after"
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png"]


@posix
def test_no_input_is_replaced_under_whatever_name(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    os.link(path, tmp_path / "hard.png")
    os.symlink(path, tmp_path / "soft.png")
    inputs = {identity(path)}
    for name in ("a.png", "hard.png", "soft.png"):
        with pytest.raises(TakenError, match="inputs are never overwritten"):
            write_atomically(tmp_path / name, b"after", inputs=inputs)
    assert path.read_bytes() == b"before"
    assert sorted(os.listdir(tmp_path)) == ["a.png", "hard.png", "soft.png"]


def refusing(number):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return refuse


@posix
@pytest.mark.parametrize("step", ["fsync", "chmod"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_courtesies_that_a_mount_refuses_are_no_failure(tmp_path, monkeypatch, step, number):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, step, refusing(number))
    write_atomically(path, b"after")
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["a.png"]


@posix
def test_what_killed_writers_left_is_cleared_away_and_nothing_else(tmp_path, monkeypatch):
    left = tmp_path / f".cyclerdm-{'a' * 16}.part"
    for path in (left, tmp_path / ".cyclerdm-notes.part", tmp_path / "a.part", tmp_path / ".hidden"):
        path.write_bytes(b"half")
    seen = []

    def sync(descriptor):
        clear_leftovers([tmp_path, tmp_path / "nowhere"])  # as a second program does while this one writes
        seen.append(sorted(os.listdir(tmp_path)))

    monkeypatch.setattr(atomic.os, "fsync", sync)
    write_atomically(tmp_path / "a.png", b"data")
    assert left.name not in seen[0]
    assert sum(map(is_temporary, seen[0])) == 1, "the one that is being written"
    assert sorted(os.listdir(tmp_path)) == [".cyclerdm-notes.part", ".hidden", "a.part", "a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"data"


@posix
def test_a_temporary_file_cleared_away_before_it_was_locked_is_made_anew(tmp_path, monkeypatch):
    lock = atomic.fcntl.flock
    turns = []

    def flock(descriptor, operation):
        turns.append(operation)
        if len(turns) == 1:
            (name,) = os.listdir(tmp_path)
            os.unlink(tmp_path / name)
        return lock(descriptor, operation)

    monkeypatch.setattr(atomic.fcntl, "flock", flock)
    write_atomically(tmp_path / "a.png", b"data")
    assert len(turns) == 2
    assert (tmp_path / "a.png").read_bytes() == b"data"


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a.png", b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~umask


@posix
def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    path.chmod(0o640)
    write_atomically(path, b"after")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"after", 0o640)


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in ("file/a.png", "folder", "x" * 300 + ".png", "a\0b.png"):
        with pytest.raises(PictureError, match="cannot be written"):
            write_atomically(tmp_path / place, b"data")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "a.png"
    contents = [bytes([digit]) * 300_000 for digit in range(2)]
    write_atomically(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(20):
            write_atomically(path, contents[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert path.read_bytes() in contents
    writer.join()
