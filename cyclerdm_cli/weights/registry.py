"""The registry, `weights.toml`: which weights there are and where. Free of torch."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.tasks.catalogue import TASKS
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
from cyclerdm_cli.weights.ranges import ranges_of, shipped_ranges

if TYPE_CHECKING:
    from cyclerdm_cli.weights.fetching import Watcher

PACKAGE = Path(__file__).resolve().parent.parent


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
        found |= {task: entry for entry in self.entries.values() if (task := _member(entry, name))}
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


def _member(entry: Entry, family: str) -> str:
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
        entries |= _entries(path, content)
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
        floats = (self.entry.needs if self.entry else Needs()).precisions
        return (*floats, "int8") if self.has_ranges and "int8" not in floats else floats

    @property
    def has_ranges(self) -> bool:
        """Whether it is known what flows in the network, so that it can be run in integers."""
        from cyclerdm_cli.weights.file import read_header

        if self.entry is not None and shipped_ranges(self.entry.sha256):
            return True
        try:
            return self.is_here and bool(ranges_of(self.path, read_header(self.path)))
        except (ValueError, WeightsError):  # which is told when it is loaded
            return False

    @property
    def is_here(self) -> bool:
        """Whether the file is there; what is in it is not looked at."""
        return self.path.is_file()

    def __str__(self) -> str:
        """Say what they are and how large."""
        return f"{self.name} ({self.bytes / 2**20:.1f} MiB{'' if self.is_here else ', to be fetched'})"


def choose(name_or_file: str | None, task: str) -> Choice:
    """Return the weights of one task, whether they are here or not.

    Args:
        name_or_file: of a family the task's own entry is taken, `NAME-TASK`, or else the entry NAME; None asks for
            the default.
        task: its name.

    Raises:
        UsageError: what was asked for does not know the task.
        WeightsError: the default does not know it; unknown, to be imported first, or a file without a header that
            can be read.
    """
    found: Mapping[str, Entry | Path]
    if path := _file_named(name_or_file):
        name, found = path.name, dict.fromkeys(_tasks_inside(path), path)
    else:
        registry = read_registry()
        name = name_or_file or registry.default
        found = registry.family(name)
    if task not in found:
        if name_or_file is None and task in [one.name for one in TASKS]:
            raise WeightsError(
                f"no weights for {task} yet",
                hint=f"cyclerdm train --task {task} makes them; then --weights FILE",
            )
        raise UsageError(f"no weights for {task} in {name}", hint=f"it has: {', '.join(found)}")
    return _choice_of(found[task])


def choose_each(name_or_file: str | None, tasks: Sequence[str] = ()) -> dict[str, Choice]:
    """Return the weights of each of some tasks, or of all that there are weights for; see `choose`."""
    return {task: choose(name_or_file, task) for task in tasks or tasks_of(name_or_file)}


def tasks_of(name_or_file: str | None) -> tuple[str, ...]:
    """Return the tasks that a family, an entry or a file has weights for; None asks for the default.

    Only the header of a user's own file is opened, and no file of the registry.

    Raises:
        WeightsError: as `choose`.
    """
    if path := _file_named(name_or_file):
        return _tasks_inside(path)
    registry = read_registry()
    family = registry.family(name_or_file or registry.default)
    if all(entry.manual for entry in family.values()):
        _choice_of(next(iter(family.values())))  # which says how they are had
    return tuple(task for task, entry in family.items() if not entry.manual)


def title_of(name_or_file: str | None) -> str:
    """Return what weights are called altogether: the family, the entry, or the file. Raises WeightsError."""
    path = _file_named(name_or_file)
    return path.name if path else name_or_file or read_registry().default


def _file_named(name_or_file: str | None) -> Path | None:
    """Return the user's file that is meant, None where it is a name. Raises WeightsError where there is no such."""
    if name_or_file and Path(name_or_file).is_file():
        return Path(name_or_file)
    if name_or_file and (name_or_file.endswith(".safetensors") or "/" in name_or_file):
        raise WeightsError(f"{name_or_file}: no such file of weights")
    return None


def _tasks_inside(path: Path) -> tuple[str, ...]:
    from cyclerdm_cli.weights.file import read_header

    return read_header(path).tasks


def _choice_of(found: Entry | Path) -> Choice:
    """Return what a file of the user's or an entry stands for. Raises WeightsError where people must get it."""
    if isinstance(found, Path):
        return Choice(found.name, found, found.stat().st_size, None)
    if found.manual:
        raise WeightsError(f"{found.name}: {by_hand(found)}")
    return Choice(found.name, place_of(found), found.bytes, found)


def by_hand(entry: Entry) -> str:
    """Return how a person gets the checkpoints of a `manual` entry."""
    return (
        f"get the checkpoints at {entry.manual} (licence: {entry.licence}), "
        f"then cyclerdm weights import FILE --task TASK"
    )


Watching = Callable[[], AbstractContextManager["Watcher"]]
"""Makes the one who is told how a fetch goes."""


def locate(name_or_file: str | None, task: str | None = None) -> tuple[str, Path]:
    """Return the name and the checked file of the weights asked for; None asks for the default.

    A file that is not here is fetched; no connection is opened otherwise.

    Args:
        name_or_file: as `choose` takes it.
        task: whose weights are meant; None: those of exactly this name, with all that they know.

    Raises:
        UsageError: as `choose`.
        WeightsError: unknown, missing and not to be had, or its size or sha256 is not that of the registry.
    """
    choice = choose(name_or_file, task) if task else _exactly(name_or_file)
    if choice.entry is not None:
        ensure(choice.entry)
    return choice.name, choice.path


def _exactly(name_or_file: str | None) -> Choice:
    if path := _file_named(name_or_file):
        return _choice_of(path)
    registry = read_registry()
    name = name_or_file or registry.default
    if name not in registry.entries:
        members = {entry.name for entry in registry.family(name).values()}
        raise WeightsError(f"{name} has one file a task", hint=f"one of: {', '.join(sorted(members))}")
    return _choice_of(registry.entries[name])


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
