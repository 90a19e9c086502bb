"""What a run reads beside its pictures' files, and whose place no result takes: lists, masks, weights, pipes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.atomic import identity
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.streams import is_pipe, most_bytes, read_pipe, read_stream

STANDARD_INPUT = Path("/dev/stdin")


def refuse_inputs(outputs: Iterable[Path | None], inputs: Iterable[Path]) -> None:
    """Raise UsageError where a file of results is one that the run reads, or two of them are one."""
    wanted = [path for path in outputs if path is not None]
    places = [path.resolve() for path in wanted]
    for place, path in enumerate(wanted):
        if places.index(places[place]) < place:
            raise UsageError(f"{path}: two files of results cannot be one")
    # Resolved: a folder that is not there yet, and left again, hides nothing.
    taken = {found: path for path, place in zip(wanted, places, strict=True) if (found := identity(place))}
    for path in inputs if taken else ():
        if (found := identity(path)) in taken:
            raise UsageError(
                f"{taken[found]} is the input {path} itself", hint="inputs are never overwritten"
            )


def read_pipes(
    plan: Iterable[Job], mask: Path | None, limit_pixels: int
) -> dict[Path | None, bytes | PictureError]:
    """Read what comes through standard input and named pipes, each once; a pipe's fault stands in its place."""
    found: dict[Path | None, bytes | PictureError] = {}
    most = most_bytes(limit_pixels)
    for path in (*(job.input.path for job in plan if not job.input.found), mask):
        if path is not None and path not in found and is_pipe(path):
            try:
                found[path] = read_pipe(path, most)
            except PictureError as fault:
                found[path] = fault
    if any(job.input.path is None for job in plan):
        try:
            found[None] = read_stream(sys.stdin.buffer, "standard input", most)
        except PictureError as fault:
            found[None] = fault
    return found
