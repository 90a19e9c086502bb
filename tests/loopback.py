"""A server on this machine that gives one file, well or badly; each path behaves in its own way."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Request"], None]


@dataclass
class Request:
    """One request being answered."""

    handler: BaseHTTPRequestHandler
    data: bytes
    """What the server has to give."""
    count: int
    """How many requests of this path there were before."""

    @property
    def start(self) -> int:
        """The byte that is asked for by Range; 0 without."""
        found = re.match(r"bytes=(\d+)-", self.handler.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def head(self, status: int, **headers: str | int) -> None:
        """Send the status and headers."""
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), str(value))
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def body(self, data: bytes) -> None:
        """Send bytes."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def give(self, data: bytes, sent: int | None = None, tag: str = '"one"') -> None:
        """Answer as a good server does, with Range and If-Range; `sent`: cut the connection after so many bytes."""
        asked = self.handler.headers.get("If-Range", tag)
        start = self.start if asked == tag else 0
        if start:
            content = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.head(206, Content_Length=len(data) - start, Content_Range=content, ETag=tag)
        else:
            self.head(200, Content_Length=len(data), ETag=tag)
        self.body(data[start:][:sent])
        if sent is not None:
            self.handler.connection.shutdown(socket.SHUT_RDWR)

    def fail(self, status: int, **headers: str | int) -> None:
        """Answer with a status and nothing else."""
        self.head(status, Content_Length=0, **headers)

    def stall(self, seconds: float = 1.5) -> None:
        """Keep silent, the connection open."""
        time.sleep(seconds)


@dataclass
class Loopback:
    """The server: where it is, what was asked."""

    base: str
    data: bytes
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of each request, in order."""

    def at(self, path: str, behaviour: Behaviour) -> str:
        """Let a path behave, and return its address."""
        self.behaviours[f"/{path}"] = behaviour
        return f"{self.base}/{path}"

    def good(self) -> str:
        """Return an address where all is well."""
        return self.at("good", lambda request: request.give(request.data))

    def count(self, path: str) -> int:
        """Return how many requests of a path there were."""
        return sum(one == f"/{path}" for one, _ in self.asked)


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests on this machine, and give the address at which that is done."""
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        listener.server_close()


@contextmanager
def serving(data: bytes) -> Iterator[Loopback]:
    """Run a server that has `data` to give."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            with lock:
                count = server.count(path[1:])
                server.asked.append((path, dict(self.headers)))
            self.close_connection = True
            with suppress(BrokenPipeError, ConnectionResetError):  # the other side had enough
                server.behaviours[path](Request(self, data, count))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with listening(Handler) as address:
        server = Loopback(address, data)
        yield server
