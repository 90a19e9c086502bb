"""Whether a file is the one that the registry means: size and sha256, computed once and remembered beside it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return a file's sha256 in hexadecimal digits. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record_of(path: Path) -> Path:
    """Return where it is remembered that a file was checked."""
    return path.with_name(f".{path.name}.checked")


def is_right(path: Path, size: int, sha256: str) -> bool:
    """Tell whether a file has this size and sha256; reads the whole of it.

    Raises OSError where it cannot be read.
    """
    return path.stat().st_size == size and sha256_of(path) == sha256


def is_known_right(path: Path, size: int, sha256: str) -> bool:
    """Tell the same; reads the file only where its size or time of change is not as recorded.

    A file found right is recorded, where its folder can be written to. Raises OSError as `is_right`.
    """
    state = _state(path, sha256)
    with contextlib.suppress(OSError, ValueError):
        if json.loads(record_of(path).read_text(encoding="utf-8")) == state:
            return path.stat().st_size == size
    if not is_right(path, size, sha256):
        return False
    with contextlib.suppress(OSError):  # a shared cache that only its owner may write to
        record_of(path).write_text(json.dumps(state) + "\n", encoding="utf-8")
    return True


def _state(path: Path, sha256: str) -> dict[str, str | int]:
    found = path.stat()
    return {"sha256": sha256, "bytes": found.st_size, "mtime_ns": found.st_mtime_ns}
