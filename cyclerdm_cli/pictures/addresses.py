"""Pictures at addresses such as `s3://bucket/folder/a.jpg`, beside those in folders; fsspec brings and takes them.

An `Address` is a path in all that concerns names. Only the few functions here open connections.
"""

from __future__ import annotations

import os
import posixpath
import re
import secrets
from functools import lru_cache
from pathlib import Path, PosixPath
from typing import Any

from cyclerdm_cli.errors import PictureError, UsageError

FORM = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)
STORES = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "hf", "memory"))
"""Where a file appears only once all of it has come; elsewhere it gets its name afterwards."""


class Address(PosixPath):
    """A place that is not in any folder here."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)


def is_address(name: str | os.PathLike[str]) -> bool:
    """Tell an address from a path; `file://` is an address in form only."""
    return isinstance(name, Address) or (isinstance(name, str) and FORM.match(name) is not None)


def placed(name: str) -> Path:
    """Return the path or the address that a name stands for.

    Raises:
        UsageError: an address that nothing installed can reach.
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
    return Address(name)


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


def fetch_bytes(address: Address) -> bytes:
    """Return what lies at an address. Raises PictureError."""
    try:
        data: bytes = _filesystem(address).cat_file(str(address))
    except FileNotFoundError as error:
        raise PictureError(f"{address}: no such file") from error
    except PermissionError as error:
        raise PictureError(f"{address}: no permission to read it") from error
    except Exception as error:  # every kind of store has exceptions of its own
        raise PictureError(f"{address}: cannot be read: {_words(error)}") from error
    return data


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
    try:
        files = _filesystem(address)
        if re.search(r"[*?[]", str(address)):
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
        raise UsageError(f"{scheme}:// needs a package that is not installed: {_words(error)}") from error
    except ValueError as error:
        raise UsageError(
            f"{scheme}:// is no kind of address known here", hint="such as s3:// or gs://"
        ) from error


def _filesystem(address: Address) -> Any:
    import fsspec

    files, _ = fsspec.core.url_to_fs(str(address), use_listings_cache=False)
    return files


def _words(error: Exception) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
