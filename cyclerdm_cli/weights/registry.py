"""The registry, `weights.toml`: which weights there are and where. Free of torch."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.entry import Entry, read_entry
from cyclerdm_cli.weights.places import imported_registry, mirror, own_registry, weights_folder

PACKAGE = Path(__file__).resolve().parent.parent
"""The folder of the package, where its own weights lie."""


@dataclass(frozen=True)
class Registry:
    """All entries; `default` names those that are used where nothing else is asked for."""

    default: str
    """A family, or an entry."""
    entries: dict[str, Entry]

    def find(self, name: str) -> Entry:
        """Return an entry by its exact name. Raises WeightsError naming those that exist."""
        if name not in self.entries:
            raise self._unknown(name)
        return self.entries[name]

    def family(self, name: str) -> dict[str, Entry]:
        """Return the entry for each task that a name stands for: `NAME-TASK`, or else NAME where it knows the task.

        Raises WeightsError naming what exists.
        """
        alone = self.entries.get(name)
        found = dict.fromkeys(alone.tasks, alone) if alone else {}
        found |= {
            task: entry for entry in self.entries.values() if (task := _find_task_in_family(entry, name))
        }
        if not found:
            raise self._unknown(name)
        return found

    def names(self) -> list[str]:
        """Return all that may be asked for by name: families and entries."""
        families = [
            entry.name.removesuffix(f"-{task}")
            for entry in self.entries.values()
            for task in entry.tasks
            if entry.name.endswith(f"-{task}")
        ]
        return list(dict.fromkeys([*families, *self.entries]))

    def _unknown(self, name: str) -> WeightsError:
        return WeightsError(
            f"no weights called {name!r}", hint=f"a file, or one of: {', '.join(self.names())}"
        )

    def knowing(self, task: str) -> list[Entry]:
        """Return the entries whose weights know a task."""
        return [entry for entry in self.entries.values() if task in entry.tasks]


def _find_task_in_family(entry: Entry, family: str) -> str:
    """Return for which task an entry is a family's, or nothing."""
    return next((task for task in entry.tasks if entry.name == f"{family}-{task}"), "")


def read_registry() -> Registry:
    """Read the registry that came with the package, what was imported, and the user's own.

    A later one adds its entries and replaces those of the same name.

    Raises:
        WeightsError: one is missing or malformed; the file, the entry and the key are named.
    """
    # In an installed package it lies inside, in a checkout at the top level.
    for path in (PACKAGE / "weights.toml", PACKAGE.parent / "weights.toml"):
        if path.is_file():
            break
    else:
        raise WeightsError("weights.toml is missing", hint="install the package again")
    registries = [path]
    if imported_registry().is_file():
        registries.append(imported_registry())
    if own := own_registry():
        registries.append(own)
    default, named_by, entries = "", path, dict[str, Entry]()
    for path in registries:
        content = read_toml(path)
        if "default" in content:
            default, named_by = str(content["default"]), path
        entries |= _read_entries(path, content)
    registry = Registry(default, entries)
    if default not in registry.names():
        raise WeightsError(f"{named_by}: default names {default!r}, which is no family and no entry")
    return registry


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a registry holds, unchecked. Raises WeightsError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise WeightsError(f"{path}: {fault}") from fault


def _read_entries(path: Path, content: dict[str, Any]) -> dict[str, Entry]:
    """Return the entries of a registry that was read. Raises WeightsError where it is malformed."""
    if unknown := sorted(set(content) - {"default", "mirror", "weights"}):
        raise WeightsError(f"{path}: {unknown[0]} is no key here", hint="default, mirror, [weights.NAME]")
    tables = content.get("weights", {})
    if not isinstance(tables, dict):
        raise WeightsError(f"{path}: weights is no table", hint="[weights.NAME]")
    base = mirror() or str(content.get("mirror", ""))
    try:
        return {name: read_entry(name, values, base) for name, values in tables.items()}
    except WeightsError as fault:
        raise WeightsError(f"{path}: {fault}") from fault


def place_of(entry: Entry) -> Path:
    """Return where the file of an entry lies, or would lie."""
    return (PACKAGE if entry.in_package else weights_folder()) / entry.file


def is_here(entry: Entry) -> bool:
    """Tell whether the file of an entry is there; what is in it is not looked at."""
    return not entry.manual and place_of(entry).is_file()


def by_hand(entry: Entry) -> str:
    """Return how a person gets the checkpoints of a `manual` entry."""
    return (
        f"get the checkpoints at {entry.manual} (licence: {entry.licence}), "
        f"then cyclerdm weights import FILE --task TASK"
    )
