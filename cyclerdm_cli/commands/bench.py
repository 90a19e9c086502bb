"""`cyclerdm bench`: how good, how fast, on which pictures, and how sure that is."""

from __future__ import annotations

import typer

from cyclerdm_cli.commands import bench_auto, bench_compare, bench_datasets, bench_run, bench_speed
from cyclerdm_cli.commands.bench_request import BenchRequest
from cyclerdm_cli.commands.options import takes
from cyclerdm_cli.commands.reporting import faults_in_one_line

HELP = """Measure restorations on test sets of the field, on your own pairs, or on the built-in pictures.

PSNR and SSIM in RGB and on Y, each labelled, the input's own numbers beside; the gain with an interval of 95 %.
Without clean pictures: NIQE where its file is there, estimates of noise and sharpness, and pictures to look at.

Example: [bold]cyclerdm bench --dataset builtin --report report.html[/]

Example: [bold]cyclerdm bench --lq rain/lq --gt rain/gt --task derain --outputs PReNet=DIR --report r.html[/]

Example: [bold]cyclerdm bench --lq old --stages 1,2,3 --table latex=stages.tex --report r.html[/]

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
    bench.callback()(measure)
    bench_compare.add_to(bench)
    bench_datasets.add_to(bench)
    bench_auto.add_to(bench)


@faults_in_one_line
@takes(BenchRequest)
def measure(context: typer.Context, request: BenchRequest) -> None:
    """Measure what was asked for, unless a command below `bench` is called."""
    if context.invoked_subcommand is not None:
        return
    if request.speed:
        request.check_speed()
        bench_speed.carry_out(request)
    else:
        request.check()
        bench_run.carry_out(request)
