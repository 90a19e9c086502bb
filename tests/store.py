"""A server on this machine that keeps files as S3 does: as much of it as reading, listing and writing ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from loopback import listening

BUCKET = "album"
"""The only one there is."""
WHEN = "2026-01-01T00:00:00.000Z"


class Store:
    """What is kept, by keys, and where the server is."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.files: dict[str, bytes] = {}

    def listing(self, asked: dict[str, list[str]]) -> str:
        """Return the keys below a prefix, with a delimiter those right below it alone, as S3 says them."""
        prefix, delimiter = (asked.get(name, [""])[0] for name in ("prefix", "delimiter"))
        files, folders = "", dict[str, None]()
        for key, data in sorted(self.files.items()):
            if not key.startswith(prefix):
                continue
            below, sign, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if sign:
                folders[prefix + below + delimiter] = None
                continue
            files += (
                f"<Contents><Key>{quote(key)}</Key><Size>{len(data)}</Size><ETag>&quot;x&quot;</ETag>"
                f"<LastModified>{WHEN}</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            )
        for folder in folders:
            files += f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>"
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{files}</ListBucketResult>"
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    @property
    def place(self) -> tuple[str, str]:
        """The bucket and the key that are asked for."""
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        return bucket, key

    def do_GET(self) -> None:
        bucket, key = self.place
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if bucket != BUCKET:
            self.answer(404, _fault("NoSuchBucket", "The specified bucket does not exist"))
        elif not key:
            self.answer(200, self.store.listing(asked).encode())
        elif key not in self.store.files:
            self.answer(404, _fault("NoSuchKey", "The specified key does not exist."))
        else:
            data = self.store.files[key]
            part = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if part:
                data = data[int(part[1]) : int(part[2]) + 1 if part[2] else None]
            self.answer(206 if part else 200, data)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            data = _joined(data)
        bucket, key = self.place
        if bucket != BUCKET:
            self.answer(404, _fault("NoSuchBucket", "The specified bucket does not exist"))
            return
        self.store.files[key] = data
        self.answer(200, b"")

    def answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def _fault(code: str, words: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode()


def _joined(data: bytes) -> bytes:
    """Return what was sent in chunks, each behind its length."""
    found = b""
    while True:
        length, _, data = data.partition(b"\r\n")
        size = int(length.partition(b";")[0], 16)
        if not size:
            return found
        found, data = found + data[:size], data[size + 2 :]


@contextmanager
def storing() -> Iterator[Store]:
    """Run such a server."""
    handler = type("Handler", (_Handler,), {})
    with listening(handler) as address:
        store = handler.store = Store(address)  # type: ignore[attr-defined]
        yield store
