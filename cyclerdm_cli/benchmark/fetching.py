"""Brings the sets that have a direct address: downloaded, unpacked beside their place, then moved there whole."""

from __future__ import annotations

import lzma
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from cyclerdm_cli.benchmark.datasets import Archive, Dataset
from cyclerdm_cli.errors import DataError
from cyclerdm_cli.mounts import set_mode
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.weights.connections import Session, Timeouts
from cyclerdm_cli.weights.transfer import Part, TransferFault, transfer

TIMEOUTS = Timeouts(silence=60.0)
SPARE = 100 * 1_000_000
"""Bytes that must stay free on the disk."""
MOST_UNPACKED = 100
"""Bytes that a byte of an archive may become: pictures hardly shrink in a zip file."""


def fetch(dataset: Dataset, root: Path, say: Callable[[str], None]) -> None:
    """Bring a set to `root`/NAME; an interrupted download goes on where it was.

    Raises:
        DataError: no direct address, not to be reached, no zip file, no pictures in it, or the disk is full.
    """
    archive = dataset.archive
    if archive is None:
        raise DataError(f"{dataset.name}: has no direct address", hint=f"see {dataset.home}")
    if archive.fault:
        raise DataError(f"{dataset.name}: {archive.url} {archive.fault}", hint=f"see {dataset.home}")
    part = Part(root / f".{dataset.name}.zip.part")
    say(f"{dataset.name}: fetching {archive.url}, licence: {dataset.licence}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with Session() as session:
            transfer(session, archive.url, part, None, TIMEOUTS, lambda there: _see_to_room(root))
        _unpack(part.path, archive, root / dataset.name)
        part.discard()
    except TransferFault as fault:
        again = "; the same command goes on from here" if fault.passing else ""
        raise DataError(f"{archive.url}: {fault}{again}", hint=f"see {dataset.home}") from fault
    except NO_ZIP as fault:
        part.discard()
        raise DataError(
            f"{archive.url}: what came is no zip file that can be unpacked", hint=f"see {dataset.home}"
        ) from fault
    except OSError as fault:
        raise DataError(f"{root}: {fault.strerror or fault}") from fault


NO_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)
"""What Python raises over damaged, locked and unknown kinds of zip files."""


def _see_to_room(root: Path) -> None:
    """Raise DataError where the disk is nearly full: an answer without a length may have no end."""
    if shutil.disk_usage(root).free < SPARE:
        raise DataError(
            f"{root}: less than {SPARE // 1_000_000} MB are free", hint="make room, or --data-root"
        )


def _see_that_it_fits(size: int, path: Path, archive: Archive) -> None:
    """Raise DataError where unpacking would take far more than what came, or more than there is room for."""
    if size > MOST_UNPACKED * path.stat().st_size:
        raise DataError(f"{archive.url}: would become {size / 2**30:.1f} GiB, far more than what came")
    if size > shutil.disk_usage(path.parent).free - SPARE:
        raise DataError(
            f"{path.parent}: no room for {size / 2**30:.1f} GiB", hint="make room, or --data-root"
        )


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
            _see_that_it_fits(sum(one.file_size for one, _ in pictures), path, archive)
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
