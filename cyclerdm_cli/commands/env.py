"""`cyclerdm env`: what a fault report needs, and what `auto` would choose."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import typer

from cyclerdm_cli import __version__
from cyclerdm_cli.commands.defaults import NAME, combine, find_files, own_defaults
from cyclerdm_cli.commands.options import flag
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
        help="Say versions, devices, the weights' place, what auto would choose and why, and which file decides "
        "what is not typed.\n\n"
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
        _tell_defaults()


def _tell_defaults() -> None:
    """Say which options files decide, and which presets there are; beside pictures nothing is looked for."""
    files = find_files()
    for name, setting in combine({}, files).items():
        put_line(f"default: {flag(name)} {setting.value}, from {setting.where}")
    for file in files:
        for preset, settings in file.presets.items():
            said = ", ".join(f"{flag(name)} {setting.value}" for name, setting in settings.items())
            put_line(f"preset {preset}: {said or 'nothing'}, from {file.path}")
    if not files:
        put_line(
            f"no defaults of your own: neither {own_defaults()} nor a {NAME} in the working folder is there"
        )
