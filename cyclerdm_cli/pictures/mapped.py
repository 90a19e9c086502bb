"""A large file as bytes that are read from the disk when they are looked at, and forgotten afterwards."""

from __future__ import annotations

import io
import mmap
import os
from pathlib import Path
from typing import IO, cast

LARGE_FILE = 64 << 20
"""Bytes of a file from which it is not read as a whole."""
STARTS = (b"II*\0", b"MM\0*", b"\x89PNG")
"""Of TIFF and PNG, whose readers here take a file piece by piece."""


class MappedFile(mmap.mmap):
    """A file's bytes, as far as the readers of pictures ask for them."""

    def startswith(self, start: bytes | tuple[bytes, ...]) -> bool:
        """Tell whether the file begins so."""
        return self[:16].startswith(start)

    def forget(self) -> None:
        """Let the system have the memory of all that was looked at, where it can be told so."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)


class _Reader(io.RawIOBase):
    """A stream over a mapped file."""

    def __init__(self, data: MappedFile) -> None:
        self._data, self._place = data, 0

    def readable(self) -> bool:
        """Tell that it is read from."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be moved in."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: len(self._data)}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as there are bytes."""
        piece = self._data[self._place : self._place + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


def mapped(path: Path) -> MappedFile | None:
    """Return a large TIFF or PNG file mapped; None for any other, and where it cannot be."""
    try:
        with open(path, "rb") as stream:
            if os.fstat(stream.fileno()).st_size < LARGE_FILE or stream.read(4) not in STARTS:
                return None
            return MappedFile(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None


def take(data: bytes, start: int, end: int) -> bytes:
    """Return bytes of a file that are not asked for again."""
    piece = data[start:end]
    forget(data)
    return piece


def forget(data: object) -> None:
    """Let the system have the memory of what was looked at of a file, if it is mapped."""
    if isinstance(data, MappedFile):
        data.forget()


def stream_over(data: object) -> IO[bytes]:
    """Return a stream that reads a file's bytes."""
    if isinstance(data, MappedFile):
        return cast(IO[bytes], io.BufferedReader(_Reader(data)))
    assert isinstance(data, bytes)
    return io.BytesIO(data)
