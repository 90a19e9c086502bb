"""Files that appear whole or not at all: a temporary name in the same folder, flush to disk, rename.

What must not be replaced is judged at that moment and not before: folders and links may have changed meanwhile.

A program that is killed in between leaves its temporary file; the next run over that folder clears it away. So that
it never takes the file of one that still writes, writers hold a lock, which the system lets go of when they die.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.mounts import NOT_OFFERED, flush, set_mode
from cyclerdm_cli.pictures.addresses import Address, exists, put_bytes

try:
    import fcntl
except ImportError:  # Windows, where leftovers stay
    fcntl = None  # type: ignore[assignment]

Identity = tuple[int, int] | str
"""Device and inode of a file, or its address."""
NOT_LINKED = NOT_OFFERED | {errno.EACCES, errno.EMLINK, errno.EXDEV}
"""What systems say where a file cannot have a second name."""
BUFFER = 1 << 20
TEMPORARY_NAME = re.compile(r"\.cyclerdm-[0-9a-f]{16}\.part")


class TakenError(PictureError):
    """There is a file already where a result should go."""


def is_temporary(name: str) -> bool:
    """Tell whether a file name (without folder) is one that `write_atomically` uses on the way."""
    return TEMPORARY_NAME.fullmatch(name) is not None


def write_atomically(
    path: str | os.PathLike[str],
    data: bytes | Callable[[BinaryIO], None],
    *,
    replace: bool = True,
    inputs: Collection[Identity] = (),
) -> None:
    """Write `data` to `path`, making its folder; the old file stays until all is on the disk.

    A new file gets the permissions that the umask grants, a replaced file keeps its own.

    Args:
        path: where to.
        data: all of the file, or what writes it into an empty stream that it may read and move in.
        replace: whether it may take the place of a file that is there at that moment.
        inputs: files, as `identity` tells them, whose place it never takes.

    Raises:
        TakenError: a file is there that must not be replaced.
        PictureError: the disk is full, the folder is not writable, the name is impossible...

    Whatever else `data` raises is raised, and nothing is left of the file.
    """
    if isinstance(path, Address):
        _refuse_inputs(path, inputs)
        if not replace and exists(path):
            raise _taken(path)
        put_bytes(path, data if isinstance(data, bytes) else _collected(data))
        return
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        temporary, descriptor = _open_temporary(target.parent)
        try:
            try:
                _write_through(descriptor, data)
                if fcntl:  # the lock is held until the name is the right one
                    _name(temporary, target, replace, inputs)
            finally:
                os.close(descriptor)
            if not fcntl:  # Windows renames no open file
                _name(temporary, target, replace, inputs)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(target.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"{target}: cannot be written: {reason}") from error


def identity(path: str | os.PathLike[str]) -> Identity | None:
    """Return what tells an existing file from every other, whatever its names; None where there is none."""
    if isinstance(path, Address):
        return str(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def identities(paths: Iterable[str | os.PathLike[str]]) -> frozenset[Identity]:
    """Return what tells these files from all others, those that exist."""
    return frozenset(found for path in paths if (found := identity(path)) is not None)


def _taken(path: Path) -> TakenError:
    return TakenError(f"{path}: exists already", hint="--overwrite or --skip-existing")


def _refuse_inputs(path: Path, inputs: Collection[Identity]) -> None:
    if inputs and identity(path) in inputs:
        raise TakenError(f"{path}: is an input, and inputs are never overwritten")


def _name(temporary: Path, target: Path, replace: bool, inputs: Collection[Identity]) -> None:
    """Give a finished file its name. Raises TakenError where that would destroy another."""
    _refuse_inputs(target, inputs)
    if not replace:
        _name_anew(temporary, target)
        return
    if target.is_file():
        set_mode(temporary, target.stat().st_mode & 0o777)
    os.replace(temporary, target)


def _name_anew(temporary: Path, target: Path) -> None:
    """Rename without replacing: a link fails where there is a file, where a rename on POSIX would not."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as fault:
        if fault.errno not in NOT_LINKED:
            raise
        if os.path.lexists(target):  # file systems without links, such as FAT
            raise _taken(target) from None
        os.rename(temporary, target)
    else:
        temporary.unlink()


def clear_leftovers(folders: Iterable[str | os.PathLike[str]]) -> None:
    """Remove the temporary files of writers that were killed, not those of living ones; folders may be missing."""
    if not fcntl:
        return
    for folder in folders:
        try:
            names = [name for name in os.listdir(folder) if is_temporary(name)]
        except OSError:
            continue
        for name in names:
            _remove_if_abandoned(os.path.join(folder, name))


def _open_temporary(folder: Path) -> tuple[Path, int]:
    """Create and lock a file with a short name of our own: a result whose name just fits must not fail for it."""
    while True:
        temporary = folder / f".cyclerdm-{secrets.token_hex(8)}.part"
        # O_EXCL: two programs that draw the same name must not write into one file.
        descriptor = os.open(
            temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
        )
        if not fcntl:
            return temporary, descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return temporary, descriptor
        except OSError:  # a file system without locks, on which nothing is cleared away either
            return temporary, descriptor
        os.close(descriptor)  # cleared away between its creation and its lock: another one


def _write_through(descriptor: int, data: bytes | Callable[[BinaryIO], None]) -> None:
    if isinstance(data, bytes):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    else:
        with os.fdopen(descriptor, "r+b", BUFFER, closefd=False) as stream:
            data(stream)
    flush(descriptor)


def _collected(write: Callable[[BinaryIO], None]) -> bytes:
    """Return what is written into a stream."""
    stream = BytesIO()
    write(stream)
    return stream.getvalue()


def _remove_if_abandoned(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError:
        pass  # somebody is writing it, or it is not ours to remove
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """Bring the rename itself to the disk, where the system lets a folder be opened (Windows does not)."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot; the file's own bytes are safe already
    finally:
        os.close(descriptor)
