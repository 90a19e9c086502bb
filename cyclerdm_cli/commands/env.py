"""`cyclerdm env`: what a fault report needs, and what `auto` would choose."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from cyclerdm_cli import __version__
from cyclerdm_cli.commands.defaults import NAME, Setting, combine, find_files, own_defaults
from cyclerdm_cli.commands.options import flag
from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line, put_record

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
    def env(
        json: Annotated[bool, typer.Option("--json", help="The same as one JSON object.")] = False,
    ) -> None:
        facts = _find_out()
        if json:
            put_record(facts)
        else:
            _tell(facts)


def _find_out() -> dict[str, Any]:
    """Return the record of `--json`: what is here, and what would be chosen."""
    import torch

    from cyclerdm_cli.engine_words import choose_words
    from cyclerdm_cli.weights.choosing import choose, tasks_of
    from cyclerdm_cli.weights.places import cache_folder, is_offline, own_registry

    engine, files, own = choose_words(), find_files(), own_registry()
    choices = {(one := choose(None, task)).name: one for task in tasks_of(None)}
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {library: _version(library) for library in LIBRARIES},
        "processors": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": engine.device,
        "precision": engine.precision,
        "reason": engine.reason,
        "cache": str(cache_folder()),
        "offline": is_offline(),
        "registry": None if own is None else str(own),
        "weights": [
            {"name": one.name, "path": str(one.path), "here": one.is_here} for one in choices.values()
        ],
        "defaults": [_said(name, setting) for name, setting in combine({}, files).items()],
        "presets": [
            {
                "name": preset,
                "path": str(file.path),
                "settings": [_said(name, setting) for name, setting in settings.items()],
            }
            for file in files
            for preset, settings in file.presets.items()
        ],
        "defaults_files": [str(file.path) for file in files],
    }


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _said(name: str, setting: Setting) -> dict[str, Any]:
    """Return an option that a file sets, with where it does."""
    value = setting.value
    plain = value if value is None or isinstance(value, (bool, int, float, tuple)) else str(value)
    return {"option": flag(name), "value": plain, "where": setting.where}


def _tell(facts: dict[str, Any]) -> None:
    """Say all in lines for people."""
    put_line(f"cyclerdm {facts['version']}, Python {facts['python']}, {facts['platform']}")
    for library, number in facts["libraries"].items():
        put_line(f"{library} {number}" if number else f"{library} is not installed under that name")
    put_line(f"processors: {facts['processors']}, threads that compute: {facts['threads']}")
    put_line(f"auto chooses: {facts['device']}, {facts['precision']} ({facts['reason']})")
    put_line(f"cache folder: {facts['cache']}{', offline' if facts['offline'] else ''}")
    if facts["registry"]:
        put_line(f"registry of your own: {facts['registry']}")
    for one in facts["weights"]:
        put_line(f"weights: {one['name']}, {one['path']}{'' if one['here'] else ', to be fetched'}")
    for one in facts["defaults"]:
        put_line(f"default: {one['option']} {one['value']}, from {one['where']}")
    for preset in facts["presets"]:
        said = ", ".join(f"{one['option']} {one['value']}" for one in preset["settings"])
        put_line(f"preset {preset['name']}: {said or 'nothing'}, from {preset['path']}")
    if not facts["defaults_files"]:
        put_line(
            f"no defaults of your own: neither {own_defaults()} nor a {NAME} in the working folder is there"
        )
