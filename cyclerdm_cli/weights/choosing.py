"""Which weights a name or a file stands for, task by task. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.weights.entry import Entry, Needs
from cyclerdm_cli.weights.ranges import ranges_of, shipped_ranges
from cyclerdm_cli.weights.registry import by_hand, place_of, read_registry


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
    if path := _find_file(name_or_file):
        name, found = path.name, dict.fromkeys(_read_tasks(path), path)
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
    return _make_choice(found[task])


def choose_each(name_or_file: str | None, tasks: Sequence[str] = ()) -> dict[str, Choice]:
    """Return the weights of each of some tasks, or of all that there are weights for; see `choose`."""
    return {task: choose(name_or_file, task) for task in tasks or tasks_of(name_or_file)}


def choose_exactly(name_or_file: str | None) -> Choice:
    """Return the weights of exactly this name, with all that they know; None asks for the default.

    Raises:
        WeightsError: as `choose`, or it is a family of several files.
    """
    if path := _find_file(name_or_file):
        return _make_choice(path)
    registry = read_registry()
    name = name_or_file or registry.default
    if name not in registry.entries:
        members = {entry.name for entry in registry.family(name).values()}
        raise WeightsError(f"{name} has one file a task", hint=f"one of: {', '.join(sorted(members))}")
    return _make_choice(registry.entries[name])


def tasks_of(name_or_file: str | None) -> tuple[str, ...]:
    """Return the tasks that a family, an entry or a file has weights for; None asks for the default.

    Only the header of a user's own file is opened, and no file of the registry.

    Raises:
        WeightsError: as `choose`.
    """
    if path := _find_file(name_or_file):
        return _read_tasks(path)
    registry = read_registry()
    family = registry.family(name_or_file or registry.default)
    if all(entry.manual for entry in family.values()):
        _make_choice(next(iter(family.values())))  # which says how they are had
    return tuple(task for task, entry in family.items() if not entry.manual)


def title_of(name_or_file: str | None) -> str:
    """Return what weights are called altogether: the family, the entry, or the file. Raises WeightsError."""
    path = _find_file(name_or_file)
    return path.name if path else name_or_file or read_registry().default


def _find_file(name_or_file: str | None) -> Path | None:
    """Return the user's file that is meant, None where it is a name. Raises WeightsError where there is no such."""
    if name_or_file and Path(name_or_file).is_file():
        return Path(name_or_file)
    if name_or_file and (name_or_file.endswith(".safetensors") or "/" in name_or_file):
        raise WeightsError(f"{name_or_file}: no such file of weights")
    return None


def _read_tasks(path: Path) -> tuple[str, ...]:
    """Return the tasks that a file of weights says it knows."""
    from cyclerdm_cli.weights.file import read_header

    return read_header(path).tasks


def _make_choice(found: Entry | Path) -> Choice:
    """Return what a file of the user's or an entry stands for. Raises WeightsError where people must get it."""
    if isinstance(found, Path):
        return Choice(found.name, found, found.stat().st_size, None)
    if found.manual:
        raise WeightsError(f"{found.name}: {by_hand(found)}")
    return Choice(found.name, place_of(found), found.bytes, found)
