"""`cyclerdm bench auto`: how well `--task auto` sees what is wrong, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyclerdm_cli.commands.options import check_fields, takes
from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line, words
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.tasks.spelling import task_name

if TYPE_CHECKING:
    from cyclerdm_cli.benchmark.recognition import Pixels, Restore, Sight
    from cyclerdm_cli.words.eye import Eye


@dataclass(frozen=True, kw_only=True)
class AutoRequest:
    """One call of `bench auto`, as it was typed. The fields' order is that of the options in the help."""

    data: Path
    """A folder of clean photographs."""
    real: tuple[str, ...] = ()
    """TASK=DIR or clean=DIR: real pictures. May be repeated."""
    mixtures: bool = False
    """Also restore mixed damage, and measure the gain."""
    least: Annotated[float, typer.Option(min=0, max=1)] = 0.3
    """Severities are drawn from here to 1."""
    limit: Annotated[int, typer.Option(min=0)] = 0
    """Photographs at most; 0: all."""
    seed: int = 0
    """Of the damage."""
    clip: Path | None = None
    """Another file than the package's, of train --model prompts."""
    weights: str | None = None
    """For --mixtures: a family in the registry, or a file."""

    def __post_init__(self) -> None:
        """Check kinds and ranges. Raises UsageError."""
        check_fields(self)


def add_to(bench: typer.Typer) -> None:
    """Add `auto` to `bench`."""
    bench.command(
        help="Measure what --task auto sees: on clean photographs that are degraded here, with one damage and with "
        "two, and on real pictures of known damage. Tables in Markdown go to standard output.\n\n"
        "Example: [bold]cyclerdm bench auto --data photos --real derain=rain/ --mixtures[/]"
    )(auto)


@faults_in_one_line
@takes(AutoRequest)
def auto(request: AutoRequest) -> None:
    """Measure, and print the tables."""
    folders = [_named(word) for word in request.real]

    import torch

    from cyclerdm_cli.benchmark.recognition import mixture_scores, sights, singles
    from cyclerdm_cli.recognising.sightings import MIXTURES
    from cyclerdm_cli.training.photographs import pictures_in, read_photographs
    from cyclerdm_cli.words.eye import load_eye

    eye, least, seed = load_eye(request.clip), request.least, request.seed
    paths = pictures_in(request.data)[: request.limit or None]
    photographs = read_photographs(paths, 1, torch.device("cpu"), (1.0,))
    words().print(f"{len(photographs.files)} photographs, severities {least:g} to 1, seed {seed}")

    _print_confusion("one damage", list(sights(eye, photographs, singles(eye), least, seed)))
    _print_pairs(list(sights(eye, photographs, MIXTURES, least, seed)))
    if folders:
        _print_confusion(
            "real pictures", [sight for name, folder in folders for sight in _real(eye, name, folder)]
        )
    if request.mixtures:
        put_line("\n| mixture | pictures | best known way | dB | auto | share |")
        put_line(f"|{'---|' * 6}")
        for score in mixture_scores(eye, photographs, _restorer(request.weights), least, seed):
            put_line(
                f"| {' + '.join(score.names)} | {score.pictures} | {score.way} "
                f"| {score.best:+.2f} | {score.auto:+.2f} | {score.auto / score.best:.0%} |"
            )


def _named(word: str) -> tuple[str, Path]:
    name, sign, folder = word.partition("=")
    if not sign or not Path(folder).is_dir():
        raise UsageError(f"--real {word}: no such folder", hint="--real derain=DIR")
    return name if name == "clean" else find_task(task_name(name)).name, Path(folder)


def _real(eye: Eye, name: str, folder: Path) -> Iterable[Sight]:
    from cyclerdm_cli.benchmark.recognition import Sight, judged
    from cyclerdm_cli.pictures.picture import to_depth
    from cyclerdm_cli.pictures.reading import read_picture
    from cyclerdm_cli.training.photographs import pictures_in

    for path in pictures_in(folder):
        yield Sight((name,), judged(eye, to_depth(read_picture(path).pixels, 8)))


def _restorer(weights: str | None) -> Restore:
    from cyclerdm_cli.commands.downloads import find_weights
    from cyclerdm_cli.restoring.restorers import Kit, Restorers
    from cyclerdm_cli.weights.choosing import tasks_of

    choices = {
        task: find_weights(weights, task, words(), offline=False, quiet=True) for task in tasks_of(weights)
    }
    restorers = Restorers(Kit(choices))

    def restore(pixels: Pixels, name: str) -> Pixels:
        return restorers.for_task(name).restore(pixels)

    return restore


def _print_confusion(title: str, seen: list[Sight]) -> None:
    from cyclerdm_cli.benchmark.recognition import confusion, order_of

    table = confusion(seen)
    answers = order_of(answer for row in table.values() for answer in row)
    put_line(f"\n| {title} | {' | '.join(answers)} | right |\n|{'---|' * (len(answers) + 2)}")
    for truth, row in table.items():
        counts = " | ".join(str(row[answer] or "") for answer in answers)
        put_line(f"| {truth} | {counts} | {row[truth] / row.total():.0%} |")
    right = sum(sight.right for sight in seen)
    put_line(f"\n{right} of {len(seen)} right: {right / len(seen):.1%}")
    damaged = [sight for sight in seen if sight.truth != ("clean",)]
    if damaged:
        named = sum(sight.all_named for sight in damaged)
        share = f"{named / len(damaged):.1%}"
        put_line(f"{named} of {len(damaged)} with their damage among what would be undone: {share}")


def _print_pairs(seen: list[Sight]) -> None:
    put_line("\n| two damages | pictures | both named | one named |\n|---|---|---|---|")
    for truth in dict.fromkeys(sight.truth for sight in seen):
        own = [sight for sight in seen if sight.truth == truth]
        both = sum(sight.all_named for sight in own)
        one = sum(bool(set(sight.found.tasks) & set(truth)) for sight in own) - both
        put_line(f"| {' + '.join(truth)} | {len(own)} | {both / len(own):.0%} | {one / len(own):.0%} |")
    both = sum(sight.all_named for sight in seen)
    put_line(f"\n{both} of {len(seen)} with both named: {both / len(seen):.1%}")
