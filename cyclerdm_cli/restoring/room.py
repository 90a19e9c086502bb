"""Memory in words, and the room in it for pictures. Free of torch."""

from __future__ import annotations

import math
from collections import deque


def in_words(bytes_: int) -> str:
    """Return an amount of memory as people write it, rounded up: 512MB, 2.1GB."""
    if bytes_ < 1_000_000_000:
        return f"{math.ceil(bytes_ / 1e6)}MB"
    return f"{math.ceil(bytes_ / 1e8) / 10:g}GB"


class Room:
    """The pictures in memory at once, in their order: a further one comes in where there is room, or alone."""

    def __init__(self, bytes_: int | None) -> None:
        """Take the bytes that there are for pictures; None: without limit."""
        self._bytes = bytes_
        self._taken: deque[int] = deque()

    @property
    def size(self) -> int | None:
        """How many bytes it has, None for no end of them."""
        return self._bytes

    def take(self, bytes_: int) -> bool:
        """Let a picture of so many bytes in, or say no."""
        if self._taken and self._bytes is not None and sum(self._taken) + bytes_ > self._bytes:
            return False
        self._taken.append(bytes_)
        return True

    def leave(self) -> None:
        """Let the first go."""
        self._taken.popleft()
