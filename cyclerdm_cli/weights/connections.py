"""Connections over HTTP that take no more than was asked for, and end when nothing comes of them.

A timeout of the libraries bounds each silence alone: a server that sends a byte now and then holds a program for
ever. And `requests` reads the whole body of a redirection, and unpacks it, though nobody wants it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ConnectionError
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

CHUNK = 1 << 13
"""Bytes that are taken at once; a broken connection loses no more."""
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
LONGEST_LINE = 1024
CUT_AGAIN = 0.2
"""Seconds until a connection is cut that was made after its time."""


@dataclass(frozen=True)
class Timeouts:
    """How long is waited, in seconds."""

    connect: float = 10.0
    """For a connection."""
    silence: float = 30.0
    """For the next byte."""
    piece: float = 60.0
    """For the head of an answer, and then for each further `Watch.PIECE` bytes of its body."""


class Session(requests.Session):
    """A session that follows no redirection, and whose connection can be cut from another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.socket: socket.socket | None = None
        self.mount("https://", _Adapter(self))
        self.mount("http://", _Adapter(self))

    def resolve_redirects(self, *_: Any, **__: Any) -> Any:
        """Return nothing: the original reads the body of a redirection to its end."""
        return iter(())

    def ask(self, address: str, headers: Mapping[str, str], timeouts: Timeouts) -> requests.Response:
        """Return the answer, its body not yet read.

        Raises:
            RequestException: no answer; or the libraries would open another address than the one given.
        """
        request = self.prepare_request(requests.Request("GET", address, headers=dict(headers)))
        if _host(str(request.url)) != _host(address):
            raise requests.exceptions.InvalidURL(address)
        how = self.merge_environment_settings(request.url, {}, True, None, None)
        return self.send(request, timeout=(timeouts.connect, timeouts.silence), allow_redirects=False, **how)

    def cut(self) -> None:
        """End the connection, whoever waits for it."""
        with contextlib.suppress(OSError):
            if self.socket is not None:
                self.socket.shutdown(socket.SHUT_RDWR)


def _host(address: str) -> tuple[str | None, str | None, int | None]:
    """Return scheme, host and port as the libraries see them."""
    try:
        parts = parse_url(address)
    except LocationParseError as fault:
        raise requests.exceptions.InvalidURL(address) from fault
    return parts.scheme, parts.host, parts.port


class _Adapter(HTTPAdapter):
    """Tells its session which socket is open."""

    def __init__(self, session: Session) -> None:
        self._session = session
        super().__init__()

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return a pool whose connections are known to the session."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not hasattr(pool.ConnectionCls, "known_to"):
            pool.ConnectionCls = _known(pool.ConnectionCls, self._session)
        return pool


def _known(kind: Any, session: Session) -> Any:
    class Known(kind):  # type: ignore[misc]
        known_to = session

        def connect(self) -> None:
            super().connect()
            session.socket = self.sock

    return Known


class Watch:
    """Cuts a connection where the next thing does not come in time, however busy it is."""

    PIECE = 1 << 16
    """Bytes of a body that count as progress."""

    def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
        """Begin to count when entered; `cut` is called from another thread, and again until this is left."""
        self._seconds, self._cut = seconds, cut
        self._until, self._over = 0.0, threading.Event()
        self.has_cut = False
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def __enter__(self) -> Watch:
        self.progress()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def progress(self) -> None:
        """Count anew."""
        self._until = time.monotonic() + self._seconds

    def _wait(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            if self._over.wait(left):
                return
        self.has_cut = True
        self._cut()
        while not self._over.wait(CUT_AGAIN):
            self._cut()


def body_of(response: requests.Response) -> Iterator[bytes]:
    """Yield an answer's body in pieces of CHUNK bytes at most, as it comes.

    Raises:
        RequestException: it ends early, is packed although that was not asked for, or is no proper HTTP.
    """
    packed = {word.strip().lower() for word in response.headers.get("Content-Encoding", "").split(",")}
    if packed & {"gzip", "x-gzip", "deflate", "br", "zstd"}:
        raise requests.exceptions.ContentDecodingError(response=response)
    if response.headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
        answer: Any = response.raw._original_response
        return _chunks(answer.fp)
    pieces: Iterator[bytes] = response.iter_content(CHUNK)
    return pieces


def _chunks(stream: Any) -> Iterator[bytes]:
    """Yield a body that comes in chunks (RFC 9112, 7.1); the libraries believe any length that a chunk claims."""
    while left := _length_of_chunk(stream):
        while left:
            piece = _taken(stream.read1, min(left, CHUNK))
            left -= len(piece)
            yield piece
        if _taken(stream.readline, 2) not in (b"\r\n", b"\n"):
            raise ChunkedEncodingError("a chunk is longer than it says")


def _length_of_chunk(stream: Any) -> int:
    found = CHUNK_LINE.fullmatch(_taken(stream.readline, LONGEST_LINE))
    if found is None:
        raise ChunkedEncodingError("no length of a chunk")
    return int(found[1], 16)


def _taken(read: Callable[[int], bytes], count: int) -> bytes:
    """Return what is read; nothing, and faults of the connection, become faults of the request."""
    try:
        found = read(count)
    except TimeoutError as fault:
        raise requests.exceptions.ReadTimeout("timed out") from fault
    except (OSError, ValueError) as fault:
        raise ConnectionError("reset by peer") from fault
    if not found:
        raise ChunkedEncodingError("ended within a chunk")
    return found
