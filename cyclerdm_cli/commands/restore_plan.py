"""From what was asked of `restore` to what will be done: the tasks, and which file becomes which. Free of torch."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclerdm_cli.commands.completion import COLOUR_SPACES, MASKS_FROM
from cyclerdm_cli.commands.inputs import STANDARD_INPUT, read_pipes
from cyclerdm_cli.commands.machine_options import read_memory, read_strength, read_tile
from cyclerdm_cli.commands.reporting import words
from cyclerdm_cli.commands.restore_request import RestoreRequest
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.atomic import identities
from cyclerdm_cli.pictures.formats import format_named
from cyclerdm_cli.pictures.listing import Input, as_frames, files_in, list_inputs, lists_in
from cyclerdm_cli.pictures.naming import Job, plan_outputs
from cyclerdm_cli.pictures.selecting import Selection
from cyclerdm_cli.pictures.spooling import Spool
from cyclerdm_cli.restoring.asked import AUTO, check_detail, names_of, tasks_asked
from cyclerdm_cli.tasks.catalogue import Task, find_task

if TYPE_CHECKING:
    from cyclerdm_cli.restoring.batch import FileOptions
    from cyclerdm_cli.restoring.planning import RestoreOptions


@dataclass(frozen=True)
class Plan:
    """What one call does, once its words are understood and its inputs are found."""

    tasks: list[Task]
    """Empty: chosen for each picture."""
    jobs: Collection[Job]
    passed_over: Mapping[str, int]
    """How many of what kinds a search came upon that are no pictures read here."""
    files: FileOptions
    options: RestoreOptions
    strengths: Mapping[str, float]
    """Of single tasks, in place of that of all."""

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
    passed_over: Counter[str] = Counter()
    selection = Selection(request.include, request.exclude)
    entries = list_inputs(request.inputs, request.recursive, passed_over, selection)
    if request.sequence:
        entries = as_frames(entries)
    others = [*_files_beside(request, entries), *selection.read, *settings]
    jobs: Collection[Job] = plan_outputs(
        entries, request.output, names_of(tasks),
        format=format_named(request.format), compare=request.compare, others=others,
    )  # fmt: skip
    _check_streams(request, jobs, command)
    piped = read_pipes(jobs, request.mask, request.limit_pixels)
    named = (job.input.path for job in jobs if job.input.path is not None)
    read = identities((*named, *others)) if request.overwrite else frozenset()
    if request.cluster is not None:
        jobs = Spool(jobs)
    memory = read_memory(request.memory)
    strength, strengths = read_strength(request.strength, [task.name for task in tasks])

    from cyclerdm_cli.restoring.planning import RestoreOptions

    files = request.file_options(piped, read)
    options = RestoreOptions(
        read_tile(request.tile), request.overlap, request.batch, request.steps, strength, request.seed, memory,
        request.stages, request.effort, request.detail,
    )  # fmt: skip
    return Plan(tasks, jobs, passed_over, files, options, {**meant, **strengths})


def _check_picture_options(request: RestoreRequest, tasks: list[Task]) -> None:
    """Raise UsageError for words about masks and colours that mean nothing here."""
    if request.mask is not None and not any(task.masked for task in tasks):
        raise UsageError("--mask goes with --task inpaint")
    check_detail("--detail", request.detail, tasks)
    if request.mask_from not in MASKS_FROM:
        raise UsageError(f"--mask-from {request.mask_from}: is none of {', '.join(MASKS_FROM)}")
    if request.colour_space not in COLOUR_SPACES:
        raise UsageError(f"--colour-space {request.colour_space}: is none of {', '.join(COLOUR_SPACES)}")


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
