"""Options are the fields of a dataclass, for the command as for whatever else makes one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from cyclerdm_cli.commands.bench_auto import AutoRequest
from cyclerdm_cli.commands.bench_request import BenchRequest
from cyclerdm_cli.commands.options import check_fields, make, takes
from cyclerdm_cli.commands.restore_request import RestoreRequest
from cyclerdm_cli.commands.train_request import TrainRequest
from cyclerdm_cli.errors import UsageError

NEEDED: dict[type, dict[str, Any]] = {
    RestoreRequest: {"inputs": ("a.png", "b.png")},
    BenchRequest: {},
    AutoRequest: {"data": Path("photos")},
    TrainRequest: {"data": ("photos",)},
}
"""The fields that each of them cannot be without."""


@dataclass(frozen=True, kw_only=True)
class Paint:
    """What a small command can be asked for."""

    walls: Annotated[tuple[str, ...], typer.Argument()]
    """Which walls."""
    coats: Annotated[int, typer.Option("-c", min=1, max=4)] = 2
    """How many layers
    of paint."""
    share: float = 0.5
    """Of the wall."""
    plan: Path | None = None
    """Where it is drawn."""
    tints: tuple[str, ...] = ("white",)
    """May be repeated."""
    stay_wet: bool = False
    """Leave it wet."""

    def __post_init__(self) -> None:
        check_fields(self)


def asked(request: type, *words: str) -> Any:
    """Return what a command that takes such a dataclass is called with."""
    made: list[Any] = []
    app = typer.Typer()
    app.command()(takes(request)(lambda request: made.append(request)))
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == 0, result.output
    return made[0]


def test_a_command_is_called_with_the_dataclass_of_its_words() -> None:
    words = [
        "north",
        "south",
        "-c",
        "3",
        "--share",
        "1",
        "--plan",
        "a.svg",
        "--tints",
        "red",
        "--tints",
        "blue",
    ]
    assert asked(Paint, *words, "--stay-wet") == Paint(
        walls=("north", "south"), coats=3, share=1.0, plan=Path("a.svg"), tints=("red", "blue"), stay_wet=True
    )


def test_the_help_is_the_docstrings_with_defaults_and_ranges() -> None:
    app = typer.Typer()
    app.command()(takes(Paint)(lambda request: None))
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "150", "NO_COLOR": "1"}).stdout
    assert "How many layers of paint. [default: 2]" in shown
    assert "1<=x<=4" in shown
    assert "--stay-wet" in shown
    assert "--no-stay-wet" not in shown


@pytest.mark.parametrize(("request_kind", "needed"), NEEDED.items())
def test_without_options_the_command_asks_for_the_dataclass_s_own_defaults(
    request_kind: type, needed: dict[str, Any]
) -> None:
    data = ["--data", "photos"] if "data" in needed else []
    assert asked(request_kind, *data, *needed.get("inputs", ())) == request_kind(**needed)


def test_a_file_says_the_same_as_the_command_line() -> None:
    written = """
        lq = ["a/lq", "b/lq"]
        task = ["derain"]
        steps = [2, 4]
        json = "results.json"
        reference = true
        limit = 3
    """
    words = ["--lq", "a/lq", "--lq", "b/lq", "--task", "derain", "--steps", "2", "--steps", "4"]
    words += ["--json", "results.json", "--reference", "--limit", "3"]
    assert make(BenchRequest, tomllib.loads(written)) == asked(BenchRequest, *words)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"steps": 2000}, "--steps 2000 (allowed: 0 to 1000)"),
        ({"jobs": 0}, "--jobs 0 (allowed: 1 or more)"),
        ({"steps": "many"}, "--steps 'many' (allowed: int)"),
        ({"steps": None}, "--steps None (allowed: int)"),
        ({"frame": True}, "--frame True (allowed: int)"),
        ({"inputs": "a.png"}, "--inputs 'a.png' (allowed: a row of str)"),
        ({"output": ("a", "b")}, "--output ('a', 'b') (allowed: str)"),
    ],
)
def test_kinds_and_ranges_hold_for_every_program(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as fault:
        RestoreRequest(**{"inputs": ("a.png",), **values})
    assert str(fault.value) == said


def test_an_option_that_is_unknown_is_named() -> None:
    with pytest.raises(UsageError, match="--colour: no such option"):
        make(RestoreRequest, {"inputs": ["a.png"], "colour": "red"})
