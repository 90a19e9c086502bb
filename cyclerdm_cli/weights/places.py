"""Where things lie on this machine, and whether the network may be used: from the environment. Free of torch."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.folders import PROGRAM
from cyclerdm_cli.folders import cache_folder as cache_folder

OFFLINE = "CYCLERDM_OFFLINE"


def weights_folder() -> Path:
    """Return the folder of fetched and imported weights; it need not exist yet."""
    return cache_folder() / "weights"


def imported_registry() -> Path:
    """Return the registry of imported weights: beside them, and written by the program alone."""
    return weights_folder() / "imported.toml"


def config_folder() -> Path:
    """Return the user's folder for what the user writes: registry, defaults; it need not exist."""
    return platformdirs.user_config_path(PROGRAM, appauthor=False)


def own_registry() -> Path | None:
    """Return the user's own registry: `CYCLERDM_WEIGHTS`, or weights.toml in the configuration folder.

    Raises:
        WeightsError: `CYCLERDM_WEIGHTS` names no file.
    """
    if named := os.environ.get("CYCLERDM_WEIGHTS"):
        path = Path(named).expanduser()
        if not path.is_file():
            raise WeightsError(f"CYCLERDM_WEIGHTS: {path} is no file", hint="a registry such as weights.toml")
        return path
    path = config_folder() / "weights.toml"
    return path if path.is_file() else None


def is_offline() -> bool:
    """Tell whether `CYCLERDM_OFFLINE` forbids connections."""
    return os.environ.get(OFFLINE, "").strip().lower() not in ("", "0", "false", "no", "off")


def mirror() -> str:
    """Return the base address of `CYCLERDM_MIRROR` that replaces the registries' own, or nothing."""
    return os.environ.get("CYCLERDM_MIRROR", "").strip()


def part_of(path: Path) -> Path:
    """Return where a file lies while it arrives."""
    return path.with_name(f".{path.name}.part")


def lock_of(path: Path) -> Path:
    """Return the file that one process at a time locks who writes `path`."""
    return path.with_name(f".{path.name}.lock")


def failure_of(path: Path) -> Path:
    """Return where it is noted that a file could not be fetched."""
    return path.with_name(f".{path.name}.failed")
