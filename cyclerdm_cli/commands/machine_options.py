"""Options that every command which restores has, and how their words are read. Free of torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import find_task

MACHINE = "How to compute"

Tile = Annotated[
    str, typer.Option("--tile", rich_help_panel=MACHINE, help="auto, pixels a side, or 0 for no tiles.")
]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        min=0,
        rich_help_panel=MACHINE,
        help="Pixels that tiles share; default: 128, half a tile at most.",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        rich_help_panel=MACHINE,
        help="Tiles computed together on a GPU; default: by their size.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", rich_help_panel=MACHINE, help="Same seed, same bytes.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        rich_help_panel=MACHINE,
        help="Spread the pictures over a Ray cluster: HOST:PORT, auto for the one that this machine is part of, or "
        "local for one of this machine alone (extra: cluster).",
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(
        "--actors",
        min=1,
        rich_help_panel=MACHINE,
        help="Workers on the cluster; default: one a GPU, or one for as many CPUs as there are threads.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", rich_help_panel=MACHINE, help="Never open a connection.")]


Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        rich_help_panel=MACHINE,
        help="Stay within so much, 2GB or 500MB: smaller tiles, fewer pictures at once. The program's memory,"
        " or that of an NVIDIA GPU.",
    ),
]
UNITS = {
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "K": 1e3,
    "M": 1e6,
    "G": 1e9,
}


def read_memory(wanted: str | None) -> int | None:
    """Return a number of bytes, None for no limit. Raises UsageError."""
    if wanted is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG](?:I?B)?)", wanted.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError(f"--memory {wanted!r}", hint="a number with a unit: 500MB, 2GB")
    return int(float(found[1]) * UNITS[found[2].upper()])


def read_strength(wanted: str, tasks: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Return the strength of all tasks, and those of single ones, from 0.6 or derain=0.6,dehaze=1.

    Args:
        wanted: as it was typed.
        tasks: those in use; none: any of the catalogue's may come to be.

    Raises:
        UsageError: no number from 0 to 1, or a task that is not in use, or no task at all.
    """
    if "=" not in wanted:
        return _share(wanted, wanted), {}
    strengths: dict[str, float] = {}
    for part in wanted.split(","):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in tasks:
            find_task(name)
        if tasks and name not in tasks:
            raise UsageError(
                f"--strength {wanted}: {name} is not asked for", hint=f"--task {'+'.join(tasks)}"
            )
        if name in strengths:
            raise UsageError(f"--strength {wanted}: {name} is named twice")
        strengths[name] = _share(number, wanted)
    return 1.0, strengths


def _share(number: str, wanted: str) -> float:
    """Return a number from 0 to 1. Raises UsageError."""
    try:
        found = float(number)
    except ValueError:
        found = math.nan
    if not 0 <= found <= 1:
        raise UsageError(f"--strength {wanted!r}", hint="0 to 1, or task by task: derain=0.6,dehaze=1")
    return found


def read_tile(wanted: str) -> int | None:
    """Return the side of a tile in pixels, 0 for the whole picture, None for auto. Raises UsageError."""
    if wanted == "auto":
        return None
    if not wanted.isdecimal():
        raise UsageError(f"--tile {wanted!r}", hint="auto, 0, or pixels a side")
    return int(wanted)


def check_cluster(cluster: str | None, actors: int | None) -> None:
    """See that the options of a cluster fit together, and that Ray is there. Raises UsageError, ClusterError."""
    if cluster is not None:
        from cyclerdm_cli.cluster.connection import require_ray

        require_ray()
    elif actors is not None:
        raise UsageError("--actors goes with --cluster")
