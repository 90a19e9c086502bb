"""How threads of the processor wait and how many there are: on a shared machine the program takes its share only.

OpenMP reads these settings when torch loads it, so they are made before; a user's own settings win.
"""

from __future__ import annotations

import math
import os
from collections.abc import MutableMapping
from pathlib import Path

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""Variables by which people say how OpenMP's threads wait."""
SPINS = 1000
"""Rounds of GNU's OpenMP in which a thread asks whether there is work before it sleeps."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use of the processor: microseconds of computing in how many of time (Linux, cgroup v2)."""


def share_processor(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep while they wait, and start no more than the container has processors."""
    if not any(name in environment for name in WAITING):
        # Threads that spin stop whoever else needs their core; GNU's may for as long as waking them would take.
        environment.update({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": str(SPINS)})
    allowed = processors_allowed()
    if allowed is not None:
        environment.setdefault("OMP_NUM_THREADS", str(allowed))


def ways_to_wait() -> dict[str, str]:
    """Return the variables that say how this process's threads wait, for processes on other machines."""
    return {name: os.environ[name] for name in WAITING if name in os.environ}


def processors_allowed(quota: Path = QUOTA) -> int | None:
    """Return how many processors a container's limit leaves, None where it leaves all that there are."""
    try:
        most, period = quota.read_text(encoding="ascii").split()
        allowed = max(1, math.ceil(int(most) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return allowed if allowed < (os.cpu_count() or 1) else None
