"""Bytes that come through pipes, read once, within bounds, and never waited for without end."""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.addresses import Address, fetch_bytes
from cyclerdm_cli.pictures.formats import TITLES, may_begin_picture

PATIENCE = 5.0
"""Seconds in which somebody must have begun to write into a named pipe."""
PAUSE = 0.05
BLOCK = 1 << 20
BYTES_A_PIXEL = 8
"""Of the largest that is kept of a pixel: four channels of 16 bits."""
ROOM = 256 << 20
"""Bytes of a file that may be other things than its first picture's pixels."""

HINT = "see --limit-pixels"


def most_bytes(limit_pixels: int) -> int:
    """Return the size of the largest file that is read as a picture of so many pixels."""
    return BYTES_A_PIXEL * limit_pixels + ROOM


def is_pipe(path: Path) -> bool:
    """Tell whether a path leads to a named pipe."""
    return _mode(path, stat.S_ISFIFO)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path leads to a pipe, a socket or a device, in which a search finds no pictures."""
    return _mode(path, lambda mode: not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)))


def put_into_stream(path: Path, data: bytes) -> None:
    """Write bytes to a pipe or a device. Raises PictureError."""
    try:
        with open(path, "wb", buffering=0) as stream:
            stream.write(data)
    except OSError as fault:
        raise PictureError(f"{path}: cannot be written: {fault.strerror}") from fault


def check_file(path: Path, limit_pixels: int) -> None:
    """Raise PictureError over a file too large to be a picture; smaller ones are left to the decoder."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size <= BLOCK:
            return
        with open(path, "rb") as stream:
            _check(stream.read(16), found.st_size, most_bytes(limit_pixels), str(path))
    except (OSError, ValueError):
        return  # whoever reads it says why not


def read_address(address: Address, limit_pixels: int) -> bytes:
    """Return what lies at an address. Raises PictureError where it is too much, or no picture, or not there."""
    most = most_bytes(limit_pixels)

    def check(head: bytes | None, size: int) -> None:
        if size > BLOCK:
            _check(head, size, most, str(address))

    return fetch_bytes(address, check)


def read_stream(stream: BinaryIO, name: str, most: int, pictures: bool = True) -> bytes:
    """Return all that comes through an open stream. Raises PictureError where it is too much, or no picture."""
    return _joined(iter(lambda: stream.read(BLOCK), b""), name, most, pictures)


def read_pipe(path: Path, most: int, pictures: bool = True) -> bytes:
    """Return all that comes through a named pipe.

    Args:
        path: of the pipe.
        most: bytes that may come.
        pictures: whether it must be a picture.

    Raises:
        PictureError: nobody writes into it, it is too much, or no picture.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as fault:
        raise PictureError(f"{path}: cannot be read: {fault.strerror}") from fault
    try:
        return _joined(_blocks(descriptor, path), str(path), most, pictures)
    finally:
        os.close(descriptor)


def _blocks(descriptor: int, path: Path) -> Iterator[bytes]:
    deadline, begun = time.monotonic() + PATIENCE, False
    while True:
        try:
            block = os.read(descriptor, BLOCK)
        except BlockingIOError:  # somebody has it open, and has not written more yet
            begun = True
            select.select([descriptor], [], [])
            continue
        if block:
            begun = True
            yield block
        elif begun:
            return
        elif time.monotonic() > deadline:
            raise PictureError(f"{path}: is a pipe into which nobody has written for {PATIENCE:g} s")
        else:
            time.sleep(PAUSE)


def _joined(blocks: Iterator[bytes], name: str, most: int, pictures: bool) -> bytes:
    data = bytearray()
    for block in blocks:
        data += block
        if len(data) > BLOCK:
            _check(bytes(data[:16]) if pictures else None, len(data), most, name, HINT if pictures else "")
    return bytes(data)


def _check(head: bytes | None, size: int, most: int, name: str, hint: str = HINT) -> None:
    if head is not None and not may_begin_picture(head):
        raise PictureError(f"{name}: not a picture of a format read here", hint=TITLES)
    if size > most:
        what = f"{size / 2**20:,.0f} MiB are more than the {most / 2**20:,.0f} MiB that are read"
        raise PictureError(f"{name}: {what}", hint=hint)


def _mode(path: str | os.PathLike[str], test: Callable[[int], bool]) -> bool:
    if isinstance(path, Address):
        return False
    try:
        return test(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
