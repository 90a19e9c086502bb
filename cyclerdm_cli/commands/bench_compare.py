"""`cyclerdm bench compare`: two runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line

if TYPE_CHECKING:
    from cyclerdm_cli.benchmark.comparing import Change


def add_to(bench: typer.Typer) -> None:
    """Add `compare` to `bench`."""

    @bench.command(
        help="Compare the results of two runs, picture by picture.\n\n"
        "Example: [bold]cyclerdm bench compare before.json after.json[/]"
    )
    @faults_in_one_line
    def compare(
        first: Annotated[Path, typer.Argument(metavar="A.json", help="What --json of one run wrote.")],
        second: Annotated[Path, typer.Argument(metavar="B.json", help="The same of another run.")],
    ) -> None:
        from cyclerdm_cli.benchmark.comparing import compare as matched
        from cyclerdm_cli.benchmark.records import read_json

        for change in matched(read_json(first), read_json(second)):
            _print_change(change)


def _print_change(change: Change) -> None:
    from cyclerdm_cli.benchmark.tables import TITLES, difference, number

    put_line(f"{change.title}, {len(change.before.pictures)} pictures")
    for name, found in change.differences.items():
        before, after = (number(name, result.output[name]) for result in (change.before, change.after))
        verdict = "" if found.certain else "  (may be chance)"
        put_line(
            f"  {TITLES.get(name, name):<9} {before:>8} -> {after:>8}  {difference(name, found)}{verdict}"
        )
    if change.speed is not None:
        put_line(f"  speed     {change.speed:.2f} times")
    if change.other_inputs:
        put_line(f"  left out, other inputs under the same names: {', '.join(change.other_inputs)}")
    put_line("")
