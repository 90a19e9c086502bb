"""Help is complete: every command shows an example that can be pasted."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cyclerdm_cli.app import app

runner = CliRunner()


def commands(command: object, name: str = "") -> list[str]:
    """Return the words of every command below one."""
    inner = getattr(command, "commands", {})
    return [name, *(words for key, one in inner.items() for words in commands(one, f"{name} {key}".strip()))]


NAMES = [name for name in commands(get_command(app)) if name]


def test_there_are_commands() -> None:
    assert {"restore", "enhance", "train", "bench", "weights pull", "env"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_help_text_has_an_example_of_its_own_command(name: str) -> None:
    shown = runner.invoke(app, [*shlex.split(name), "--help"], env={"COLUMNS": "300", "NO_COLOR": "1"}).stdout
    examples = re.findall(r"Example: (cyclerdm [^│\n]*)", shown)
    assert any(example.startswith(f"cyclerdm {name}") for example in examples)


@pytest.mark.parametrize("name", NAMES)
def test_the_options_in_an_example_exist(name: str) -> None:
    shown = runner.invoke(app, [*shlex.split(name), "--help"], env={"COLUMNS": "300", "NO_COLOR": "1"}).stdout
    listed = shown.partition("╭")[2]
    for example in re.findall(r"Example: (cyclerdm [^│\n]*)", shown):
        if not example.startswith(f"cyclerdm {name}"):
            continue
        for option in re.findall(r"(?<= )--?[a-z][a-z-]*", example.partition(", then ")[0]):
            assert re.search(rf"{option}\b", listed), option
