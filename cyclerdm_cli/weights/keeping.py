"""What this machine keeps besides the package: the registry of imported weights, and removal. Free of torch."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.checking import record_of
from cyclerdm_cli.weights.entry import Entry
from cyclerdm_cli.weights.places import failure_of, imported_registry, lock_of, part_of
from cyclerdm_cli.weights.registry import place_of, read_toml


def is_imported(name: str) -> bool:
    """Tell whether weights of that name were imported. Raises WeightsError: their registry cannot be read."""
    return imported_registry().is_file() and name in read_toml(imported_registry()).get("weights", {})


def add_imported(entry: Entry) -> None:
    """Write an entry into the registry of imported weights. Raises WeightsError where that cannot be."""
    _change(lambda entries: entries | {entry.name: entry.to_toml()})


def remove(entry: Entry) -> list[Path]:
    """Remove the file of an entry, with what belongs to it; an imported entry goes too.

    Returns the files of weights, whole or begun, that were removed.

    Raises:
        WeightsError: a file stays in spite of all.
    """
    if entry.in_package or entry.manual:
        return []
    path = place_of(entry)
    part = part_of(path)
    gone = [one for one in (path, part) if one.is_file()]
    try:
        for one in (path, part, part.with_name(f"{part.name}.json"), record_of(path), failure_of(path)):
            one.unlink(missing_ok=True)
    except OSError as fault:
        raise WeightsError(f"{fault.filename}: cannot be removed: {fault.strerror}") from fault
    if is_imported(entry.name):
        _change(lambda entries: {key: values for key, values in entries.items() if key != entry.name})
    return gone


def _change(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    import tomli_w
    from filelock import FileLock

    path = imported_registry()
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_of(path)):
            entries = read_toml(path).get("weights", {}) if path.is_file() else {}
            try:
                temporary.write_text(tomli_w.dumps({"weights": change(entries)}), encoding="utf-8")
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as fault:
        raise WeightsError(f"{path}: cannot be written: {fault.strerror}") from fault
