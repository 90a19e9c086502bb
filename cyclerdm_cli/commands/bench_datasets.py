"""`cyclerdm bench datasets`: the sets that are known by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line, put_record

if TYPE_CHECKING:
    from cyclerdm_cli.benchmark.datasets import Dataset


def add_to(bench: typer.Typer) -> None:
    """Add `datasets` to `bench`."""

    @bench.command(
        help="List the sets that are known by name: what each is for, where to get it, how to lay it out.\n\n"
        "Example: [bold]cyclerdm bench datasets Rain100L[/]"
    )
    @faults_in_one_line
    def datasets(
        name: Annotated[str | None, typer.Argument(help="One of them, with all that is known of it.")] = None,
        json: Annotated[
            bool, typer.Option("--json", help="One JSON object a line, with all there is.")
        ] = False,
    ) -> None:
        from cyclerdm_cli.benchmark.datasets import find_dataset, read_datasets

        if json:
            for dataset in read_datasets().values() if name is None else [find_dataset(name).dataset]:
                put_record(_record(dataset))
            return
        if name is not None:
            _describe(find_dataset(name).dataset)
            return
        put_line(f"{'builtin':<16} {'all tasks':<11} {'-':>6}  needs nothing")
        for dataset in read_datasets().values():
            count = str(dataset.images) if dataset.images else "-"
            put_line(f"{dataset.name:<16} {dataset.task:<11} {count:>6}  {_way(dataset)}")


def _record(dataset: Dataset) -> dict[str, Any]:
    """Return all there is about a set."""
    fault = dataset.archive.fault if dataset.archive else "no direct address"
    return {**asdict(dataset), "convention": dataset.convention, "fetched": not fault, "fault": fault or None}


def _way(dataset: Dataset) -> str:
    """Return how a set is had."""
    if dataset.archive is None:
        return dataset.home
    fault = dataset.archive.fault
    return f"{dataset.home}; its direct address {fault}" if fault else "direct address"


def _direct(dataset: Dataset) -> str:
    """Return the direct address of a set, with what speaks against it; nothing where there is none."""
    if dataset.archive is None:
        return ""
    return (
        f"{dataset.archive.url} ({dataset.archive.fault})" if dataset.archive.fault else dataset.archive.url
    )


def _describe(dataset: Dataset) -> None:
    lines = {
        "task": dataset.task,
        "pictures": str(dataset.images) if dataset.images else "",
        "measured": dataset.convention,
        "noise": ", ".join(f"{dataset.name}-s{sigma}" for sigma in dataset.noise),
        "note": dataset.note,
        "home": dataset.home,
        "direct address": _direct(dataset),
        "licence": dataset.licence,
        "also called": ", ".join(dataset.aliases),
    }
    put_line(dataset.name)
    for title, text in lines.items():
        if text:
            put_line(f"  {title}: {text}")
    for layout in dataset.all_layouts:
        parts = [
            f"{kind} {path}"
            for kind, path in (("lq", layout.lq), ("gt", layout.gt), ("mask", layout.mask))
            if path
        ]
        put_line(f"  layout: {', '.join(parts)}")
    for entry in dataset.published:
        put_line(f"  published: {entry.method} {entry.psnr:.2f} dB, {entry.source}")
