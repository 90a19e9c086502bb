"""What is known of the torch that is installed, and of GPUs for it, without importing it, which takes a second."""

from __future__ import annotations

import ctypes
import runpy
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
"""NVIDIA's driver, without which torch finds no CUDA device."""


@dataclass(frozen=True)
class Build:
    """How torch was built."""

    version: str
    cuda: bool
    """Whether for NVIDIA's GPUs."""
    others: bool
    """Whether for GPUs of other makers, too."""


@cache
def torch_build() -> Build:
    """Return how torch was built, by its own file of facts. Raises ModuleNotFoundError: torch is not installed."""
    found = find_spec("torch")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    facts = runpy.run_path(str(Path(found.submodule_search_locations[0]) / "version.py"))
    return Build(str(facts["__version__"]), bool(facts.get("cuda")), bool(facts.get("hip")))


def may_find_gpu() -> bool:
    """Return False where torch cannot find a GPU for certain; True: only torch itself can tell."""
    build = torch_build()
    if sys.platform == "darwin" or build.others:
        return True
    return build.cuda and _has_driver()


def _has_driver() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True
