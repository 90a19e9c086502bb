"""The command line's rim: commands are gathered here. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from cyclerdm_cli import __version__
from cyclerdm_cli.processor import share_processor

COMMANDS = {
    "restore": "restore",
    "enhance": "restore",
    "try": "try_picture",
    "train": "train",
    "bench": "bench",
    "weights": "weights",
    "export": "export",
    "env": "env",
    "man": "manual",
}
"""The commands in the order of the help, each with its module in `commands`."""
BETWEEN_COLLECTIONS = 50_000
"""Objects that come into being before Python looks for garbage among the new ones; 700 where nobody asks."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cyclerdm {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Hold the options that stand before any command."""


def gather(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the program with some of its commands; only their modules are imported."""
    program = typer.Typer(
        name="cyclerdm",
        help="Restore and enhance photographs: eleven kinds of damage, one small network each, no network"
        " connection.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(_options)
    for name in names:
        module = import_module(f"cyclerdm_cli.commands.{COMMANDS[name]}")
        if COMMANDS[name] == "restore":
            module.add_to(program, name)
        else:
            module.add_to(program)
    return program


def __getattr__(name: str) -> Any:
    """Make `app`, the whole program, when it is first asked for."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = whole = gather()
    return whole


def _asked(words: Sequence[str]) -> Iterable[str]:
    """Return the command that is called, or all where that is not plain: for help, completion, a slip."""
    is_plain = len(words) > 1 and words[1] in COMMANDS and words[1] != "man"
    return [words[1]] if is_plain and "_CYCLERDM_COMPLETE" not in os.environ else COMMANDS


def _keep_streams_apart() -> None:
    """Take the place of standard streams that were closed, lest a result's file gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which gets the lowest number that is free


def _quieten_libraries() -> None:
    """Keep what libraries tell their programmers from people; CYCLERDM_DEBUG=1 shows it."""
    if os.environ.get("CYCLERDM_DEBUG") == "1":
        return
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # both are read when the library is loaded
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _collect_rarely() -> None:
    """Let Python look for garbage more rarely: imports make many objects, and no garbage."""
    gc.set_threshold(BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])


def main() -> None:
    """Run the command `cyclerdm`."""
    _collect_rarely()
    _keep_streams_apart()
    _quieten_libraries()
    share_processor()
    gather(_asked(sys.argv))()
