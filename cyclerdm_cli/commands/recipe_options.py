"""Every field of a training recipe as an option of the command, named and explained as the recipe does it."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from cyclerdm_cli.training.configuration import Phase, TrainingConfig

PANELS = {TrainingConfig: "The recipe", Phase: "Every phase of the recipe"}
ELSEWHERE = {"task", "network", "phases", "stages", "share"}
"""Fields that are no option: `--task` names the task, a file holds tables and what tells phases apart."""


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `fields: dict` an option for each field of a recipe instead.

    The command is called with the fields that were given.
    """
    options = {parameter.name: parameter for parameter in _options()}

    @functools.wraps(command)
    def spread(*arguments: Any, **values: Any) -> None:
        given = {name: values.pop(name) for name in options if name in values}
        command(
            *arguments, fields={name: value for name, value in given.items() if value is not None}, **values
        )

    own = inspect.signature(command, eval_str=True)
    kept = [parameter for parameter in own.parameters.values() if parameter.name != "fields"]
    spread.__signature__ = own.replace(parameters=[*kept, *options.values()])  # type: ignore[attr-defined]
    del spread.__annotations__["fields"]
    return spread


def _options() -> Iterator[inspect.Parameter]:
    for owner in (TrainingConfig, Phase):
        kinds, explained = get_type_hints(owner), explanations(owner)
        for field in fields(owner):
            if field.name in ELSEWHERE:
                continue
            kind = kinds[field.name] if kinds[field.name] in (int, float, bool) else str
            flag = f"--{field.name}".replace("_", "-")
            flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
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


@functools.cache
def explanations(owner: type) -> dict[str, str]:
    """Return the docstrings below a dataclass's fields, or else their allowed values, by the fields' names."""
    body = ast.parse(inspect.getsource(owner)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for place, below in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(place, ast.AnnAssign) and isinstance(place.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[place.target.id] = " ".join(text.split())
                case _:
                    kind = get_type_hints(owner)[place.target.id]
                    if get_origin(kind) is Literal:
                        found[place.target.id] = " or ".join(get_args(kind)) + "."
    return found
