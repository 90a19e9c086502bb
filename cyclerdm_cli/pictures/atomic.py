"""Files that appear whole or not at all: a temporary name in the same folder, flush to disk, rename."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cyclerdm_cli.errors import PictureError

TEMPORARY_PREFIX = ".cyclerdm-"
TEMPORARY_SUFFIX = ".part"


def is_temporary(name: str) -> bool:
    """Tell whether a file name (without folder) is one that `write_atomically` uses on the way."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, making its folder; the old file stays until all is on the disk.

    A new file gets the permissions that the umask grants, a replaced file keeps its own.

    Raises:
        PictureError: the disk is full, the folder is not writable, the name is impossible...
    """
    target = Path(path)
    # A short name of our own: a result whose name just fits must not fail for its temporary one.
    temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        try:
            _write_through(temporary, data)
            if target.is_file():
                os.chmod(temporary, target.stat().st_mode & 0o777)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(target.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"{target}: cannot be written: {reason}") from error


def _write_through(path: Path, data: bytes) -> None:
    # "x": two programs that draw the same name must not write into one file.
    with open(path, "xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


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
