"""`cyclerdm bench datasets`: the sets that are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line

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
    ) -> None:
        from cyclerdm_cli.benchmark.datasets import find_dataset, read_datasets

        if name is not None:
            _describe(find_dataset(name).dataset)
            return
        put_line(f"{'builtin':<16} {'all ten':<11} {'-':>6}  needs nothing")
        for dataset in read_datasets().values():
            count = str(dataset.images) if dataset.images else "-"
            way = "direct address" if dataset.archive else dataset.home
            put_line(f"{dataset.name:<16} {dataset.task:<11} {count:>6}  {way}")


def _describe(dataset: Dataset) -> None:
    lines = {
        "task": dataset.task,
        "pictures": str(dataset.images) if dataset.images else "",
        "measured": dataset.convention,
        "noise": ", ".join(f"{dataset.name}-s{sigma}" for sigma in dataset.noise),
        "note": dataset.note,
        "home": dataset.home,
        "direct address": dataset.archive.url if dataset.archive else "",
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
