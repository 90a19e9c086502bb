"""`cyclerdm try`: every task that could matter, tried on one picture, on a page to look at."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyclerdm_cli.commands.completion import DEVICES, PRECISIONS, complete_task, one_of
from cyclerdm_cli.commands.inputs import refuse_inputs
from cyclerdm_cli.commands.machine_options import MACHINE, Offline
from cyclerdm_cli.commands.options import check_fields, takes
from cyclerdm_cli.commands.reporting import (
    faults_in_one_line,
    libraries_silent,
    put_bytes,
    put_line,
    warnings_to,
    words,
)
from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.atomic import identities, write_atomically
from cyclerdm_cli.tasks.catalogue import Task, find_task, new_task
from cyclerdm_cli.tasks.spelling import task_names

if TYPE_CHECKING:
    from cyclerdm_cli.restoring.workshop import Workshop
    from cyclerdm_cli.weights.entry import Entry

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, kw_only=True)
class TryRequest:
    """One call of `try`, as it was typed. The fields' order is that of the options in the help."""

    photo: Annotated[Path, typer.Argument()]
    """The picture."""
    output: Annotated[str | None, typer.Option("-o")] = None
    """The page's file, or - for a pipe. Default: {stem}_try.html beside the picture."""
    task: Annotated[str | None, typer.Option(autocompletion=complete_task)] = None
    """Try these alone, with commas between."""
    open: bool = False
    """Open the page in the browser."""
    overwrite: bool = False
    """Replace a page that is there already."""
    weights: Annotated[str | None, typer.Option(rich_help_panel=MACHINE)] = None
    """A family in the registry, or a file."""
    device: Annotated[str, typer.Option(rich_help_panel=MACHINE, autocompletion=one_of(DEVICES))] = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Annotated[str, typer.Option(rich_help_panel=MACHINE, autocompletion=one_of(PRECISIONS))] = (
        "auto"
    )
    """auto, fp32, bf16 or fp16."""
    offline: Offline = False
    limit_pixels: Annotated[int, typer.Option(min=1)] = 500_000_000
    """Refuse a larger picture."""
    quiet: Annotated[bool, typer.Option("-q")] = False
    """Only faults."""

    def __post_init__(self) -> None:
        """Check kinds and ranges. Raises UsageError."""
        check_fields(self)


def add_to(app: typer.Typer) -> None:
    """Add `try` to the program."""
    app.command(
        "try",
        help="Try every task that could matter on one picture, and make a page to look at: before and after, at "
        "any strength, the likeliest first, each with the command that does it. One HTML file, no network.\n\n"
        "Example: [bold]cyclerdm try photo.jpg --open[/]",
    )(try_picture)


@faults_in_one_line
@takes(TryRequest)
def try_picture(request: TryRequest) -> None:
    """Make the page, write it, open it if that was asked for."""
    photo, weights = request.photo, request.weights
    if str(photo) == "-":
        raise UsageError("try takes a file, whose name the commands on the page have", hint="a path")
    streamed = request.output == STANDARD_OUTPUT
    if streamed and request.open:
        raise UsageError("--open and -o - exclude each other", hint="-o FILE")
    page = Path(request.output) if request.output else photo.with_name(f"{photo.stem}_try.html")
    read = [photo, *([Path(weights)] if weights and Path(weights).is_file() else [])]
    if not streamed:
        refuse_inputs([page], read)
        if page.exists() and not request.overwrite:
            raise PictureError(f"{page}: exists already", hint="--overwrite, or another -o")
    trier = _Trier(request)
    with warnings_to(trier.say), libraries_silent():
        data = trier.page().encode()
    if streamed:
        put_bytes(data)
        return
    write_atomically(page, data, replace=request.overwrite, inputs=identities(read))
    put_line(str(page))
    if request.open and not webbrowser.open(page.absolute().as_uri()):
        words().print(f"no browser was found: open {page} by hand", markup=False)


class _Trier:
    """One call of the command, once its words are understood."""

    def __init__(self, request: TryRequest) -> None:
        """Look the tasks up. Raises UsageError where there is no such task, or the weights lack it."""
        from cyclerdm_cli.weights.choosing import tasks_of

        self.request = request
        known = tasks_of(request.weights)
        self.names = list(dict.fromkeys(task_names(request.task))) if request.task else list(known)
        for name in self.names:
            if name not in known:
                find_task(name)
                raise UsageError(f"--task {name}: these weights do not know it", hint=", ".join(known))

    def say(self, line: str) -> None:
        """Print a line for people."""
        if not self.request.quiet:
            words().print(line, markup=False)

    def page(self) -> str:
        """Try the tasks and return the page. Raises PictureError, WeightsError."""
        from cyclerdm_cli.pictures.reading import read_picture
        from cyclerdm_cli.trying.page import Tried, auto_says, build
        from cyclerdm_cli.trying.trying import Subject, rows_of_tasks, try_tasks

        picture = read_picture(self.request.photo, limit_pixels=self.request.limit_pixels)
        for note in picture.notes:
            self.say(f"{self.request.photo}: {note}")
        subject = Subject.of(picture)
        workshop = self._open_workshop()
        restorers, choice = workshop.restorers(), workshop.choose(picture)
        self.say(auto_says(choice))
        rows = rows_of_tasks(choice, self._tasks(), subject, named=self.request.task is not None)
        trials = []
        with words().status("trying", refresh_per_second=4) as status:
            for trial in try_tasks(subject, rows, choice.likely, restorers.for_task):
                trials.append(trial)
                status.update(f"tried {trial.name}, {len(trials)} of {len(rows)}")
        return build(Tried(self.request.photo, subject, choice, trials, self._options()))

    def _tasks(self) -> list[Task]:
        from cyclerdm_cli.tasks.catalogue import TASKS

        known = {task.name: task for task in TASKS}
        return [known.get(name) or new_task(name) for name in self.names]

    def _open_workshop(self) -> Workshop:
        """Return what restores with the weights of all tasks; no file of the registry is opened."""
        from cyclerdm_cli.commands.downloads import bring
        from cyclerdm_cli.restoring.restorers import Kit
        from cyclerdm_cli.restoring.workshop import Workshop
        from cyclerdm_cli.weights.choosing import choose_each

        request = self.request

        def bring_entry(entry: Entry) -> None:
            bring(entry, words(), offline=request.offline, quiet=request.quiet, bar=False)

        weights = choose_each(request.weights)
        kit = Kit(weights, device=request.device, precision=request.precision, bring=bring_entry)
        return Workshop(kit, request.weights)

    def _options(self) -> list[str]:
        """Return the words that make the command do the same as the page shows."""
        from cyclerdm_cli.weights.choosing import choose

        given = []
        if self.request.weights:
            path = choose(self.request.weights, self.names[0])
            given += [
                "--weights",
                self.request.weights if path.entry is not None else str(path.path.absolute()),
            ]
        for word, value in (("--device", self.request.device), ("--precision", self.request.precision)):
            if value != "auto":
                given += [word, value]
        return given
