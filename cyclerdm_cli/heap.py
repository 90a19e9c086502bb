"""How the C library keeps memory that was given back: large blocks go to the system at once.

By glibc's own rule blocks of up to 32 MiB stay in the process once one of that size was given back. The layers of a
network come in many sizes, so what is kept seldom fits what is wanted next, and the process grows by 50 MiB.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping

MMAP_THRESHOLD = -3
"""The number by which glibc's `mallopt` knows the size from which blocks are the system's (malloc.h)."""
LARGE_BLOCK = 4 << 20
"""Smaller ones would cost more time than they save memory: each is cleared by the system when it is taken."""
OWN_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Variables by which people say how memory is kept, or by what."""


def give_back_large_blocks(environment: Mapping[str, str] = os.environ) -> bool:
    """Have large blocks given back to the system when they are freed; tell whether that can be had here."""
    if not sys.platform.startswith("linux") or any(name in environment for name in OWN_SETTINGS):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library that has no such option
        return False
    return bool(set_option(MMAP_THRESHOLD, LARGE_BLOCK))
