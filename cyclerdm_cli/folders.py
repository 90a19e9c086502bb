"""The program's folder on this machine: from the environment. Free of torch."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

PROGRAM = "cyclerdm"


def cache_folder() -> Path:
    """Return the folder for what can be had again: `CYCLERDM_HOME`, or the system's own for caches."""
    home = os.environ.get("CYCLERDM_HOME")
    return (
        Path(home).expanduser().absolute() if home else platformdirs.user_cache_path(PROGRAM, appauthor=False)
    )
