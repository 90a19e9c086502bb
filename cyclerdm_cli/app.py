"""The command line's rim: commands are gathered here. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from cyclerdm_cli import __version__
from cyclerdm_cli.commands import bench, env, export, manual, restore, train, try_picture, weights
from cyclerdm_cli.processor import share_processor

app = typer.Typer(
    name="cyclerdm",
    help="Restore and enhance photographs: eleven kinds of damage, one small network each, no network connection.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cyclerdm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Hold the options that stand before any command."""


restore.add_to(app, "restore")
restore.add_to(app, "enhance")
try_picture.add_to(app)
train.add_to(app)
bench.add_to(app)
weights.add_to(app)
export.add_to(app)
env.add_to(app)
manual.add_to(app)


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


def main() -> None:
    """Run the command `cyclerdm`."""
    _keep_streams_apart()
    _quieten_libraries()
    share_processor()
    app()
