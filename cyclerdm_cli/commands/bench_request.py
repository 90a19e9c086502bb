"""What can be asked of `bench`: its options, and whether they fit together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cyclerdm_cli.commands.completion import EFFORTS, one_of
from cyclerdm_cli.commands.machine_options import (
    Actors,
    Batch,
    Cluster,
    Offline,
    Overlap,
    Seed,
    Tile,
    check_cluster,
    read_tile,
)
from cyclerdm_cli.commands.options import check_fields
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.restoring.mirroring import mirrors_of
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.tasks.spelling import task_name

PICTURES, COMPARED, OUTPUT = "Which pictures", "What to compare", "What to write"
SPEED = "Time and memory"
TABLES = ("text", "markdown", "latex")
STAGE_COUNTS = ("1", "2", "3")


def names_in(texts: Iterable[str]) -> list[str]:
    """Return the names in texts with commas between."""
    return [name for text in texts for name in (part.strip() for part in text.split(",")) if name]


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """One call of `bench`, as it was typed. The fields' order is that of the options in the help."""

    dataset: Annotated[tuple[str, ...], typer.Option(rich_help_panel=PICTURES)] = ()
    """Names with commas between, as `bench datasets` lists them; builtin needs nothing. Kodak24 takes all noise
    levels, Kodak24-s25 one."""
    data_root: Annotated[Path | None, typer.Option(rich_help_panel=PICTURES)] = None
    """The sets' folder. Default: in the cache."""
    lq: Annotated[tuple[Path, ...], typer.Option(rich_help_panel=PICTURES)] = ()
    """A folder of degraded pictures. May be repeated."""
    gt: Annotated[tuple[Path, ...], typer.Option(rich_help_panel=PICTURES)] = ()
    """The same ones clean, paired by file name without extension; one for each --lq, or none at all."""
    task: Annotated[tuple[str, ...], typer.Option(rich_help_panel=PICTURES)] = ()
    """The damage: one for all --lq, or one for each; with --speed the one to time. Default, without --gt: what most
    of a folder's pictures show."""
    limit: Annotated[int, typer.Option(min=0, rich_help_panel=PICTURES)] = 0
    """Pictures a set at most; 0: all."""
    crop: Annotated[int | None, typer.Option(min=0, rich_help_panel=PICTURES)] = None
    """Pixels left out at every edge. Default: as published numbers for the set do."""
    metrics: Annotated[str, typer.Option(rich_help_panel=PICTURES)] = "auto"
    """auto: PSNR, SSIM, and those of lpips, niqe, fid whose weights are there; or names. Without --gt: niqe, and
    estimates of noise and sharpness."""
    weights: Annotated[tuple[str, ...], typer.Option(rich_help_panel=COMPARED)] = ()
    """A family in the registry (each task's own weights), an entry, or a file. May be repeated."""
    speed: Annotated[bool, typer.Option(rich_help_panel=SPEED)] = False
    """Measure time and memory instead: start, sizes, threads, precisions, stages, and the authors' network
    beside."""
    sizes: Annotated[str, typer.Option(rich_help_panel=SPEED)] = "0.06,1,4,12"
    """Megapixels with commas between, up to 500."""
    threads: Annotated[str, typer.Option(rich_help_panel=SPEED)] = "1,2"
    """Of the processor, with commas between."""
    compare: Annotated[Path | None, typer.Option(rich_help_panel=SPEED)] = None
    """The --json of an earlier run of --speed: what became slower since, the worst first."""
    device: Annotated[tuple[str, ...], typer.Option(rich_help_panel=COMPARED)] = ("auto",)
    """auto, cpu, cuda, cuda:N, mps. May be repeated."""
    precision: Annotated[tuple[str, ...], typer.Option(rich_help_panel=COMPARED)] = ()
    """auto, fp32, bf16, fp16. May be repeated."""
    steps: Annotated[tuple[int, ...], typer.Option(min=0, max=1000, rich_help_panel=COMPARED)] = (0,)
    """Evaluations of stage 1; 0: the weights' own number. May be repeated."""
    stages: Annotated[tuple[str, ...], typer.Option(rich_help_panel=COMPARED)] = ()
    """How many of the three stages to run, with commas between: 1,2,3 shows what each brings. May be repeated."""
    effort: Annotated[
        tuple[str, ...], typer.Option(rich_help_panel=COMPARED, autocompletion=one_of(EFFORTS))
    ] = ("normal",)
    """normal, or best: averages the results of the picture and its mirror images, in four times the time. May be
    repeated."""
    outputs: Annotated[tuple[str, ...], typer.Option(rich_help_panel=COMPARED)] = ()
    """DIR or NAME=DIR: pictures that another program made, by the inputs' names, in DIR or DIR/SET. May be
    repeated."""
    reference: Annotated[bool, typer.Option(rich_help_panel=COMPARED)] = False
    """Published numbers beside, with their source, where the test files are the same."""
    no_weights: Annotated[bool, typer.Option(rich_help_panel=COMPARED)] = False
    """Only score --outputs."""
    tile: Tile = "auto"
    overlap: Overlap = None
    batch: Batch = None
    seed: Seed = 0
    cluster: Cluster = None
    actors: Actors = None
    offline: Offline = False
    json: Annotated[Path | None, typer.Option(rich_help_panel=OUTPUT)] = None
    """Results, with every picture's."""
    csv: Annotated[Path | None, typer.Option(rich_help_panel=OUTPUT)] = None
    """A row a picture and candidate."""
    report: Annotated[Path | None, typer.Option(rich_help_panel=OUTPUT)] = None
    """One HTML file: tables, plots, pictures."""
    table: Annotated[tuple[str, ...], typer.Option(metavar="KIND[=FILE]", rich_help_panel=OUTPUT)] = ()
    """text, markdown or latex: the tables' kind on standard output; latex=FILE writes them to a file beside. May be
    repeated."""
    save: Annotated[Path | None, typer.Option(rich_help_panel=OUTPUT)] = None
    """Folder for all restored pictures, as PNG."""
    resume: Annotated[bool, typer.Option(rich_help_panel=OUTPUT)] = False
    """Go on with the run that --json's journal holds."""
    quiet: Annotated[bool, typer.Option("-q", rich_help_panel=OUTPUT)] = False
    """Only faults and the table."""

    def __post_init__(self) -> None:
        """Check kinds and ranges. Raises UsageError."""
        check_fields(self)

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks, as the catalogue spells them."""
        return [task_name(word) for word in self.task]

    @property
    def stage_counts(self) -> tuple[int, ...]:
        """How many stages to run, for each candidate. Raises UsageError."""
        counts = names_in(self.stages)
        if wrong := [word for word in counts if word not in STAGE_COUNTS]:
            raise UsageError(f"--stages {wrong[0]!r}", hint="1, 2 or 3, with commas between")
        return tuple(int(word) for word in counts)

    @property
    def tables(self) -> tuple[tuple[str, Path | None], ...]:
        """The kinds of table, each with its file, or None for standard output. Raises UsageError."""
        found = []
        for word in self.table:
            kind, sign, place = word.partition("=")
            if kind not in TABLES or (sign and not place):
                raise UsageError(f"--table {word!r}", hint=f"{', '.join(TABLES)}, or one of them and =FILE")
            found.append((kind, Path(place) if sign else None))
        return tuple(found)

    @property
    def shown_tables(self) -> list[str]:
        """The kinds of table on standard output."""
        return [kind for kind, path in self.tables if path is None] or ["text"]

    def check(self) -> None:
        """See that the options fit together, before anything heavy is imported. Raises UsageError, ClusterError."""
        read_tile(self.tile)
        for word in self.effort:
            mirrors_of(word)
        self._check_pictures()
        check_cluster(self.cluster, self.actors)
        _ = self.stage_counts, self.tables
        for task in self.tasks:
            if not self.weights:
                find_task(task)
        if self.no_weights and (self.weights or not self.outputs):
            raise UsageError("--no-weights goes with --outputs, and without --weights")
        if self.compare is not None:
            raise UsageError("--compare goes with --speed", hint="bench compare A.json B.json for results")
        if self.resume and self.json is None:
            raise UsageError("--resume needs --json", hint="the journal lies beside that file")

    def _check_pictures(self) -> None:
        """Raise UsageError where there are no pictures, or folders and tasks do not match in number."""
        if not names_in(self.dataset) and not self.lq:
            raise UsageError(
                "cyclerdm bench needs pictures", hint="--dataset NAME, or --lq DIR --gt DIR --task TASK"
            )
        if self.gt and not self.task:
            raise UsageError("--gt needs --task", hint="the damage, one for all folders or one for each")
        if self.gt and len(self.gt) != len(self.lq):
            raise UsageError(
                f"{len(self.lq)} --lq folders and {len(self.gt)} --gt", hint="one --gt for each --lq"
            )
        if self.task and not self.lq:
            raise UsageError("--task goes with --lq", hint="a --dataset knows its task")
        if self.task and self.lq and len(self.task) not in (1, len(self.lq)):
            raise UsageError(
                f"{len(self.lq)} --lq folders and {len(self.task)} --task",
                hint="one for all, or one for each",
            )

    def check_speed(self) -> None:
        """See that --speed goes with the other options. Raises UsageError."""
        pictures = (self.dataset, self.lq, self.gt, self.outputs, self.save, self.resume)
        if any((*pictures, self.csv, self.report, self.table)):
            raise UsageError("--speed goes without pictures and reports", hint="--sizes, --threads, --json")
