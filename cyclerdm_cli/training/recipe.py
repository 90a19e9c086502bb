"""Where a recipe comes from: what fits the machine, a TOML file, options; the later go before the earlier."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.restoring.device import choose_engine
from cyclerdm_cli.training.configuration import ObjectiveWeights, TrainingConfig

FROM_WEIGHTS: dict[str, Any] = {
    "scenes": 8,
    "tasks_per_batch": 1,
    "learning_rate": 1e-3,
    "shared_pace": 0.1,
    "later_stages_from": 0.6,
}
"""What differs from TrainingConfig's own defaults, which are for learning from nothing, where a run goes on from
weights: what is shared is good already, and each task is best learned with a batch to itself."""
ON_A_GPU: dict[str, Any] = {"scenes": 64, "compile": True}
"""What differs on a GPU, which is only busy with large batches."""
MINUTES = {"cpu": 90.0, "cuda": 30.0, "mps": 60.0}
"""How long a run lasts where nothing else is said."""


def read_recipe(
    tasks: tuple[str, ...],
    device: str,
    path: Path | None,
    flags: dict[str, Any],
    *,
    warm: bool = False,
) -> TrainingConfig:
    """Combine all into one recipe.

    Args:
        tasks: names, in the order of the network's task table.
        device: as in `--device`.
        path: of a TOML file with fields of TrainingConfig, and a table `weights`.
        flags: fields by name; `weights` is a table.
        warm: the network has learned before.

    Raises:
        UsageError: an unknown key (the nearest is suggested) or a value that is not allowed.
    """
    kind = choose_engine(device).device.type
    values: dict[str, Any] = {**(FROM_WEIGHTS if warm else {}), **(ON_A_GPU if kind == "cuda" else {})}
    if path is not None:
        values.update(_read(path))
    where, weights = str(path) if path else "the recipe", values.get("weights", {})
    if not isinstance(weights, dict):
        raise UsageError(f"{where}: weights is {weights!r}", hint="a table: [weights], then a line a term")
    weights = {**weights, **flags.get("weights", {})}
    values = {**values, **flags, "weights": weights}
    _check(where, set(values), {field.name for field in fields(TrainingConfig)} - {"tasks"})
    values.pop("weights")
    _check(f"{where}: weights", set(weights), {field.name for field in fields(ObjectiveWeights)})
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if not values.get("iterations") and not values.get("minutes"):
        values["minutes"] = MINUTES.get(kind, 60.0)
    return TrainingConfig(tasks=tasks, weights=ObjectiveWeights(**weights), **values)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise UsageError(f"{path}: {fault}") from fault


def _check(where: str, given: set[str], known: set[str]) -> None:
    for key in sorted(given - known):
        nearest = get_close_matches(key, known, n=1)
        raise UsageError(
            f"{where}: unknown key {key!r}", hint=f"did you mean {nearest[0]!r}?" if nearest else ""
        )
