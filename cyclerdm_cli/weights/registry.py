"""The registry, `weights.toml`: which weights there are and where. Free of torch."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.checking import is_known_right, is_right
from cyclerdm_cli.weights.entry import Entry, Needs, read_entry
from cyclerdm_cli.weights.places import (
    OFFLINE,
    imported_registry,
    is_offline,
    mirror,
    own_registry,
    weights_folder,
)

if TYPE_CHECKING:
    from cyclerdm_cli.weights.fetching import Watcher

PACKAGE = Path(__file__).resolve().parent.parent


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

    def knowing(self, task: str) -> list[Entry]:
        """Return the entries whose weights know a task."""
        return [entry for entry in self.entries.values() if task in entry.tasks]


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
        entries |= _entries(path, content)
    if default not in entries:
        raise WeightsError(f"{named_by}: default names {default!r}, which is no entry")
    return Registry(default, entries)


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a registry holds, unchecked. Raises WeightsError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise WeightsError(f"{path}: {fault}") from fault


def _entries(path: Path, content: dict[str, Any]) -> dict[str, Entry]:
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


@dataclass(frozen=True)
class Choice:
    """The weights that a name or a file stands for."""

    name: str
    path: Path
    """Where the file lies, or would lie."""
    bytes: int
    entry: Entry | None
    """None: it is a file of the user's."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """In which they give good results."""
        return (self.entry.needs if self.entry else Needs()).precisions

    def tasks(self) -> tuple[str, ...]:
        """Return what they know, by the registry or the file. Raises WeightsError where that is damaged."""
        if self.entry is not None:
            return self.entry.tasks
        from cyclerdm_cli.weights.file import read_header

        return read_header(self.path).tasks


def choose(name_or_file: str | None) -> Choice:
    """Return the weights asked for, whether they are here or not; None asks for the default.

    Raises:
        WeightsError: unknown, or to be imported first.
    """
    if name_or_file and Path(name_or_file).is_file():
        path = Path(name_or_file)
        return Choice(path.name, path, path.stat().st_size, None)
    if name_or_file and (name_or_file.endswith(".safetensors") or "/" in name_or_file):
        raise WeightsError(f"{name_or_file}: no such file of weights")
    registry = read_registry()
    entry = registry.find(name_or_file or registry.default)
    if entry.manual:
        raise WeightsError(f"{entry.name}: {by_hand(entry)}")
    return Choice(entry.name, place_of(entry), entry.bytes, entry)


def by_hand(entry: Entry) -> str:
    """Return how a person gets the checkpoints of a `manual` entry."""
    return (
        f"get the checkpoints at {entry.manual} (licence: {entry.licence}), "
        f"then cyclerdm weights import FILE --task TASK"
    )


Watching = Callable[[], AbstractContextManager["Watcher"]]
"""Makes the one who is told how a fetch goes."""


def locate(name_or_file: str | None) -> tuple[str, Path]:
    """Return the name and the checked file of the weights asked for; None asks for the default.

    A file that is not here is fetched; no connection is opened otherwise.

    Raises:
        WeightsError: unknown, missing and not to be had, or its size or sha256 is not that of the registry.
    """
    choice = choose(name_or_file)
    if choice.entry is not None:
        ensure(choice.entry)
    return choice.name, choice.path


def ensure(entry: Entry, *, offline: bool = False, watching: Watching | None = None) -> None:
    """Make sure that the file of an entry is here and right; fetch it otherwise.

    Args:
        entry: any but a `manual` one.
        offline: open no connection; `CYCLERDM_OFFLINE` says the same.
        watching: called where there is something to fetch.

    Raises:
        WeightsError: as `locate`.
    """
    path = place_of(entry)
    fault = fault_of(entry)
    if not fault:
        return
    if entry.in_package:
        raise WeightsError(f"{path}: {fault}", hint="install the package again")
    by_hand = f"put the file with sha256 {entry.sha256} there"
    if not entry.addresses:
        raise WeightsError(f"{path}: {fault}, and the registry names no address", hint=by_hand)
    if offline or is_offline():
        word = "--offline" if offline else OFFLINE
        addresses = ", ".join(entry.addresses)
        raise WeightsError(f"{path}: {fault}, and {word} forbids to fetch it from {addresses}", hint=by_hand)

    from cyclerdm_cli.weights.fetching import Wanted, Watcher, fetch

    with watching() if watching else nullcontext(Watcher()) as watcher:
        fetch(Wanted(entry.name, path, entry.bytes, entry.sha256, entry.addresses), watcher)


def fault_of(entry: Entry, *, thoroughly: bool = False) -> str:
    """Return what is wrong with the file of an entry, or nothing.

    Args:
        entry: any but a `manual` one.
        thoroughly: read the file, whatever is recorded of an earlier check.

    Raises:
        WeightsError: it cannot be read.
    """
    path = place_of(entry)
    check = is_right if entry.in_package or thoroughly else is_known_right
    try:
        if not path.is_file():
            return "missing"
        return "" if check(path, entry.bytes, entry.sha256) else f"damaged, its sha256 is not {entry.sha256}"
    except OSError as reason:
        raise WeightsError(f"{path}: cannot be read: {reason.strerror}") from reason
