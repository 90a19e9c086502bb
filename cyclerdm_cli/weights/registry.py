"""The registry, `weights.toml`: which weights there are and where. Free of torch."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cyclerdm_cli.errors import WeightsError

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Entry:
    """One set of weights."""

    name: str
    tasks: tuple[str, ...]
    architecture: str
    file: str
    """Path inside the package."""
    bytes: int
    sha256: str
    licence: str
    training_data: str
    date: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return PACKAGE / self.file


@dataclass(frozen=True)
class Registry:
    """All entries; `default` is used where nothing else is asked for."""

    default: str
    entries: dict[str, Entry]

    def find(self, name: str) -> Entry:
        """Return an entry by name. Raises WeightsError naming those that exist."""
        if name not in self.entries:
            raise WeightsError(
                f"no weights called {name!r}", hint=f"a file, or one of: {', '.join(self.entries)}"
            )
        return self.entries[name]


def read_registry() -> Registry:
    """Read the registry that came with the package.

    Raises:
        WeightsError: it is missing or malformed; the entry and key are named.
    """
    # In an installed package it lies inside, in a checkout at the top level.
    for path in (PACKAGE / "weights.toml", PACKAGE.parent / "weights.toml"):
        if path.is_file():
            break
    else:
        raise WeightsError("weights.toml is missing", hint="install the package again")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise WeightsError(f"{path}: {fault}") from fault
    entries = {name: _entry(path, name, values) for name, values in content.get("weights", {}).items()}
    default = content.get("default", "")
    if default not in entries:
        raise WeightsError(f"{path}: default names {default!r}, which is no entry")
    return Registry(default, entries)


def _entry(path: Path, name: str, values: dict[str, Any]) -> Entry:
    kinds = {"tasks": list, "bytes": int}
    wanted = [field.name for field in fields(Entry) if field.name != "name"]
    for key in wanted:
        if not isinstance(values.get(key), kinds.get(key, str)):
            raise WeightsError(f"{path}: [weights.{name}] {key} is missing or of the wrong kind")
    if unknown := sorted(set(values) - set(wanted)):
        raise WeightsError(f"{path}: [weights.{name}] has unknown keys: {', '.join(unknown)}")
    return Entry(
        name=name, **{key: values[key] for key in wanted if key != "tasks"}, tasks=tuple(values["tasks"])
    )


def locate(name_or_file: str | None) -> tuple[str, Path]:
    """Return the name and the checked file of the weights asked for; None asks for the default.

    Raises:
        WeightsError: unknown, missing, or its size or sha256 is not that of the registry.
    """
    if name_or_file and Path(name_or_file).is_file():
        return Path(name_or_file).name, Path(name_or_file)
    if name_or_file and (name_or_file.endswith(".safetensors") or "/" in name_or_file):
        raise WeightsError(f"{name_or_file}: no such file of weights")
    registry = read_registry()
    entry = registry.find(name_or_file or registry.default)
    if not entry.path.is_file():
        raise WeightsError(
            f"{entry.path}: the weights {entry.name} are missing", hint="install the package again"
        )
    data = entry.path.read_bytes()
    if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise WeightsError(
            f"{entry.path}: damaged, its sha256 is not {entry.sha256}", hint="install the package again"
        )
    return entry.name, entry.path
