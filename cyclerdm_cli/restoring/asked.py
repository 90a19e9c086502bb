"""The tasks that a person or a program asks for by their names. Free of torch."""

from __future__ import annotations

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import TASKS, Task, find_task, new_task
from cyclerdm_cli.tasks.spelling import task_names
from cyclerdm_cli.weights.choosing import tasks_of

AUTO = "auto"
"""The task that stands for looking at each picture."""


def tasks_asked(names: str, weights: str | None) -> list[Task]:
    """Return the tasks that "derain+dehaze" or "auto" asks for; none stand for looking at each picture.

    Args:
        names: in any case of letters, with "+" or "," between.
        weights: a family, an entry or a file, which may know tasks that the catalogue does not.

    Raises:
        UsageError: there is no such task.
        WeightsError: there are no such weights.
    """
    wanted = task_names(names)
    if [name.casefold() for name in wanted] == [AUTO]:
        return []
    return [_find(name, weights) for name in wanted]


def check_detail(word: str, detail: float, tasks: list[Task]) -> None:
    """Raise UsageError where detail shall come back of tasks that have none to give: it would be their damage.

    Args:
        word: what the wish is called.
        detail: 0 to 1.
        tasks: those asked for; none: chosen for each picture, where it holds for those that have.
    """
    if detail and tasks and not any(task.grain for task in tasks):
        able = " or ".join(task.name for task in TASKS if task.grain)
        raise UsageError(
            f"{word} goes with {able}: in what {names_of(tasks)} takes away, the damage itself stands out"
        )


def names_of(tasks: list[Task]) -> str:
    """Return the names of tasks with "+" between, "auto" for none."""
    return "+".join(task.name for task in tasks) or AUTO


def _find(name: str, weights: str | None) -> Task:
    """Return a task of the catalogue, or one that the weights learned from pairs."""
    try:
        return find_task(name)
    except UsageError:
        if weights is None or name in [task.name for task in TASKS] or name not in tasks_of(weights):
            raise
        return new_task(name)
