"""Frozen dataclasses from what files say: each field checked against its annotated type and its range, once.

Configurations of networks travel inside files of weights; results of measurements in files of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cyclerdm_cli.errors import WeightsError

C = TypeVar("C")
SHOWN = 40
"""Characters of a wrong value that are shown."""
MOST_WHOLE = 2**63 - 1


@dataclass(frozen=True)
class Range:
    """What is allowed of a field's numbers, of each of them where there are several."""

    least: float = -math.inf
    most: float = math.inf
    multiple: int = 1
    """Whole numbers are multiples of it."""
    entries: tuple[int, int] = (0, 10**9)
    """How few and how many there may be in a list or table."""


ANYTHING = Range()
OF_A_NETWORK = Range(0, 4096, entries=(0, 64))
"""The range of a field that has none of its own; far wider than any network here needs."""
Ranges = Mapping[str, Range]


def configuration_from_json(kind: type[C], values: object, network: str, ranges: Ranges | None = None) -> C:
    """Rebuild a network's configuration from its JSON values, where tuples have become lists.

    Args:
        kind: the frozen dataclass.
        values: by the names of its fields; what is left out keeps its default.
        network: what the dataclass configures, for messages.
        ranges: of fields by name; the others may hold what `OF_A_NETWORK` says.

    Raises:
        WeightsError: a field is unknown, missing, of another type or out of its range; says which, and what may be.
    """
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    try:
        return built(kind, values, dict.fromkeys(names, OF_A_NETWORK) | dict(ranges or {}))
    except ValueError as fault:
        raise WeightsError(f"{network} network: {fault}") from None


def built(kind: type[C], values: object, ranges: Ranges | None = None, *, others: bool = False) -> C:
    """Build a frozen dataclass from values by the names of its fields; lists become tuples where these are wanted.

    Args:
        kind: the dataclass. Its annotations may be bool, int, float, str, None, Any, Literal, unions of them,
            tuples, lists and tables with texts for keys, and further dataclasses.
        values: as JSON or TOML give them; what is left out keeps its default.
        ranges: of fields by name, those of inner dataclasses too.
        others: keys that are no field are ignored, not refused.

    Raises:
        ValueError: the field is named, its value, and what it may be.
    """
    if not isinstance(values, dict):
        raise ValueError(_wrong(kind.__name__, values, "a table"))
    known: dict[str, Field[Any]] = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown and not others:
        raise ValueError(f"unknown configuration {', '.join(unknown)[:SHOWN]}; known: {', '.join(known)}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name} is missing")
    types, check = get_type_hints(kind), _Check(ranges or {}, others)
    return kind(
        **{
            name: check.fitting(name, name, value, types[name])
            for name, value in values.items()
            if name in known
        }
    )


def check_fields(instance: Any, ranges: Ranges | None = None) -> None:
    """Check each field of a dataclass that was built in code. Raises ValueError as `built`."""
    types, check = get_type_hints(type(instance)), _Check(ranges or {}, False)
    for field in fields(instance):
        check.fitting(field.name, field.name, getattr(instance, field.name), types[field.name])


@dataclass(frozen=True)
class _Check:
    """Tells whether values are what fields may hold."""

    ranges: Ranges
    others: bool

    def fitting(self, field: str, place: str, value: Any, kind: Any) -> Any:
        """Return a value as a field of that type holds it.

        Args:
            field: whose range counts.
            place: what a message calls the value.
        """
        origin, inner = get_origin(kind), get_args(kind)
        if kind is Any:
            return value
        if origin in (Union, UnionType):
            return self._one_of(field, place, value, inner)
        if origin is Literal:
            if not any(value == one and type(value) is type(one) for one in inner):
                raise ValueError(_wrong(place, value, " or ".join(map(repr, inner))))
            return value
        if origin in (tuple, list):
            return self._several(field, place, value, kind)
        if origin is dict:
            return self._table(field, place, value, inner[1])
        if is_dataclass(kind):
            if isinstance(value, kind):  # type: ignore[arg-type]
                return value
            try:
                return built(kind, value, self.ranges, others=self.others)  # type: ignore[arg-type]
            except ValueError as fault:
                raise ValueError(f"{place}: {fault}") from None
        return self._single(field, place, value, kind)

    def _one_of(self, field: str, place: str, value: Any, kinds: tuple[Any, ...]) -> Any:
        faults = []
        for kind in kinds:
            try:
                return self.fitting(field, place, value, kind)
            except ValueError as fault:
                faults += [] if kind is NoneType else [str(fault)]
        raise ValueError(faults[-1])

    def _several(self, field: str, place: str, value: Any, kind: Any) -> Any:
        origin, inner = get_origin(kind), get_args(kind)
        least, most = self._range(field).entries
        if not isinstance(value, (list, tuple)):
            raise ValueError(_wrong(place, value, "a list"))
        fixed = origin is tuple and not (len(inner) == 2 and inner[1] is ...)
        if fixed:
            least = most = len(inner)
        if not least <= len(value) <= most:
            raise ValueError(f"{place} has {len(value)} entries, not {_span(least, most)}")
        kinds = inner if fixed else inner[:1] * len(value)
        found = [
            self.fitting(field, f"{place}[{index}]", one, its)
            for index, (one, its) in enumerate(zip(value, kinds, strict=True))
        ]
        return tuple(found) if origin is tuple else found

    def _table(self, field: str, place: str, value: Any, kind: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(_wrong(place, value, "a table"))
        least, most = self._range(field).entries
        if not least <= len(value) <= most:
            raise ValueError(f"{place} has {len(value)} entries, not {_span(least, most)}")
        return {
            self._single(field, f"a key of {place}", key, str): self.fitting(
                field, f"{place}.{key}", one, kind
            )
            for key, one in value.items()
        }

    def _single(self, field: str, place: str, value: Any, kind: Any) -> Any:
        allowed = self._range(field)
        if kind in (int, float):
            wanted = _numbers(kind, allowed)
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
                raise ValueError(_wrong(place, value, wanted))
            inside = allowed.least <= value <= allowed.most  # also false for what is no number
            too_long = isinstance(value, int) and abs(value) > MOST_WHOLE
            if not inside or too_long or (allowed.multiple > 1 and value % allowed.multiple):
                raise ValueError(_wrong(place, value, wanted))
            return value
        if kind in (None, NoneType):
            if value is not None:
                raise ValueError(_wrong(place, value, "nothing"))
            return None
        if not isinstance(value, kind):
            raise ValueError(_wrong(place, value, KINDS.get(kind, f"a {kind.__name__}")))
        if kind is str and not _is_text(value):
            raise ValueError(_wrong(place, value, "a text that can be written"))
        return value

    def _range(self, field: str) -> Range:
        return self.ranges.get(field, ANYTHING)


KINDS = {bool: "true or false", str: "a text", dict: "a table", list: "a list"}


def _is_text(value: str) -> bool:
    """Tell a text from one with halves of characters in it, which JSON can spell and nothing can print."""
    try:
        value.encode("utf-8", "surrogateescape")  # names of files that are no valid text are kept so
    except UnicodeEncodeError:
        return False
    return True


def _wrong(place: str, value: Any, wanted: str) -> str:
    shown = (
        repr(value) if isinstance(value, (str, int, float, bool, NoneType)) else f"a {type(value).__name__}"
    )
    if isinstance(value, (list, tuple, dict)) and not value:
        shown = repr(value)
    return f"{place} is {shown if len(shown) <= SHOWN else shown[:SHOWN] + '...'}, not {wanted}"


def _numbers(kind: type, allowed: Range) -> str:
    """Return in words which numbers are allowed."""
    words = "a whole number" if kind is int else "a number"
    if allowed.multiple > 1:
        words = f"a multiple of {allowed.multiple}"
    bounded = math.isfinite(allowed.least), math.isfinite(allowed.most)
    if all(bounded):
        return f"{words} from {allowed.least:g} to {allowed.most:g}"
    if bounded[0]:
        return f"{words} from {allowed.least:g} on"
    return f"{words} up to {allowed.most:g}" if bounded[1] else words


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
