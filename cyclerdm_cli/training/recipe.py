"""Where a recipe comes from: that of the package for the task, a TOML file, options; the later go before the
earlier."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.training.configuration import Phase, TrainingConfig

PACKAGE_RECIPE = Path(__file__).with_name("package.toml")
"""The recipe by which the weights in the package are made."""
PACKAGE = "package"
ON_A_GPU: dict[str, Any] = {"compile": True}
"""What differs on a GPU."""
MINUTES = {"cpu": 20.0, "cuda": 10.0, "mps": 15.0}
"""How long a run lasts where nothing else is said."""
OWN = tuple(field.name for field in fields(Phase) if field.name not in ("stages", "share"))
"""Fields of a phase that an option sets in all phases at once."""


def read_recipe(task: Task, device: str, recipe: str, flags: dict[str, Any]) -> TrainingConfig:
    """Combine all into one recipe.

    Args:
        task: that is learned.
        device: as in `--device`.
        recipe: "package", or the path of a TOML file: fields of TrainingConfig, tables `phases` and `network`, and
            a table `kinds.NAME` or `tasks.NAME` with what differs for a kind of task (`light`, `deblur`, `inpaint`,
            `detail`) or for one task.
        flags: fields by name; those of Phase go into every phase.

    Raises:
        UsageError: an unknown key (the nearest is suggested) or a value that is not allowed.
    """
    kind = choose_engine(device).device.type
    path = PACKAGE_RECIPE if recipe == PACKAGE else Path(recipe)
    values = {**(ON_A_GPU if kind == "cuda" else {}), **_for_task(_read(path), task)}
    if flags.get("iterations") or flags.get("minutes"):  # whichever is asked for ends the run
        values.pop("iterations", None), values.pop("minutes", None)
    in_phases = {name: value for name, value in flags.items() if name in OWN}
    values = {**values, **{name: value for name, value in flags.items() if name not in OWN}}
    _check(str(path), set(values), {field.name for field in fields(TrainingConfig)} - {"task"})
    phases = [
        _phase(f"{path}: phases", {**phase, **in_phases})
        for phase in values.pop("phases", [{}])
    ]  # fmt: skip
    if not values.get("iterations") and not values.get("minutes"):
        values["minutes"] = MINUTES.get(kind, 20.0)
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return TrainingConfig(task=task.name, phases=tuple(phases), **values)


def kind_of(task: Task) -> str:
    """Return which kind of network and recipe a task needs."""
    if task.tone:
        return "light"
    return "deblur" if task.blur else "inpaint" if task.masked else "detail"


def _for_task(values: dict[str, Any], task: Task) -> dict[str, Any]:
    """Merge what a recipe says of all tasks, of the kind, and of the task itself."""
    kinds, tasks = values.pop("kinds", {}), values.pop("tasks", {})
    return {**values, **kinds.get(kind_of(task), {}), **tasks.get(task.name, {})}


def _phase(where: str, values: dict[str, Any]) -> Phase:
    _check(where, set(values), {field.name for field in fields(Phase)})
    rows: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return Phase(**rows)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise UsageError(f"{path}: {fault}", hint="--recipe takes package, or a file in TOML") from fault


def _check(where: str, given: set[str], known: set[str]) -> None:
    for key in sorted(given - known):
        nearest = get_close_matches(key, known, n=1)
        raise UsageError(
            f"{where}: unknown key {key!r}", hint=f"did you mean {nearest[0]!r}?" if nearest else ""
        )
