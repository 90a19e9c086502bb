"""Pictures at addresses such as `s3://bucket/folder/a.jpg`, beside those in folders; fsspec brings and takes them.

An `Address` is a path in all that concerns names. Only the few functions here open connections. Pictures on the web
(`https://host/a.jpg`) are read one by one: servers there list no folders and take no results.
"""

from __future__ import annotations

import os
import posixpath
import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PosixPath
from typing import Any
from urllib.parse import unquote

from cyclerdm_cli.errors import PictureError, UsageError

FORM = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)
STORES = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "hf", "memory"))
"""Where a file appears only once all of it has come; elsewhere it gets its name afterwards."""
WEB = frozenset(("http", "https"))
IN_EXTRA = WEB | {"s3", "s3a"}
"""What the extra reaches; for other kinds there are packages of their own."""
EXTRA = "pip install 'cyclerdm[remote]'"
CONNECT, SILENCE, WHOLE = 10, 30, 3600
"""Seconds that are waited for a server on the web: for a connection, for the next byte, for all of a file."""
LARGE = 64 << 20
"""Bytes from which a file's beginning is looked at before all of it is brought."""
BEGINNING = 16
"""Bytes by which pictures are told."""
Check = Callable[[bytes | None, int], None]
"""Is told how a file begins, where that is known, and its size in bytes, or the part that has come; may raise."""


class Address(PosixPath):
    """A place that is not in any folder here."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    @property
    def name(self) -> str:
        """The file's name; on the web without what is asked of the server, and with escapes undone."""
        name = super().name
        if not is_on_web(self):
            return name
        bare = name.partition("?")[0]
        plain = unquote(bare)
        return bare if "/" in plain or "\0" in plain else plain


def is_address(name: str | os.PathLike[str]) -> bool:
    """Tell an address from a path; `file://` is an address in form only."""
    return isinstance(name, Address) or (isinstance(name, str) and FORM.match(name) is not None)


def is_on_web(address: Address) -> bool:
    """Tell whether an address is one that browsers open."""
    return str(address).partition(":")[0] in WEB


def placed(name: str) -> Path:
    """Return the path or the address that a name stands for.

    Raises:
        UsageError: an address that nothing installed can reach, or of no file.
    """
    found = FORM.match(name)
    if found is None:
        return Path(name)
    scheme, rest = found.groups()
    if scheme == "file":
        return Path("/" + rest.partition("/")[2])
    _see_that_it_is_known(scheme)
    if rest.startswith("/") or not rest:
        raise UsageError(f"{name}: whose is it?", hint=f"{scheme}://BUCKET-OR-HOST/PATH")
    if scheme not in WEB:
        return Address(name)
    path, sign, query = rest.partition("#")[0].partition("?")
    if path.endswith("/"):
        raise UsageError(
            f"{name}: is no file, and the web lists no folders", hint="name each picture, or @list.txt"
        )
    return Address(f"{scheme}://{path}{sign}{query.replace('/', '%2F')}")


def normalised(name: str) -> str:
    """Return the shortest spelling of a path or an address."""
    found = FORM.match(name)
    return f"{found[1]}://{posixpath.normpath(found[2])}" if found else os.path.normpath(name)


def exists(where: Path) -> bool:
    """Tell whether there is a file; of a link, whether it leads to one. Raises PictureError."""
    if not isinstance(where, Address):
        return os.path.exists(where)
    try:
        return bool(_filesystem(where).exists(str(where)))
    except Exception as error:
        raise PictureError(f"{where}: cannot be reached: {_words(error)}") from error


def is_taken(where: Path) -> bool:
    """Tell whether there is anything of that name, a broken link too. Raises PictureError."""
    return exists(where) if isinstance(where, Address) else os.path.lexists(where)


def refuse_unwritable(place: Path) -> None:
    """Raise UsageError over an address that takes no results."""
    if isinstance(place, Address) and is_on_web(place):
        raise UsageError(f"{place}: nothing can be written there", hint="-o FOLDER/, or s3://BUCKET/FOLDER/")


def fetch_bytes(address: Address, check: Check) -> bytes:
    """Return what lies at an address; `check` ends it before too much has come. Raises PictureError."""
    name = str(address)
    try:
        files = _filesystem(address)
        if is_on_web(address):
            return _streamed(files, name, check)
        size = files.info(name).get("size")
        if size is not None and size > LARGE:
            check(files.cat_file(name, start=0, end=BEGINNING), size)
        data: bytes = files.cat_file(name)
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{address}: no such file") from error
    except PermissionError as error:
        raise PictureError(f"{address}: no permission to read it") from error
    except Exception as error:  # every kind of store has exceptions of its own
        raise PictureError(f"{address}: cannot be read: {_words(error)}") from error
    return data


class _Sink(BytesIO):
    """What comes from a server, checked as it comes: what it says of the size may be missing, or a lie."""

    def __init__(self, check: Check) -> None:
        super().__init__()
        self._check = check
        self._head = b""

    def write(self, piece: Any) -> int:
        self._head += bytes(piece[: BEGINNING - len(self._head)])
        written = super().write(piece)
        self._check(self._head, self.tell())
        return written


def _streamed(files: Any, name: str, check: Check) -> bytes:
    """Return a file from the web, brought by one request."""
    from fsspec.callbacks import Callback

    class SizeFirst(Callback):  # type: ignore[misc]
        def set_size(self, size: int | None) -> None:
            if size is not None:
                check(None, size)

    sink = _Sink(check)
    files.get_file(name, sink, callback=SizeFirst())
    return sink.getvalue()


def put_bytes(address: Address, data: bytes) -> None:
    """Write a file that appears whole or not at all. Raises PictureError."""
    try:
        files = _filesystem(address)
        if str(address).partition(":")[0] in STORES:
            files.pipe_file(str(address), data)
            return
        files.makedirs(str(address.parent), exist_ok=True)
        temporary = f"{address.parent}/.cyclerdm-{secrets.token_hex(8)}.part"
        try:
            files.pipe_file(temporary, data)
            files.mv(temporary, str(address))
        except BaseException:
            if files.exists(temporary):
                files.rm_file(temporary)
            raise
    except Exception as error:
        raise PictureError(f"{address}: cannot be written: {_words(error)}") from error


def found_at(address: Address, recursive: bool) -> list[Address] | None:
    """Return the files below an address, or those that its wildcards match; None where it is a file, or nothing.

    Raises:
        UsageError: it cannot be reached.
    """
    if is_on_web(address):
        return None
    try:
        files = _filesystem(address)
        if re.search(r"[*?[]", str(address)) and not files.exists(str(address)):  # or it is a name's own
            names = [name for name in files.glob(str(address)) if not files.isdir(name)]
        elif files.isdir(str(address)):
            names = files.find(str(address), maxdepth=None if recursive else 1)
        else:
            return None
    except Exception as error:
        raise UsageError(f"{address}: cannot be listed: {_words(error)}") from error
    scheme = str(address).partition(":")[0]
    return [Address(f"{scheme}://{name.rpartition('://')[2].lstrip('/')}") for name in names]


@lru_cache
def _see_that_it_is_known(scheme: str) -> None:
    try:
        import fsspec

        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        if scheme in IN_EXTRA or (error.name or "").partition(".")[0] == "fsspec":
            raise UsageError(f"{scheme}:// needs the extra remote", hint=EXTRA) from error
        raise UsageError(f"{scheme}:// needs a package that is not installed: {_words(error)}") from error
    except ValueError as error:
        raise UsageError(
            f"{scheme}:// is no kind of address known here", hint="such as s3:// or gs://"
        ) from error


def _filesystem(address: Address) -> Any:
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}
    if is_on_web(address):
        from aiohttp import ClientTimeout

        patience = ClientTimeout(total=WHOLE, sock_connect=CONNECT, sock_read=SILENCE)
        options["client_kwargs"] = {"timeout": patience, "trust_env": True}  # the proxies of the environment
    files, _ = fsspec.core.url_to_fs(str(address), **options)
    return files


def _words(error: Exception) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if status and message is not None:  # an answer over HTTP, whose own words hold all of the address
        return f"the server says {status} {message}".rstrip()
    if isinstance(error, TimeoutError):
        return "it took too long"
    return " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
