"""`cyclerdm env`: what a fault report needs, and what `auto` would choose."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import typer

from cyclerdm_cli import __version__
from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line

LIBRARIES = (
    "torch",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "pywavelets",
    "safetensors",
    "requests",
    "typer",
    "rich",
)


def add_to(app: typer.Typer) -> None:
    """Add `env` to the program."""

    @app.command(
        help="Say versions, devices, the weights' place, and what auto would choose and why.\n\n"
        "Example: [bold]cyclerdm env[/]"
    )
    @faults_in_one_line
    def env() -> None:
        from cyclerdm_cli.device import choose_engine
        from cyclerdm_cli.weights.places import cache_folder, is_offline, own_registry
        from cyclerdm_cli.weights.registry import choose, tasks_of

        put_line(f"cyclerdm {__version__}, Python {platform.python_version()}, {platform.platform()}")
        for library in LIBRARIES:
            try:
                put_line(f"{library} {version(library)}")
            except PackageNotFoundError:
                put_line(f"{library} is not installed under that name")
        put_line(f"processors: {len(os.sched_getaffinity(0)) if sys.platform == 'linux' else os.cpu_count()}")
        put_line(f"auto chooses: {choose_engine()}")
        put_line(f"cache folder: {cache_folder()}{', offline' if is_offline() else ''}")
        if own := own_registry():
            put_line(f"registry of your own: {own}")
        for choice in {(one := choose(None, task)).name: one for task in tasks_of(None)}.values():
            put_line(f"weights: {choice.name}, {choice.path}{'' if choice.is_here else ', to be fetched'}")
