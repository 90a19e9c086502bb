"""One entry of the registry: a set of weights in words and numbers, checked key by key. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.address import judged

MIRROR = "{mirror}"
"""Stands for a base address at the beginning of an address."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Needs:
    """What the weights ask of a picture and a device."""

    multiple: int = 1
    """Sides are padded to this multiple."""
    smallest: int = 1
    """Side of the smallest picture in pixels."""
    precisions: tuple[str, ...] = ("fp32", "bf16", "fp16")
    """In which they give good results."""


@dataclass(frozen=True)
class Entry:
    """One set of weights; or, where `manual` is given, of checkpoints that people must fetch themselves."""

    name: str
    tasks: tuple[str, ...]
    architecture: str
    licence: str
    training_data: str
    """What they were trained on, in words."""
    source: str = ""
    """Who made them, or the page that tells of them."""
    date: str = ""
    """ISO 8601."""
    file: str = ""
    """Path inside the folder of weights, or inside the package; empty where `manual` is given."""
    bytes: int = 0
    sha256: str = ""
    in_package: bool = False
    """Whether the file comes with the program."""
    addresses: tuple[str, ...] = ()
    """Where the file is fetched from, the first that answers; none: it was put into its folder."""
    manual: str = ""
    """Address of the page from which a person gets the files to import."""
    config: dict[str, Any] = field(default_factory=dict)
    """The architecture's configuration, as inside the file."""
    needs: Needs = Needs()

    def to_toml(self) -> dict[str, Any]:
        """Return the keys and values that `read_entry` takes, without those that are as by default."""
        table = {key: value for key, value in asdict(self).items() if key != "name"}
        table["config"] = {key: value for key, value in self.config.items() if value is not None}
        if self.needs == Needs():
            del table["needs"]
        return {key: value for key, value in table.items() if value or key in ALWAYS}


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text is wanted")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("a whole number above 0 is wanted")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is wanted")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        raise ValueError("a list of texts is wanted")
    if len(set(value)) < len(value):
        raise ValueError("something is named twice")
    return tuple(value)


def _file(value: Any) -> str:
    path = PurePosixPath(_text(value))
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00-\x1f]", value):
        raise ValueError("a name or a path that leads down from the folder of weights is wanted")
    if not value.endswith(".safetensors"):
        raise ValueError("a name that ends in .safetensors is wanted")
    return str(path)


def _sha256(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", _text(value)):
        raise ValueError("64 hexadecimal digits in small letters are wanted")
    return value


def _date(value: Any) -> str:
    try:
        return date.fromisoformat(str(value)).isoformat()  # TOML has dates of its own, too
    except ValueError:
        raise ValueError("a date such as 2026-11-23 is wanted") from None


def _address(value: Any) -> str:
    try:
        return judged(_text(value))
    except ValueError:
        said = "an address with https is wanted (http on this machine alone)"
        raise ValueError(f"{value!r}: {said}") from None


def _addresses(value: Any) -> tuple[str, ...]:
    return tuple(_mirrored(one) if one.startswith(MIRROR) else _address(one) for one in _texts(value))


def _mirrored(value: str) -> str:
    """Return an address below the mirror: it may not change the host that the mirror names."""
    rest = value.removeprefix(MIRROR)
    if not rest.startswith("/"):
        raise ValueError(f"{value!r}: a slash is wanted behind {MIRROR}")
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a table is wanted")
    return value


def _precisions(value: Any) -> tuple[str, ...]:
    if unknown := set(_texts(value)) - {"fp32", "bf16", "fp16", "int8"}:
        raise ValueError(f"{min(unknown)!r}: fp32, bf16, fp16 or int8 is wanted")
    return tuple(value)


def _needs(value: Any) -> Needs:
    readers = {"multiple": _count, "smallest": _count, "precisions": _precisions}
    return Needs(**_read(_table(value), readers))


READERS: dict[str, Callable[[Any], Any]] = {
    "tasks": _texts, "architecture": _text, "licence": _text, "training_data": _text, "source": _text,
    "date": _date, "file": _file, "bytes": _count, "sha256": _sha256, "in_package": _truth,
    "addresses": _addresses, "manual": _address, "config": _table, "needs": _needs,
}  # fmt: skip
"""How each key of an entry is read; ValueError says what is wanted instead."""
ALWAYS = ("tasks", "architecture", "licence", "training_data")
WITH_A_FILE = ("file", "bytes", "sha256")


def check_name(name: str) -> None:
    """Raise WeightsError where weights cannot go by a name."""
    if not NAME.fullmatch(name) or name == "all":
        raise WeightsError(f"[weights.{name}] the name is wrong", hint="letters, digits, . _ and -; not all")


def read_entry(name: str, values: Any, mirror: str = "") -> Entry:
    """Check one entry's keys and values.

    Args:
        name: of the entry.
        values: its table, as read from TOML.
        mirror: base address that takes the place of `{mirror}`; empty: the addresses keep it.

    Raises:
        WeightsError: the entry and the key are named, and what is wanted.
    """
    check_name(name)
    try:
        read = _read(_table(values), READERS)
        wanted = ALWAYS if "manual" in read else ALWAYS + WITH_A_FILE
        if missing := [key for key in wanted if key not in read]:
            raise ValueError(f"{missing[0]} is missing")
    except ValueError as fault:
        raise WeightsError(f"[weights.{name}] {fault}") from None
    if mirror:
        base = mirror.rstrip("/")
        read["addresses"] = tuple(one.replace(MIRROR, base, 1) for one in read.get("addresses", ()))
    return Entry(name, **read)


def _read(values: dict[str, Any], readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    read = {}
    for key, value in values.items():
        if key not in readers:
            raise ValueError(f"{key} is no key of an entry; known: {', '.join(readers)}")
        try:
            read[key] = readers[key](value)
        except ValueError as fault:
            raise ValueError(f"{key} is wrong: {fault}") from None
    return read
