"""Every field of a training recipe as an option of the command, named and explained as the recipe does it."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.training.configuration import ObjectiveWeights, TrainingConfig

PANELS = {TrainingConfig: "The recipe", ObjectiveWeights: "Weights of the terms of the objective"}
ELSEWHERE = {"tasks", "weights"}
"""Fields that are no option: `--task` names the tasks, and each weight has an option of its own."""
PREFIX = "weight_"
"""Before the names of the terms' weights."""


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `recipe: dict` an option for each field instead.

    The command is called with the fields that were given, those of ObjectiveWeights in a table `weights`.
    """
    options = {parameter.name: parameter for parameter in _options()}

    @functools.wraps(command)
    def spread(*arguments: Any, **values: Any) -> None:
        given = {name: values.pop(name) for name in options if name in values}
        recipe = {name: value for name, value in given.items() if value is not None}
        weights = {name: recipe.pop(name) for name in list(recipe) if name.startswith(PREFIX)}
        if weights:
            recipe["weights"] = {name.removeprefix(PREFIX): value for name, value in weights.items()}
        command(*arguments, recipe={name: _read(name, value) for name, value in recipe.items()}, **values)

    own = inspect.signature(command, eval_str=True)
    kept = [parameter for parameter in own.parameters.values() if parameter.name != "recipe"]
    spread.__signature__ = own.replace(parameters=[*kept, *options.values()])  # type: ignore[attr-defined]
    del spread.__annotations__["recipe"]
    return spread


def _options() -> Iterator[inspect.Parameter]:
    for owner, prefix in ((TrainingConfig, ""), (ObjectiveWeights, PREFIX)):
        kinds, explained = get_type_hints(owner), explanations(owner)
        for field in fields(owner):
            if field.name in ELSEWHERE:
                continue
            kind = kinds[field.name] if kinds[field.name] in (int, float, bool) else str
            flag = f"--{prefix}{field.name}".replace("_", "-")
            flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
            option = typer.Option(
                flags,
                help=f"{explained.get(field.name, '')} [dim]Default: {_shown(field.default)}[/]".strip(),
                rich_help_panel=PANELS[owner],
                show_default=False,
            )
            yield inspect.Parameter(
                prefix + field.name,
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


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value) or "none"


def _read(name: str, value: Any) -> Any:
    """Read a row of numbers such as `96,128`; other values are what they are."""
    kind = get_type_hints(TrainingConfig).get(name)
    if get_origin(kind) is not tuple or not isinstance(value, str):
        return value
    try:
        return tuple(get_args(kind)[0](part) for part in value.split(","))
    except ValueError:
        raise UsageError(
            f"--{name.replace('_', '-')} {value}: not numbers with commas between", hint="such as 96,128"
        ) from None
