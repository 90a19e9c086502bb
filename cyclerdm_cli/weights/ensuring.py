"""Makes sure that files of weights are here and right, before they are opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.checking import is_known_right, is_right
from cyclerdm_cli.weights.choosing import choose, choose_exactly
from cyclerdm_cli.weights.entry import Entry
from cyclerdm_cli.weights.places import OFFLINE, is_offline
from cyclerdm_cli.weights.registry import place_of

if TYPE_CHECKING:
    from cyclerdm_cli.weights.fetching import Watcher

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
    choice = choose(name_or_file, task) if task else choose_exactly(name_or_file)
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
