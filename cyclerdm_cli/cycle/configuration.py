"""Configurations of networks, as they travel inside files of weights."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from cyclerdm_cli.errors import WeightsError

C = TypeVar("C")


def configuration_from_json(kind: type[C], values: dict[str, Any], network: str) -> C:
    """Rebuild a frozen dataclass from its JSON values, where tuples have become lists.

    Args:
        kind: the dataclass.
        values: by the names of its fields; what is left out keeps its default.
        network: what the dataclass configures, for messages.

    Raises:
        WeightsError: a field is unknown.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - known):
        raise WeightsError(f"{network} network: unknown configuration {', '.join(unknown)}")
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )
