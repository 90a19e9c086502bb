"""Options that every command which restores has, and how their words are read. Free of torch."""

from __future__ import annotations

from typing import Annotated

import typer

from cyclerdm_cli.errors import UsageError

MACHINE = "How to compute"

Tile = Annotated[
    str, typer.Option("--tile", rich_help_panel=MACHINE, help="auto, pixels a side, or 0 for no tiles.")
]
Overlap = Annotated[
    int, typer.Option("--overlap", min=0, rich_help_panel=MACHINE, help="Pixels that tiles share.")
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
Offline = Annotated[bool, typer.Option("--offline", rich_help_panel=MACHINE, help="Never open a connection.")]


def read_tile(wanted: str) -> int | None:
    """Return the side of a tile in pixels, 0 for the whole picture, None for auto. Raises UsageError."""
    if wanted == "auto":
        return None
    if not wanted.isdecimal():
        raise UsageError(f"--tile {wanted!r}", hint="auto, 0, or pixels a side")
    return int(wanted)
