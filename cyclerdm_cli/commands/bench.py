"""`cyclerdm bench`: how good, how fast, on which pictures, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cyclerdm_cli.commands import bench_auto, bench_compare, bench_datasets
from cyclerdm_cli.commands.bench_run import Asked, names_in
from cyclerdm_cli.commands.bench_speed import SIZES, THREADS, SpeedAsked
from cyclerdm_cli.commands.machine_options import (
    Actors,
    Batch,
    Cluster,
    Offline,
    Overlap,
    Seed,
    Tile,
    read_tile,
)
from cyclerdm_cli.commands.reporting import faults_in_one_line
from cyclerdm_cli.commands.task_words import task_name
from cyclerdm_cli.errors import UsageError

PICTURES, COMPARED, OUTPUT = "Which pictures", "What to compare", "What to write"
SPEED = "Time and memory"
HELP = """Measure restorations on test sets of the field, on your own pairs, or on the built-in pictures.

PSNR and SSIM in RGB and on Y, each labelled, the input's own numbers beside; the gain with an interval of 95 %.

Example: [bold]cyclerdm bench --dataset builtin --report report.html[/]

Example: [bold]cyclerdm bench --lq rain/lq --gt rain/gt --task derain --outputs PReNet=DIR --report r.html[/]

Example: [bold]cyclerdm bench --speed --sizes 1,12,100[/]

[bold]cyclerdm bench datasets[/] lists the sets; [bold]cyclerdm bench compare A.json B.json[/] compares two runs;
[bold]cyclerdm bench auto[/] measures what --task auto sees."""


def add_to(app: typer.Typer) -> None:
    """Add `bench` to the program."""
    bench = typer.Typer(
        invoke_without_command=True,
        help=HELP,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.add_typer(bench, name="bench")
    _add_measuring(bench)
    bench_compare.add_to(bench)
    bench_datasets.add_to(bench)
    bench_auto.add_to(bench)


def _add_measuring(bench: typer.Typer) -> None:
    @bench.callback()
    @faults_in_one_line
    def measure(
        context: typer.Context,
        dataset: Annotated[
            list[str] | None,
            typer.Option(
                "--dataset",
                rich_help_panel=PICTURES,
                help="Names with commas between, as `bench datasets` lists them; builtin needs nothing. Kodak24"
                " takes all noise levels, Kodak24-s25 one.",
            ),
        ] = None,
        data_root: Annotated[
            Path | None,
            typer.Option(
                "--data-root", rich_help_panel=PICTURES, help="The sets' folder. Default: in the cache."
            ),
        ] = None,
        lq: Annotated[
            list[Path] | None,
            typer.Option(
                "--lq", rich_help_panel=PICTURES, help="A folder of degraded pictures. May be repeated."
            ),
        ] = None,
        gt: Annotated[
            list[Path] | None,
            typer.Option(
                "--gt",
                rich_help_panel=PICTURES,
                help="The same ones clean, paired by file name without extension; one for each --lq.",
            ),
        ] = None,
        task: Annotated[
            list[str] | None,
            typer.Option(
                "--task",
                rich_help_panel=PICTURES,
                help="The damage: one for all --lq, or one for each; with --speed the one to time.",
            ),
        ] = None,
        limit: Annotated[
            int,
            typer.Option("--limit", min=0, rich_help_panel=PICTURES, help="Pictures a set at most; 0: all."),
        ] = 0,
        crop: Annotated[
            int | None,
            typer.Option(
                "--crop",
                min=0,
                rich_help_panel=PICTURES,
                help="Pixels left out at every edge. Default: as published numbers for the set do.",
            ),
        ] = None,
        metrics: Annotated[
            str,
            typer.Option(
                "--metrics",
                rich_help_panel=PICTURES,
                help="auto: PSNR, SSIM, and those of lpips, niqe, fid whose weights are there; or names.",
            ),
        ] = "auto",
        weights: Annotated[
            list[str] | None,
            typer.Option(
                "--weights",
                rich_help_panel=COMPARED,
                help="A family in the registry (each task's own weights), an entry, or a file. May be repeated.",
            ),
        ] = None,
        speed: Annotated[
            bool,
            typer.Option(
                "--speed",
                rich_help_panel=SPEED,
                help="Measure time and memory instead: start, sizes, threads, precisions, stages, and the authors'"
                " network beside.",
            ),
        ] = False,
        sizes: Annotated[
            str,
            typer.Option("--sizes", rich_help_panel=SPEED, help="Megapixels with commas between, up to 500."),
        ] = SIZES,
        threads: Annotated[
            str,
            typer.Option("--threads", rich_help_panel=SPEED, help="Of the processor, with commas between."),
        ] = THREADS,
        device: Annotated[
            list[str] | None,
            typer.Option(
                "--device", rich_help_panel=COMPARED, help="auto, cpu, cuda, cuda:N, mps. May be repeated."
            ),
        ] = None,
        precision: Annotated[
            list[str] | None,
            typer.Option(
                "--precision", rich_help_panel=COMPARED, help="auto, fp32, bf16, fp16. May be repeated."
            ),
        ] = None,
        steps: Annotated[
            list[int] | None,
            typer.Option(
                "--steps",
                min=0,
                max=1000,
                rich_help_panel=COMPARED,
                help="Evaluations of stage 1; 0: the weights' own number. May be repeated.",
            ),
        ] = None,
        stages: Annotated[
            list[int] | None,
            typer.Option(
                "--stages",
                min=1,
                max=3,
                rich_help_panel=COMPARED,
                help="How many of the three stages to run. May be repeated.",
            ),
        ] = None,
        outputs: Annotated[
            list[str] | None,
            typer.Option(
                "--outputs",
                rich_help_panel=COMPARED,
                help="DIR or NAME=DIR: pictures that another program made, by the inputs' names, in DIR or DIR/SET."
                " May be repeated.",
            ),
        ] = None,
        reference: Annotated[
            bool,
            typer.Option(
                "--reference",
                rich_help_panel=COMPARED,
                help="Published numbers beside, with their source, where the test files are the same.",
            ),
        ] = False,
        no_weights: Annotated[
            bool, typer.Option("--no-weights", rich_help_panel=COMPARED, help="Only score --outputs.")
        ] = False,
        tile: Tile = "auto",
        overlap: Overlap = None,
        batch: Batch = None,
        seed: Seed = 0,
        cluster: Cluster = None,
        actors: Actors = None,
        offline: Offline = False,
        json: Annotated[
            Path | None, typer.Option("--json", rich_help_panel=OUTPUT, help="Results, with every picture's.")
        ] = None,
        csv: Annotated[
            Path | None, typer.Option("--csv", rich_help_panel=OUTPUT, help="A row a picture and candidate.")
        ] = None,
        report: Annotated[
            Path | None,
            typer.Option("--report", rich_help_panel=OUTPUT, help="One HTML file: tables, plots, pictures."),
        ] = None,
        save: Annotated[
            Path | None,
            typer.Option("--save", rich_help_panel=OUTPUT, help="Folder for all restored pictures, as PNG."),
        ] = None,
        resume: Annotated[
            bool,
            typer.Option(
                "--resume", rich_help_panel=OUTPUT, help="Go on with the run that --json's journal holds."
            ),
        ] = False,
        quiet: Annotated[
            bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Only faults and the table.")
        ] = False,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        if speed:
            if dataset or lq or gt or outputs or csv or report or save or resume:
                raise UsageError(
                    "--speed goes without pictures and reports", hint="--sizes, --threads, --json"
                )
            SpeedAsked(
                sizes,
                threads,
                weights or [],
                task or [],
                device or ["auto"],
                precision or [],
                offline,
                json,
                quiet,
            ).carry_out()
            return
        asked = Asked(
            datasets=names_in(dataset or []), data_root=data_root, lq=lq or [], gt=gt or [],
            tasks=[task_name(one) for one in task or []],
            limit=limit, crop=crop, metrics=metrics, weights=weights or [], devices=device or ["auto"],
            precisions=precision or ["auto"], steps=steps or [0], stages=stages or [0],
            outputs=outputs or [], reference=reference,
            no_weights=no_weights, tile=read_tile(tile), overlap=overlap, batch=batch, seed=seed,
            cluster=cluster, actors=actors, offline=offline, json=json, csv=csv, report=report, save=save,
            resume=resume, quiet=quiet,
        )  # fmt: skip
        asked.check()
        asked.carry_out()
