"""The names of tasks as people type them: in any case of letters, with plus signs or commas between."""

from __future__ import annotations

import re

from cyclerdm_cli.tasks.catalogue import TASKS

BETWEEN = re.compile("[+,]")


def task_name(word: str) -> str:
    """Return a task's name as the catalogue spells it; a word that it lacks stays as it is."""
    word = word.strip()
    known = {task.name.casefold(): task.name for task in TASKS}
    return known.get(word.casefold().replace("_", "-"), word)


def task_names(words: str) -> list[str]:
    """Return the names in a row of them."""
    return [task_name(word) for word in BETWEEN.split(words)]
