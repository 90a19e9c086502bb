"""`cyclerdm restore` and `cyclerdm enhance`: the same work under the two names that people look for."""

from __future__ import annotations

import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyclerdm_cli.commands.completion import (
    COLOUR_SPACES,
    DEPTHS,
    DEVICES,
    FORMATS,
    MASKS_FROM,
    PRECISIONS,
    complete_task,
    one_of,
)
from cyclerdm_cli.commands.inputs import STANDARD_INPUT, files_in, identities, read_pipes
from cyclerdm_cli.commands.machine_options import (
    MACHINE,
    Actors,
    Batch,
    Cluster,
    Memory,
    Offline,
    Overlap,
    Seed,
    Tile,
    check_cluster,
    read_memory,
    read_strength,
    read_tile,
)
from cyclerdm_cli.commands.reporting import (
    INTERRUPTED,
    faults_in_one_line,
    libraries_silent,
    put_bytes,
    put_line,
    put_record,
    warnings_to,
    words,
)
from cyclerdm_cli.commands.stopping import CLUSTER_GRACE, GRACE, stopping_on_signals
from cyclerdm_cli.commands.task_words import task_names
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.escapes import shown_name, to_json
from cyclerdm_cli.pictures.formats import format_named
from cyclerdm_cli.pictures.listing import Input, list_inputs, lists_in, said_of
from cyclerdm_cli.pictures.naming import Job, plan_outputs
from cyclerdm_cli.pictures.spooling import Spool
from cyclerdm_cli.tasks.catalogue import TASKS, Command, Task, find_task, new_task

if TYPE_CHECKING:
    from cyclerdm_cli.pictures.picture import Picture
    from cyclerdm_cli.restoring.batch import FileOptions, Watch
    from cyclerdm_cli.restoring.choosing import Choice
    from cyclerdm_cli.restoring.device import Engine
    from cyclerdm_cli.restoring.outcome import Outcome
    from cyclerdm_cli.restoring.planning import RestoreOptions
    from cyclerdm_cli.restoring.restorers import Kit

MOST_FAILURES = 20
"""Named once more at the end of a batch."""
AUTO = "auto"
"""The task that stands for looking at each picture; also the word for `{task}` then."""
WORK, PICTURES, OUTPUT = "What to do", "Results", "What to say"


def add_to(app: typer.Typer, command: Command) -> None:
    """Add `restore` or `enhance` to the program."""
    tasks = [task for task in TASKS if task.command == command]
    example = {"restore": "old.jpg --task denoise", "enhance": "night.jpg --task low-light"}[command]
    summary = {"restore": "Undo damage", "enhance": "Give back light and colour"}[command]
    listing = "\n\n".join(f"[bold]{task.name}[/]: {task.summary}" for task in tasks)
    help_text = f"{summary}.\n\n{listing}\n\nExample: [bold]cyclerdm {command} {example}[/]"

    @app.command(command, help=help_text)
    @faults_in_one_line
    def run(
        inputs: Annotated[
            list[str], typer.Argument(help="Files, folders, quoted globs, @list.txt, or - for a pipe.")
        ],
        output: Annotated[
            str | None,
            typer.Option(
                "-o",
                "--output",
                rich_help_panel=PICTURES,
                help="A file, a folder, a template such as out/{stem}_{task}{ext}, or - for a pipe."
                " Default: {stem}_{task}{ext} beside the input.",
            ),
        ] = None,
        task: Annotated[
            str | None,
            typer.Option(
                "--task",
                rich_help_panel=WORK,
                autocompletion=complete_task,
                help="The damage; a+b undoes one after the other; auto, the default, looks at each picture and says"
                " what it saw.",
            ),
        ] = None,
        prompt: Annotated[
            str | None,
            typer.Option(
                "--prompt",
                rich_help_panel=WORK,
                help="Instead of --task, in your own words, in English: 'remove the rain and brighten it'.",
            ),
        ] = None,
        clip: Annotated[
            str | None,
            typer.Option(
                "--clip",
                rich_help_panel=MACHINE,
                help="MODEL:FILE, an open_clip model to read --prompt with, instead of the package's own.",
            ),
        ] = None,
        recursive: Annotated[
            bool, typer.Option("-r", "--recursive", help="Look into folders inside folders.")
        ] = False,
        mask: Annotated[
            Path | None,
            typer.Option(
                "--mask",
                rich_help_panel=WORK,
                help="For inpaint: white is filled in. A folder holds masks by the inputs' names."
                " Without it: what is transparent, or else pure white.",
            ),
        ] = None,
        mask_from: Annotated[
            str,
            typer.Option(
                "--mask-from",
                rich_help_panel=WORK,
                autocompletion=one_of(MASKS_FROM),
                help="What says where a mask is white: luma, alpha (opaque is filled in), or auto: alpha where"
                " the colours are all one.",
            ),
        ] = "auto",
        strength: Annotated[
            str,
            typer.Option(
                "--strength",
                rich_help_panel=WORK,
                help="Blend: 0 input, 1 result; or task by task, derain=0.6,dehaze=1.",
            ),
        ] = "1",
        steps: Annotated[
            int,
            typer.Option(
                "--steps",
                min=0,
                max=1000,
                rich_help_panel=WORK,
                help="Evaluations of stage 1, at most what the weights were trained for; 0: their own number.",
            ),
        ] = 0,
        stages: Annotated[
            int,
            typer.Option(
                "--stages",
                min=0,
                max=3,
                rich_help_panel=WORK,
                help="Stop after stage 1, 2 or 3; 0: run all that the weights were found to profit from.",
            ),
        ] = 0,
        seed: Seed = 0,
        weights: Annotated[
            str | None,
            typer.Option(
                "--weights",
                rich_help_panel=MACHINE,
                help="A family in the registry (each task's own weights), one of its entries, or a file.",
            ),
        ] = None,
        device: Annotated[
            str,
            typer.Option(
                "--device",
                rich_help_panel=MACHINE,
                autocompletion=one_of(DEVICES),
                help="auto, cpu, cuda, cuda:N or mps.",
            ),
        ] = "auto",
        precision: Annotated[
            str,
            typer.Option(
                "--precision",
                rich_help_panel=MACHINE,
                autocompletion=one_of(PRECISIONS),
                help="auto, fp32, bf16 or fp16.",
            ),
        ] = "auto",
        tile: Tile = "auto",
        overlap: Overlap = None,
        batch: Batch = None,
        memory: Memory = None,
        jobs: Annotated[
            int,
            typer.Option(
                "--jobs", min=1, rich_help_panel=MACHINE, help="Pictures decoded and encoded at once."
            ),
        ] = 2,
        cluster: Cluster = None,
        actors: Actors = None,
        offline: Offline = False,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", rich_help_panel=PICTURES, help="Replace results.")
        ] = False,
        skip_existing: Annotated[
            bool,
            typer.Option("--skip-existing", rich_help_panel=PICTURES, help="Leave results that are there."),
        ] = False,
        format: Annotated[
            str,
            typer.Option(
                "--format",
                rich_help_panel=PICTURES,
                autocompletion=one_of(FORMATS),
                help="keep, png, jpg, webp, avif, tiff, bmp or heic.",
            ),
        ] = "keep",
        quality: Annotated[
            int | None,
            typer.Option(
                "--quality",
                rich_help_panel=PICTURES,
                help="1 to 100; default: a JPEG's own or 90, whichever is more.",
            ),
        ] = None,
        depth: Annotated[
            str,
            typer.Option(
                "--depth",
                rich_help_panel=PICTURES,
                autocompletion=one_of(DEPTHS),
                help="keep, 8 or 16 bits a channel.",
            ),
        ] = "keep",
        background: Annotated[
            str,
            typer.Option(
                "--background",
                rich_help_panel=PICTURES,
                help="What is transparent is laid on it in formats without: a name or #rrggbb.",
            ),
        ] = "white",
        colour_space: Annotated[
            str,
            typer.Option(
                "--colour-space",
                rich_help_panel=PICTURES,
                autocompletion=one_of(COLOUR_SPACES),
                help="RAW files are developed into it: srgb, p3, adobe-rgb or prophoto (extra raw).",
            ),
        ] = "srgb",
        strip_metadata: Annotated[
            bool,
            typer.Option("--strip-metadata", rich_help_panel=PICTURES, help="Leave EXIF, XMP and ICC out."),
        ] = False,
        compare: Annotated[
            bool, typer.Option("--compare", rich_help_panel=PICTURES, help="Also write before | after.")
        ] = False,
        frame: Annotated[
            int, typer.Option("--frame", min=0, help="Of an animated file, counted from 0.")
        ] = 0,
        limit_pixels: Annotated[
            int, typer.Option("--limit-pixels", min=1, help="Refuse larger pictures.")
        ] = 500_000_000,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
        json: Annotated[
            bool, typer.Option("--json", rich_help_panel=OUTPUT, help="One JSON object a line.")
        ] = False,
        quiet: Annotated[
            bool,
            typer.Option(
                "-q",
                "--quiet",
                rich_help_panel=OUTPUT,
                help="Only faults; the results' paths only into a pipe or a file.",
            ),
        ] = False,
        verbose: Annotated[
            bool, typer.Option("-v", "--verbose", rich_help_panel=OUTPUT, help="Say more.")
        ] = False,
    ) -> None:
        if overwrite and skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if quiet and verbose:
            raise UsageError("--quiet and --verbose exclude each other")
        check_cluster(cluster, actors)
        if clip is not None and prompt is None:
            raise UsageError("--clip goes with --prompt")
        if prompt is not None and task is not None:
            raise UsageError("--task and --prompt exclude each other")
        meant: dict[str, float] = {}
        if prompt is not None:
            asked, meant = _understood(prompt, clip, quiet)
        else:
            asked = _tasks(task, weights)
        if mask is not None and not any(one.masked for one in asked):
            raise UsageError("--mask goes with --task inpaint")
        if mask_from not in MASKS_FROM:
            raise UsageError(f"--mask-from {mask_from}: is none of {', '.join(MASKS_FROM)}")
        if colour_space not in COLOUR_SPACES:
            raise UsageError(f"--colour-space {colour_space}: is none of {', '.join(COLOUR_SPACES)}")
        passed_over: Counter[str] = Counter()
        entries = list_inputs(inputs, recursive, passed_over)
        others = _read_beside(inputs, entries, mask, weights, clip)
        named = "+".join(one.name for one in asked) or AUTO
        plan: Collection[Job] = plan_outputs(
            entries, output, named, format=format_named(format), compare=compare, others=others
        )
        streamed = any(job.output is None for job in plan)
        if json and streamed:
            raise UsageError("--json and the picture would both go to standard output", hint="-o FILE")
        if streamed and not dry_run and (sys.stdout is None or sys.stdout.isatty()):
            state = "closed" if sys.stdout is None else "a terminal, and no place for a picture"
            raise UsageError(f"standard output is {state}", hint="-o FILE")
        if any(job.input.path is None for job in plan) and (sys.stdin is None or sys.stdin.isatty()):
            state = "closed" if sys.stdin is None else "a terminal"
            raise UsageError(f"standard input is {state}", hint=f"cat FILE | cyclerdm {command} - ...")
        piped = read_pipes(plan, mask, limit_pixels)
        named_files = (job.input.path for job in plan if job.input.path is not None)
        read = identities((*named_files, *others)) if overwrite else frozenset()
        if cluster is not None:
            plan = Spool(plan)
        limit = read_memory(memory)
        blend, strengths = read_strength(strength, [one.name for one in asked])
        strengths = {**meant, **strengths}
        run = _Run(
            asked, plan, weights, device, precision, cluster, actors, offline, json, quiet, verbose, strengths,
            passed_over,
        )  # fmt: skip

        from cyclerdm_cli.pictures.writing import WriteOptions
        from cyclerdm_cli.restoring.batch import FileOptions
        from cyclerdm_cli.restoring.planning import RestoreOptions

        wanted_depth: str | int = int(depth) if depth in ("8", "16") else depth
        files = FileOptions(
            write=WriteOptions("keep", quality, wanted_depth, strip_metadata, background),
            mask=mask, mask_from=mask_from, overwrite=overwrite, skip_existing=skip_existing, compare=compare,
            colour_space=colour_space, frame=frame, limit_pixels=limit_pixels, jobs=jobs, piped=piped, inputs=read,
        )  # fmt: skip
        options = RestoreOptions(read_tile(tile), overlap, batch, steps, blend, seed, limit, stages)
        if dry_run:
            run.describe(files, options)
        else:
            run.carry_out(files, options)


def _read_beside(
    arguments: list[str], entries: list[Input], mask: Path | None, weights: str | None, clip: str | None
) -> list[Path]:
    """Return the files that a run reads beside the pictures it was given by name."""
    named = [Path(word) for word in (weights, clip and clip.partition(":")[2]) if word]
    piped = [STANDARD_INPUT] if any(entry.path is None for entry in entries) else []
    return [*lists_in(arguments), *files_in(mask), *named, *piped]


def _tasks(wanted: str | None, weights: str | None) -> list[Task]:
    """Return the tasks that words ask for; none stand for looking at each picture."""
    names = [AUTO] if wanted is None else task_names(wanted)
    if [name.casefold() for name in names] == [AUTO]:
        return []
    return [_task(name, weights) for name in names]


def _understood(prompt: str, clip: str | None, quiet: bool) -> tuple[list[Task], dict[str, float]]:
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


def _task(name: str, weights: str | None) -> Task:
    """Return a task of the catalogue, or one that the weights asked for learned from pairs."""
    try:
        return find_task(name)
    except UsageError:
        if weights is None or name in [task.name for task in TASKS]:
            raise
        from cyclerdm_cli.weights.registry import tasks_of

        if name in tasks_of(weights):
            return new_task(name)
        raise


@dataclass
class _Account:
    """What became of the pictures so far."""

    counts: dict[str, int] = field(default_factory=lambda: {"ok": 0, "skipped": 0, "failed": 0})
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    """The first of them, in words."""

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.counts[outcome.status] += 1
        self.seconds += outcome.seconds
        if outcome.status == "failed" and len(self.failures) < MOST_FAILURES:
            self.failures.append(outcome.error)

    @property
    def told(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def tally(self) -> str:
        """All in one line."""
        return ", ".join(
            f"{self.counts[status]} {word}"
            for status, word in (("ok", "done"), ("skipped", "skipped"), ("failed", "failed"))
        )


@dataclass(frozen=True)
class _Run:
    """One call of the command, once its words are understood."""

    tasks: list[Task]
    """Empty: chosen for each picture."""
    plan: Collection[Job]
    weights: str | None
    device: str
    precision: str
    cluster: str | None
    actors: int | None
    offline: bool
    json: bool
    quiet: bool
    verbose: bool
    strengths: Mapping[str, float]
    """Of single tasks, in place of that of all."""
    passed_over: Mapping[str, int]
    """How many of what kinds a search came upon that are no pictures read here."""

    @libraries_silent()
    def describe(self, files: FileOptions, options: RestoreOptions) -> None:
        """Say what would be done; nothing is written."""
        from cyclerdm_cli.restoring.batch import Work, foresee
        from cyclerdm_cli.restoring.outcome import Outcome
        from cyclerdm_cli.restoring.restorers import Restorers

        kit = self._kit(options)
        if not self.quiet:
            self._say_what_with(kit)
        # Without the weights it is not known how a picture is cut; with auto it is not known anyway.
        here = all(choice.is_here for choice in kit.weights.values())
        known = here or not (self.tasks or options.memory)
        outcomes = (
            foresee(Work(Restorers(kit, self._names), self.tasks, files), self.plan)
            if known
            else (Outcome(job, "planned") for job in self.plan)
        )
        for outcome in outcomes:
            if self.json:
                put_record(outcome.record(self._task, self._title(kit), str(kit.engine.device)))
                continue
            target = "-" if outcome.job.output is None else str(outcome.job.output)
            tiles = f"{outcome.tiles or '?'} tile{'s' if outcome.tiles != 1 else ''}"
            what = {"planned": tiles, "skipped": "skipped: exists already", "failed": outcome.error}
            put_line(f"{outcome.job.input.name} -> {target} ({what[outcome.status]})")
        if not self.quiet and (left := said_of(self.passed_over)):
            words().print(f"passed over: {left}", markup=False)

    def _say_what_with(self, kit: Kit) -> None:
        """Say task and number of pictures, and for each task its weights with their size, and what they work on."""
        pictures = f"{len(self.plan)} picture{'s' if len(self.plan) > 1 else ''}"
        lines = {task: f"weights {choice}, {kit.engine_for(task)}" for task, choice in kit.weights.items()}
        if len(set(lines.values())) == 1:
            words().print(f"task {self._task}, {next(iter(lines.values()))}, {pictures}", markup=False)
            return
        words().print(f"task {self._task}, {pictures}", markup=False)
        for task, line in lines.items():
            words().print(f"{task}: {line}", markup=False)

    @libraries_silent()
    def carry_out(self, files: FileOptions, options: RestoreOptions) -> None:
        """Do the work; ends with the exit status of the contract."""
        from cyclerdm_cli.commands.progress import Progress
        from cyclerdm_cli.restoring.batch import Watch

        account = _Account()
        with (
            Progress(words(), len(self.plan), self.quiet) as progress,
            warnings_to(progress.say),
            self._at_work(files, options) as (weights, engine, restore_files),
        ):
            if self.verbose:
                progress.say(f"weights {weights}, {engine}")

            def report(outcome: Outcome) -> None:
                account.add(outcome)
                self._tell(outcome, weights, str(engine.device), progress)

            grace = GRACE if self.cluster is None else CLUSTER_GRACE
            with stopping_on_signals(
                lambda: progress.say("ending; once more ends at once"), grace
            ) as stopped:
                watch = Watch(report, progress.expect_tiles, progress.tile_done, stopped)
                restore_files(self.plan, watch)
                interrupted = stopped() and account.told < len(self.plan)
        self._close(account, interrupted)

    def _close(self, account: _Account, interrupted: bool) -> None:
        """Sum up, and raise the exit status of the contract where it is not 0."""
        if self.json:
            put_record({"summary": {**account.counts, "seconds": round(account.seconds, 3)}})
        counts, console = account.counts, words()
        if interrupted:
            left = f"{account.tally}, {len(self.plan) - account.told} left"
            console.print(
                f"interrupted: {left}; the same command with --skip-existing goes on from here", markup=False
            )
            raise typer.Exit(INTERRUPTED)
        passed_over = said_of(self.passed_over)
        if not self.quiet and (len(self.plan) > 1 or passed_over):
            console.print(account.tally, markup=False)
            for line in account.failures if len(self.plan) > 1 else ():
                console.print(f"  failed: {shown_name(line)}", markup=False)
            if (more := counts["failed"] - len(account.failures)) > 0:
                console.print(f"  failed: {more} more", markup=False)
            if passed_over:
                console.print(f"  passed over: {passed_over}", markup=False)
        if counts["failed"]:
            raise typer.Exit(3 if counts["ok"] or counts["skipped"] else 1)

    @property
    def _task(self) -> str:
        return "+".join(task.name for task in self.tasks) or AUTO

    @contextmanager
    def _at_work(
        self, files: FileOptions, options: RestoreOptions
    ) -> Iterator[tuple[str, Engine, Callable[[Collection[Job], Watch], None]]]:
        """Give the weights' name, what they work on, and who does a plan: this process, or a cluster's workers."""
        from cyclerdm_cli.restoring.batch import Work, restore_files
        from cyclerdm_cli.restoring.restorers import Restorers

        kit = self._kit(options)
        if files.overwrite:
            own = identities(choice.path for choice in kit.weights.values())
            files = replace(files, inputs=files.inputs | own)
        if self.cluster is None:
            restorers = Restorers(kit, self._names)
            work = Work(restorers, self.tasks, files, self._chooser(kit))
            yield self._title(kit), restorers.engine, partial(restore_files, work)
            return
        from cyclerdm_cli.cluster.restoring import Wanted, crew

        wanted = Wanted(self.cluster, self.actors, self.tasks, files, self._chooser(kit))
        with crew(kit.gathered(), wanted) as workers:
            yield self._title(kit), workers.engine, workers.restore_files

    @property
    def _names(self) -> list[str]:
        return [task.name for task in self.tasks]

    def _title(self, kit: Kit) -> str:
        """Return what the weights in use are called; where the tasks are chosen later, what was asked for."""
        from cyclerdm_cli.weights.registry import title_of

        return kit.names(self._names) or title_of(self.weights)

    def _kit(self, options: RestoreOptions) -> Kit:
        """Return each task's own weights, and how to work with them; no file of the registry is opened."""
        from cyclerdm_cli.commands.downloads import bring
        from cyclerdm_cli.restoring.restorers import Kit
        from cyclerdm_cli.weights.registry import Choice as WeightsChoice
        from cyclerdm_cli.weights.registry import choose, tasks_of

        def find(choice: WeightsChoice) -> None:
            if choice.entry is not None:
                bring(choice.entry, words(), offline=self.offline, quiet=self.quiet, bar=bool(self.tasks))

        weights = {name: choose(self.weights, name) for name in self._names or tasks_of(self.weights)}
        return Kit(weights, options, self.strengths, self.device, self.precision, find)

    def _chooser(self, kit: Kit) -> Callable[[Picture], Choice] | None:
        """Return what chooses the tasks for each picture, None where they are given."""
        if self.tasks:
            return None
        from cyclerdm_cli.restoring.choosing import chooser
        from cyclerdm_cli.words.eye import load_eye

        return chooser(load_eye(), tuple(kit.weights))

    def _tell(self, outcome: Outcome, weights: str, device: str, progress: Any) -> None:
        if outcome.status == "failed":
            progress.say(f"cyclerdm: {outcome.error}", always=True)
        if outcome.unexpected is not None and os.environ.get("CYCLERDM_DEBUG") == "1":
            traceback.print_exception(outcome.unexpected)
        for note in outcome.notes:
            progress.say(f"{outcome.job.input.name}: {note}")
        if self.verbose:
            progress.say(
                f"{outcome.job.input.name}: {outcome.status}, {outcome.seconds:.2f} s, {outcome.tiles} tiles"
            )
        progress.file_done()
        if self.json:
            progress.put(to_json(outcome.record(self._task, weights, device)))
        elif outcome.status == "ok" and outcome.job.output is not None:
            if not self.quiet or sys.stdout is None or not sys.stdout.isatty():
                progress.put(str(outcome.job.output))
        elif outcome.data is not None:
            put_bytes(outcome.data)
