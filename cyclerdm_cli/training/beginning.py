"""What a run begins with: the network that its task needs, new or with the numbers of other weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.cycle.compact_configuration import CompactConfig
from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.weights.ensuring import locate
from cyclerdm_cli.weights.file import read_all, read_header

ARCHITECTURE = "compact"
"""What the headers of the weights call the network that is trained here."""


def network_config(task: Task, given: dict[str, Any]) -> CompactConfig:
    """Return the configuration of the network that a task needs, with the fields that a recipe gives.

    Raises:
        WeightsError: a field is unknown or does not fit.
    """
    return CompactConfig.from_json({**_fields_of(task), **given})


def _fields_of(task: Task) -> dict[str, Any]:
    """Return the fields of a network that follow from its task."""
    return {
        "task": task.name, "light": task.tone, "brightens": task.dark, "deblurs": task.blur, "fills": task.masked,
    }  # fmt: skip


def find_parent(init: str, task: Task) -> Path:
    """Return the file that a run goes on from: a file of any task, or a name's own for the task."""
    return locate(init, None if Path(init).is_file() else task.name)[1]


def _shape_of(path: Path, task: Task) -> dict[str, Any]:
    """Return the fields of a file's network but those that follow from the task; none of another architecture."""
    header = read_header(path)
    if header.architecture != ARCHITECTURE:
        return {}
    same = header.config.get("task") == task.name
    follow = _fields_of(task).keys() | (set() if same else {"stages", "most_steps"})
    return {name: value for name, value in header.config.items() if name not in follow}


def start_network(task: Task, recipe: TrainingConfig, init: str | None) -> CompactNetwork:
    """Build the network, new or with the numbers of `init` wherever the two have the same parts.

    Where the recipe gives no field of the network, it has the shape of those weights.

    Raises:
        WeightsError: nothing of the weights fits.
    """
    torch.manual_seed(recipe.seed)
    if init is None:
        return CompactNetwork(network_config(task, recipe.network))
    path = find_parent(init, task)
    network = CompactNetwork(network_config(task, recipe.network or _shape_of(path, task)))
    own = network.state_dict()
    fitting = {
        name: value
        for name, value in read_all(path).items()
        if name in own and own[name].shape == value.shape
    }
    if not fitting:
        raise WeightsError(f"{path}: nothing of these weights fits a network for {task.name}")
    network.load_state_dict(fitting, strict=False)
    return network
