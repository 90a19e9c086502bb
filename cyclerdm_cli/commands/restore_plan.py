"""From what was asked of `restore` to what will be done: the tasks, and which file becomes which. Free of torch."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclerdm_cli.commands.completion import COLOUR_SPACES, MASKS_FROM
from cyclerdm_cli.commands.inputs import STANDARD_INPUT, read_pipes
from cyclerdm_cli.commands.machine_options import read_memory, read_strength, read_tile
from cyclerdm_cli.commands.reporting import words
from cyclerdm_cli.commands.restore_request import RestoreRequest
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.addresses import is_address
from cyclerdm_cli.pictures.arrivals import Arrivals, Watched
from cyclerdm_cli.pictures.atomic import Identity, identities, identity
from cyclerdm_cli.pictures.formats import format_named
from cyclerdm_cli.pictures.listing import Input, as_frames, files_in, list_inputs
from cyclerdm_cli.pictures.lists import lists_in
from cyclerdm_cli.pictures.naming import Job, is_folder, plan_outputs
from cyclerdm_cli.pictures.result_names import ResultNames
from cyclerdm_cli.pictures.selecting import Selection
from cyclerdm_cli.pictures.spooling import Spool
from cyclerdm_cli.restoring.asked import AUTO, check_detail, names_of, tasks_asked
from cyclerdm_cli.tasks.catalogue import Task, find_task
from cyclerdm_cli.weights.places import OFFLINE, is_offline

if TYPE_CHECKING:
    from cyclerdm_cli.restoring.one_file import FileOptions
    from cyclerdm_cli.restoring.planning import RestoreOptions

HERE = ("file://", "memory://")
"""How addresses begin to which no connection leads."""


@dataclass(frozen=True)
class Plan:
    """What one call does, once its words are understood and its inputs are found."""

    tasks: list[Task]
    """Empty: chosen for each picture."""
    jobs: Collection[Job]
    """None of them is known yet where folders are watched."""
    passed_over: Mapping[str, int]
    """How many of what kinds a search came upon that are no pictures read here."""
    files: FileOptions
    options: RestoreOptions
    strengths: Mapping[str, float]
    """Of single tasks, in place of that of all."""
    arrivals: Arrivals | None = None
    """What comes into folders that are watched."""

    @property
    def names(self) -> list[str]:
        """The tasks' names."""
        return [task.name for task in self.tasks]

    @property
    def task(self) -> str:
        """The tasks in one word."""
        return names_of(self.tasks)


def make_plan(request: RestoreRequest, command: str, settings: Sequence[Path] = ()) -> Plan:
    """Return what a call does. Pipes are read, no other picture is opened.

    Args:
        request: what was asked for.
        command: restore or enhance.
        settings: the files that the options were read from.

    Raises:
        UsageError: what was asked for cannot be done, or not with these inputs and outputs.
    """
    tasks, meant = _find_tasks(request)
    _check_picture_options(request, tasks)
    _refuse_connections(request, (*request.inputs, request.output))
    passed_over: Counter[str] = Counter()
    jobs: Collection[Job] = []
    arrivals, read = None, frozenset[Identity]()
    if request.watch:
        arrivals = _arrivals(request, names_of(tasks))
        _check_summary(request, jobs, settings)
    else:
        jobs, others = _find_jobs(request, names_of(tasks), passed_over, settings)
        _check_streams(request, jobs, command)
        _check_summary(request, jobs, others)
        _refuse_connections(request, (place for job in jobs for place in (job.input.path, job.output)))
        named = (job.input.path for job in jobs if job.input.path is not None)
        read = identities((*named, *others)) if request.overwrite else read
    piped = read_pipes(jobs, request.mask, request.limit_pixels)
    if request.cluster is not None:
        jobs = Spool(jobs)
    memory = read_memory(request.memory)
    strength, strengths = read_strength(request.strength, [task.name for task in tasks])

    from cyclerdm_cli.restoring.planning import RestoreOptions

    files = request.file_options(piped, read)
    options = RestoreOptions(
        read_tile(request.tile), request.overlap, request.batch, request.steps, strength, request.seed, memory,
        request.stages, request.effort, request.detail, request.sequence,
    )  # fmt: skip
    return Plan(tasks, jobs, passed_over, files, options, {**meant, **strengths}, arrivals)


def _find_jobs(
    request: RestoreRequest, task: str, passed_over: Counter[str], settings: Sequence[Path]
) -> tuple[list[Job], list[Path]]:
    """Return what is done to the pictures that are there, and the files that are read beside them."""
    selection = Selection(request.include, request.exclude)
    entries = list_inputs(request.inputs, request.recursive, passed_over, selection)
    if request.sequence:
        entries = as_frames(entries)
    others = [*_files_beside(request, entries), *selection.read, *settings]
    jobs = plan_outputs(
        entries, request.output, task,
        format=format_named(request.format), compare=request.compare, others=others,
    )  # fmt: skip
    return jobs, others


def _arrivals(request: RestoreRequest, task: str) -> Arrivals:
    """Return what comes into folders. Raises UsageError where there cannot be a place for every result."""
    folders = list({os.path.realpath(name): Path(name) for name in request.inputs}.values())
    output = (request.output or "").removeprefix("file://")
    if is_folder(output):
        output = os.path.join(output, "")  # a folder, even while it is not there
    format = format_named(request.format)
    results = ResultNames(output, task, format, folders, request.recursive)

    def plan(entry: Input) -> Job:
        (job,) = plan_outputs([entry], output, task, format=format, compare=request.compare)
        return job

    plan(Input(folders[0] / "picture.png", folders[0], found=True))
    watched = Watched(folders, request.recursive, request.include, request.exclude, results)
    return Arrivals(watched, plan)


def _check_picture_options(request: RestoreRequest, tasks: list[Task]) -> None:
    """Raise UsageError for words about masks and colours that mean nothing here."""
    if request.mask is not None and not any(task.masked for task in tasks):
        raise UsageError("--mask goes with --task inpaint")
    check_detail("--detail", request.detail, tasks)
    if request.mask_from not in MASKS_FROM:
        raise UsageError(f"--mask-from {request.mask_from}: is none of {', '.join(MASKS_FROM)}")
    if request.colour_space not in COLOUR_SPACES:
        raise UsageError(f"--colour-space {request.colour_space}: is none of {', '.join(COLOUR_SPACES)}")


def _refuse_connections(request: RestoreRequest, places: Iterable[Path | str | None]) -> None:
    """Raise UsageError over addresses where no connection may be opened."""
    if not (request.offline or is_offline()):
        return
    word = "--offline" if request.offline else OFFLINE
    for place in places:
        if place is not None and is_address(place) and not str(place).startswith(HERE):
            raise UsageError(f"{place}: {word} forbids to open a connection")


def _check_streams(request: RestoreRequest, jobs: Collection[Job], command: str) -> None:
    """Raise UsageError where a picture would go to, or come from, a terminal or a closed stream."""
    streamed = any(job.output is None for job in jobs)
    if request.json and streamed:
        raise UsageError("--json and the picture would both go to standard output", hint="-o FILE")
    if streamed and not request.dry_run and (sys.stdout is None or sys.stdout.isatty()):
        state = "closed" if sys.stdout is None else "a terminal, and no place for a picture"
        raise UsageError(f"standard output is {state}", hint="-o FILE")
    if any(job.input.path is None for job in jobs) and (sys.stdin is None or sys.stdin.isatty()):
        state = "closed" if sys.stdin is None else "a terminal"
        raise UsageError(f"standard input is {state}", hint=f"cat FILE | cyclerdm {command} - ...")


def _check_summary(request: RestoreRequest, jobs: Collection[Job], others: Sequence[Path]) -> None:
    """Raise UsageError where the summary would take the place of a file that is read, or of a result."""
    place = request.summary_json
    if place is None:
        return
    if place.is_dir():
        raise UsageError(f"--summary-json {place}: is a folder")
    there = identity(place)
    read = (job.input.path for job in jobs if job.input.path is not None)
    if there is not None and there in identities((*read, *others)):
        raise UsageError(f"--summary-json {place}: is an input", hint="inputs are never overwritten")
    made = os.path.abspath(place)
    if any(
        made == os.path.abspath(one) for job in jobs for one in (job.output, job.compare) if one is not None
    ):
        raise UsageError(f"--summary-json {place}: a result goes there")


def _files_beside(request: RestoreRequest, entries: list[Input]) -> list[Path]:
    """Return the files that a run reads beside the pictures it was given by name."""
    clip_file = request.clip and request.clip.partition(":")[2]
    named = [Path(word) for word in (request.weights, clip_file) if word]
    piped = [STANDARD_INPUT] if any(entry.path is None for entry in entries) else []
    return [*lists_in(request.inputs), *files_in(request.mask), *named, *piped]


def _find_tasks(request: RestoreRequest) -> tuple[list[Task], dict[str, float]]:
    """Return the tasks that were asked for, and how strongly single ones; no tasks: look at each picture."""
    if request.prompt is not None:
        return _read_prompt(request.prompt, request.clip, request.quiet)
    return tasks_asked(AUTO if request.task is None else request.task, request.weights), {}


def _read_prompt(prompt: str, clip: str | None, quiet: bool) -> tuple[list[Task], dict[str, float]]:
    """Return the tasks that a sentence asks for, of either command, and how strongly.

    Raises UsageError where it asks for none.
    """
    from cyclerdm_cli.words.understanding import Reader, understand

    reader: Reader
    if clip is not None:
        from cyclerdm_cli.recognising.ordinary import ordinary_reader

        reader = ordinary_reader(clip)
    else:
        from cyclerdm_cli.words.clip import load_clip, packaged

        reader = load_clip(packaged())
    wishes = understand(prompt, reader)
    if not quiet:
        said = [
            wish.task if wish.strength == 1 else f"{wish.task} at strength {wish.strength:g}"
            for wish in wishes
        ]
        words().print(f"understood: {', '.join(said)}", markup=False)
    return [find_task(wish.task) for wish in wishes], {wish.task: wish.strength for wish in wishes}
