"""Every field of a training recipe as an option of the command, named and explained as the recipe does it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Annotated, get_type_hints

import typer

from cyclerdm_cli.commands.options import explanations, flag, replace_parameter
from cyclerdm_cli.training.configuration import Phase, TrainingConfig

PANELS = {TrainingConfig: "The recipe", Phase: "Every phase of the recipe"}
ELSEWHERE = {"task", "network", "phases", "stages", "share"}
"""Fields that are no option: `--task` names the task, a file holds tables and what tells phases apart."""


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `fields: dict` an option for each field of a recipe instead.

    The command is called with the fields that were given.
    """
    return replace_parameter(
        command,
        "fields",
        list(_options()),
        lambda given: {name: value for name, value in given.items() if value is not None},
    )


def _options() -> Iterator[inspect.Parameter]:
    for owner in (TrainingConfig, Phase):
        kinds, explained = get_type_hints(owner), explanations(owner)
        for field in fields(owner):
            if field.name in ELSEWHERE:
                continue
            kind = kinds[field.name] if kinds[field.name] in (int, float, bool) else str
            flags = f"{flag(field.name)}/--no-{flag(field.name)[2:]}" if kind is bool else flag(field.name)
            option = typer.Option(
                flags,
                help=f"{explained.get(field.name, '')} [dim]Default: by the recipe, or {field.default}[/]".strip(),
                rich_help_panel=PANELS[owner],
                show_default=False,
            )
            yield inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, option],
            )
