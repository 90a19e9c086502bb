"""The options of a command are the fields of a dataclass, and are described there alone.

A field has its name, kind and default, and its help is the docstring below it. `Annotated` with typer.Option or
typer.Argument adds the range of its values, and what only a command line needs: panel, short flag, completion.
Kinds and ranges are checked whoever makes the dataclass: the command, another program, or what reads a file of it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand
from typer.models import OptionInfo, ParameterInfo

from cyclerdm_cli.errors import UsageError

Request = TypeVar("Request")


@dataclass(frozen=True)
class Alone:
    """What an option of words means that is given without one, as a switch is."""

    value: str
    words: tuple[str, ...]
    """All that it may be given. What follows it is its value only if it is one of them, or comes after a =."""


Command = Callable[..., None]


def takes(
    request: type[Any], gather: Callable[[dict[str, Any]], Any] | None = None
) -> Callable[[Command], Command]:
    """Return a decorator: a command that takes a dataclass as `request` gets an option for each field instead.

    Args:
        request: the dataclass.
        gather: makes what the command is called with from the options that were typed, by name; None: makes the
            dataclass of them.
    """
    parameters = [option.parameter() for option in _options(request)]
    if gather is None:
        return lambda command: replace_parameter(
            command, "request", parameters, functools.partial(make, request)
        )
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return lambda command: replace_parameter(
        command, "request", [context, *parameters], lambda given: gather(_typed(given))
    )


def command_class(request: type[Any]) -> type[TyperCommand]:
    """Return the class of a command that takes a dataclass; options marked `Alone` may stand without a value."""
    alone = {flag(option.name): option.alone for option in _options(request) if option.alone is not None}

    class Command(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, _with_values(args, alone))

    return Command


def _with_values(words: Sequence[str], alone: Mapping[str, Alone]) -> list[str]:
    """Return what was typed with the value of each option that stands without one."""
    end = words.index("--") if "--" in words else len(words)
    found = list(words)
    for place, word in enumerate(words[:end]):
        if (mark := alone.get(word)) and (place + 1 >= end or words[place + 1] not in mark.words):
            found[place] = f"{word}={mark.value}"
    return found


def make(request: type[Request], given: Mapping[str, Any]) -> Request:
    """Return a dataclass of options from values by name; None and empty rows leave the default.

    Raises:
        UsageError: no option of that name, a value of another kind than the field's, or outside its range.
    """
    options = {option.name: option for option in _options(request)}
    for name in given:
        _require(name, options)
    values = {name: value for name, value in given.items() if value is not None and value != []}
    return request(**{name: options[name].convert(value) for name, value in values.items()})


def read_values(request: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by name as the fields of a dataclass of options have them. Raises UsageError as `make` does."""
    options = {option.name: option for option in _options(request)}
    found = {}
    for name, value in given.items():
        _require(name, options)
        found[name] = options[name].convert(value)
        options[name].check(found[name])
    return found


def check_fields(request: Any) -> None:
    """Check every field of a dataclass of options. Raises UsageError as `make` does."""
    for option in _options(type(request)):
        option.check(getattr(request, option.name))


def replace_parameter(
    command: Command,
    name: str,
    parameters: Sequence[inspect.Parameter],
    gather: Callable[[dict[str, Any]], Any],
) -> Command:
    """Return a command with several parameters in place of one, which `gather` makes of their values."""

    @functools.wraps(command)
    def spread(*arguments: Any, **values: Any) -> None:
        given = {one.name: values.pop(one.name) for one in parameters if one.name in values}
        command(*arguments, **{name: gather(given)}, **values)

    own = inspect.signature(command, eval_str=True)
    all_of_them: list[inspect.Parameter] = []
    for kept in own.parameters.values():
        all_of_them += parameters if kept.name == name else [kept]
    spread.__signature__ = own.replace(parameters=all_of_them)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in all_of_them}
    return spread


def _typed(given: dict[str, Any]) -> dict[str, Any]:
    """Return those of a command's values that stood on the command line, without the context that tells so."""
    context: typer.Context = given.pop("context")
    sources = {name: context.get_parameter_source(name) for name in given}
    return {
        name: value
        for name, value in given.items()
        if (source := sources[name]) is not None and source.name == "COMMANDLINE"
    }


def _require(name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        raise UsageError(
            f"{flag(name)}: no such option", hint=f"did you mean {flag(nearest[0])}?" if nearest else ""
        )


def flag(name: str) -> str:
    """Return the flag of a field: `--dry-run` of `dry_run`."""
    return f"--{name}".replace("_", "-")


@dataclass(frozen=True)
class _Option:
    """One field of a dataclass, as the command line has it."""

    name: str
    kind: type
    """Of the value, or of each value of a row."""
    row: bool
    """Whether it holds many values, each given by an option of its own."""
    default: Any
    """MISSING where a value must be given."""
    mark: ParameterInfo
    """What only a command line needs, with the range and the help."""
    alone: Alone | None = None
    """What it means without a value, where it may be given so."""

    def parameter(self) -> inspect.Parameter:
        """Return the parameter that a command has for it."""
        kind: Any = list[self.kind] if self.row else self.kind  # type: ignore[name-defined]
        default: Any = inspect.Parameter.empty
        if self.default is not MISSING:
            default = None if self.row else self.default
            kind = kind | None if default is None else kind
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, self.mark]
        )

    def convert(self, value: Any) -> Any:
        """Return a value as the field has it: a list as a tuple, a file's name as a Path, a number as its text."""
        if isinstance(value, list):
            return tuple(self.convert(one) for one in value)
        if self.alone is not None and isinstance(value, bool):
            return self.alone.value if value else None
        if self.kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        return Path(value) if self.kind is Path and isinstance(value, str) else value

    def check(self, value: Any) -> None:
        """Raise UsageError where a value is of another kind, or outside the range."""
        if value is None and self.default is None:
            return
        kinds = (int, float) if self.kind is float else (self.kind,)
        least: Any = self.mark.min
        most: Any = self.mark.max
        if self.row and not isinstance(value, tuple):
            raise UsageError(f"{flag(self.name)} {value!r}", hint=f"allowed: a row of {self.kind.__name__}")
        if self.alone is not None and value not in self.alone.words:
            raise UsageError(f"{flag(self.name)} {value}", hint=f"allowed: {', '.join(self.alone.words)}")
        for one in value if self.row else (value,):
            if not isinstance(one, kinds) or (isinstance(one, bool) and self.kind is not bool):
                raise UsageError(f"{flag(self.name)} {one!r}", hint=f"allowed: {self.kind.__name__}")
            if (least is not None and not one >= least) or (most is not None and not one <= most):
                allowed = (
                    f"{least} or more"
                    if most is None
                    else f"up to {most}"
                    if least is None
                    else f"{least} to {most}"
                )
                raise UsageError(f"{flag(self.name)} {one}", hint=f"allowed: {allowed}")


def _options(request: type) -> tuple[_Option, ...]:
    """Return the options of a dataclass, in the order of its fields."""
    hints, explained = get_type_hints(request, include_extras=True), explanations(request)
    found = []
    for field in fields(request):
        hint = hints[field.name]
        kind, *marks = get_args(hint) if get_origin(hint) is Annotated else [hint]
        mark = copy(next((one for one in marks if isinstance(one, ParameterInfo)), typer.Option()))
        mark.help = mark.help or explained.get(field.name)
        if isinstance(mark, OptionInfo):
            # What Annotated's typer.Option is given first is held as its default until a command is made.
            short = () if mark.default is ... else (mark.default,)
            mark.param_decls = tuple(dict.fromkeys((*short, *(mark.param_decls or ()), flag(field.name))))
            mark.default = ...
        single = next((one for one in get_args(kind) if one not in (NoneType, ...)), kind)
        alone = next((one for one in marks if isinstance(one, Alone)), None)
        found.append(_Option(field.name, single, get_origin(kind) is tuple, field.default, mark, alone))
    return tuple(found)


@functools.cache
def explanations(owner: type) -> dict[str, str]:
    """Return the docstrings below a dataclass's fields, or else their allowed values, by the fields' names."""
    # The module's text is at hand at once; to cut the class out of it, inspect would read it token by token.
    module = ast.parse(inspect.getsource(sys.modules[owner.__module__])).body
    body = next(one for one in module if isinstance(one, ast.ClassDef) and one.name == owner.__name__).body
    found = {}
    for place, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(place, ast.AnnAssign) and isinstance(place.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[place.target.id] = " ".join(text.split())
                case _:
                    kind = get_type_hints(owner)[place.target.id]
                    if get_origin(kind) is Literal:
                        found[place.target.id] = " or ".join(get_args(kind)) + "."
    return found
