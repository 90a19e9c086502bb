"""Brings the sets that have a direct address: downloaded, unpacked beside their place, then moved there whole."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import requests

from cyclerdm_cli.benchmark.datasets import Archive, Dataset
from cyclerdm_cli.errors import DataError
from cyclerdm_cli.mounts import set_mode
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.weights.transfer import Part, TransferFault, transfer

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and without a byte."""


def fetch(dataset: Dataset, root: Path, say: Callable[[str], None]) -> None:
    """Bring a set to `root`/NAME; an interrupted download goes on where it was.

    Raises:
        DataError: no direct address, not to be reached, no zip file, no pictures in it, or the disk is full.
    """
    archive = dataset.archive
    if archive is None:
        raise DataError(f"{dataset.name}: has no direct address", hint=f"see {dataset.home}")
    part = Part(root / f".{dataset.name}.zip.part")
    say(f"{dataset.name}: fetching {archive.url}, licence: {dataset.licence}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with requests.Session() as session:
            transfer(session, archive.url, part, None, TIMEOUT, lambda there: None)
        _unpack(part.path, archive, root / dataset.name)
        part.discard()
    except TransferFault as fault:
        again = "; the same command goes on from here" if fault.passing else ""
        raise DataError(f"{archive.url}: {fault}{again}", hint=f"see {dataset.home}") from fault
    except zipfile.BadZipFile as fault:
        part.discard()
        raise DataError(f"{archive.url}: what came is no zip file", hint=f"see {dataset.home}") from fault
    except OSError as fault:
        raise DataError(f"{root}: {fault.strerror or fault}") from fault


def _unpack(path: Path, archive: Archive, target: Path) -> None:
    """Unpack the pictures of one folder of a zip file; they appear at `target` all together."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with zipfile.ZipFile(path) as content:
            around = len({name.split("/", 1)[0] for name in content.namelist()}) == 1
            members = [(one, _inside(one.filename, archive.inside, around)) for one in content.infolist()]
            pictures = [
                (one, place) for one, place in members if place and place.suffix.lower() in BY_EXTENSION
            ]
            if not pictures:
                raise DataError(f"{archive.url}: holds no pictures in {archive.inside or 'it'}")
            for one, place in pictures:
                output = temporary.joinpath(*place.parts)
                output.parent.mkdir(parents=True, exist_ok=True)
                with content.open(one) as source, output.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
        set_mode(temporary, 0o777 & ~_umask())
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _inside(name: str, inside: str, around: bool) -> PurePosixPath | None:
    """Return a member's path below the folder wanted, or None where it lies outside it.

    Archives of a repository have one folder around everything, named after the commit; it does not count.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return None
    parts = path.parts[1:] if around else path.parts
    folder = PurePosixPath(inside).parts
    rest = parts[len(folder) :]
    return PurePosixPath(*rest) if parts[: len(folder)] == folder and rest else None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
