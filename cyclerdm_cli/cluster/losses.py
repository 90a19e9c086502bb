"""How a worker was lost, and whether its machine goes on: in Ray's words, and in ours."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from cyclerdm_cli.errors import ClusterError, CycleRDMError


def machines() -> list[dict[str, Any]]:
    """Return the cluster's machines that are alive, in Ray's words."""
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call, unused-ignore]
    return [machine for machine in found if machine["Alive"]]


def is_innocent(node: str, fault: RayError) -> bool:
    """Tell whether a worker was lost with its machine, rather than by what it had in hand."""
    if isinstance(fault, ActorUnavailableError):
        return True
    return all(machine["NodeID"] != node for machine in machines())


def reason(fault: RayError) -> str:
    """Return why a worker died, without Ray's many words around it."""
    words = " ".join(str(fault).split())
    for mark in ("Worker exit detail: ", "The actor is dead because "):
        if mark in words:
            words = words.rpartition(mark)[2]
            break
    return words.partition(". ")[0].rstrip(".")


def raised_within(fault: RayTaskError) -> Exception:
    """Return what was raised in the worker."""
    cause = fault.cause
    if isinstance(cause, CycleRDMError):
        return cause
    return ClusterError(f"a worker failed: {type(cause).__name__}: {' '.join(str(cause).split())}")
