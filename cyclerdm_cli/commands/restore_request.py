"""What can be asked of `restore` and `enhance`: their options, and what these mean to whoever restores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyclerdm_cli.commands.completion import (
    COLOUR_SPACES,
    COMPARISONS,
    DEPTHS,
    DEVICES,
    EFFORTS,
    FORMATS,
    MASKS_FROM,
    PRECISIONS,
    PROGRESS,
    complete_task,
    one_of,
)
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
)
from cyclerdm_cli.commands.options import Alone, check_fields
from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.restoring.mirroring import mirrors_of

if TYPE_CHECKING:
    from cyclerdm_cli.pictures.atomic import Identity
    from cyclerdm_cli.restoring.one_file import FileOptions

WORK, PICTURES, OUTPUT = "What to do", "Results", "What to say"


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """One call of `restore` or `enhance`, as it was typed. The fields' order is that of the options in the help."""

    inputs: Annotated[tuple[str, ...], typer.Argument()]
    """Files, folders, quoted globs, @list.txt, https:// and s3:// (extra remote), or - for a pipe."""
    output: Annotated[str | None, typer.Option("-o", rich_help_panel=PICTURES)] = None
    """A file, a folder, a template such as out/{stem}_{task}{ext}, or - for a pipe. Default: {stem}_{task}{ext}
    beside the input."""
    task: Annotated[str | None, typer.Option(rich_help_panel=WORK, autocompletion=complete_task)] = None
    """The damage; a+b undoes one after the other; auto, the default, looks at each picture and says what it saw."""
    prompt: Annotated[str | None, typer.Option(rich_help_panel=WORK)] = None
    """Instead of --task, in your own words, in English: 'remove the rain and brighten it'."""
    clip: Annotated[str | None, typer.Option(rich_help_panel=MACHINE)] = None
    """MODEL:FILE, an open_clip model to read --prompt with, instead of the package's own."""
    recursive: Annotated[bool, typer.Option("-r", "--recursive")] = False
    """Look into folders inside folders."""
    include: tuple[str, ...] = ()
    """Of what is found in folders take only what matches: '*.tif', 'june/*'. May be repeated."""
    exclude: tuple[str, ...] = ()
    """Leave out what matches, files or folders: 'raw', '*_old.*'. May be repeated. So does a
    .cyclerdmignore."""
    mask: Annotated[Path | None, typer.Option(rich_help_panel=WORK)] = None
    """For inpaint: white is filled in. A folder holds masks by the inputs' names. Without it: what is transparent,
    or else pure white."""
    mask_from: Annotated[str, typer.Option(rich_help_panel=WORK, autocompletion=one_of(MASKS_FROM))] = "auto"
    """What says where a mask is white: luma, alpha (opaque is filled in), or auto: alpha where the colours are all
    one."""
    preset: Annotated[str | None, typer.Option(rich_help_panel=WORK)] = None
    """A table of options in a cyclerdm.toml of yours, or beside the pictures; none: no such file is read."""
    strength: Annotated[str, typer.Option(rich_help_panel=WORK)] = "1"
    """Blend: 0 input, 1 result; or task by task, derain=0.6,dehaze=1."""
    detail: Annotated[float, typer.Option(min=0, max=1, rich_help_panel=WORK)] = 0.0
    """For denoise and dejpeg: bring back fine detail that went with the noise; 0 none, 1 all that stands out."""
    steps: Annotated[int, typer.Option(min=0, max=1000, rich_help_panel=WORK)] = 0
    """Evaluations of stage 1, at most what the weights were trained for; 0: their own number."""
    stages: Annotated[int, typer.Option(min=0, max=3, rich_help_panel=WORK)] = 0
    """Stop after stage 1, 2 or 3; 0: run all that the weights were found to profit from."""
    effort: Annotated[str, typer.Option(rich_help_panel=WORK, autocompletion=one_of(EFFORTS))] = "normal"
    """normal, or best: averages the results of the picture and its mirror images, in four times the time."""
    sequence: Annotated[bool, typer.Option("--sequence", rich_help_panel=WORK)] = False
    """The pictures of a folder are frames of a film, or a burst: one decision of auto for all, and light and colour
    that do not flicker."""
    seed: Seed = 0
    weights: Annotated[str | None, typer.Option(rich_help_panel=MACHINE)] = None
    """A family in the registry (each task's own weights), one of its entries, or a file."""
    device: Annotated[str, typer.Option(rich_help_panel=MACHINE, autocompletion=one_of(DEVICES))] = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Annotated[str, typer.Option(rich_help_panel=MACHINE, autocompletion=one_of(PRECISIONS))] = (
        "auto"
    )
    """auto, the fastest here; fp32, bf16, fp16, or int8 on processors."""
    tile: Tile = "auto"
    overlap: Overlap = None
    batch: Batch = None
    memory: Memory = None
    jobs: Annotated[int, typer.Option(min=1, rich_help_panel=MACHINE)] = 2
    """Pictures decoded and encoded at once."""
    cluster: Cluster = None
    actors: Actors = None
    offline: Offline = False
    overwrite: Annotated[bool, typer.Option(rich_help_panel=PICTURES)] = False
    """Replace results."""
    skip_existing: Annotated[bool, typer.Option(rich_help_panel=PICTURES)] = False
    """Leave results that are there."""
    format: Annotated[str, typer.Option(rich_help_panel=PICTURES, autocompletion=one_of(FORMATS))] = "keep"
    """keep, png, jpg, webp, avif, tiff, bmp or heic."""
    quality: Annotated[int | None, typer.Option(rich_help_panel=PICTURES)] = None
    """1 to 100; default: a JPEG's own or 90, whichever is more."""
    depth: Annotated[str, typer.Option(rich_help_panel=PICTURES, autocompletion=one_of(DEPTHS))] = "keep"
    """keep, 8 or 16 bits a channel."""
    background: Annotated[str, typer.Option(rich_help_panel=PICTURES)] = "white"
    """What is transparent is laid on it in formats without: a name or #rrggbb."""
    colour_space: Annotated[
        str, typer.Option(rich_help_panel=PICTURES, autocompletion=one_of(COLOUR_SPACES))
    ] = "srgb"
    """RAW files are developed into it: srgb, p3, adobe-rgb or prophoto (extra raw)."""
    strip_metadata: Annotated[bool, typer.Option(rich_help_panel=PICTURES)] = False
    """Leave EXIF, XMP and ICC out."""
    compare: Annotated[
        str | None,
        typer.Option(metavar="[KIND]", rich_help_panel=PICTURES, autocompletion=one_of(COMPARISONS)),
        Alone(COMPARISONS[0], COMPARISONS),
    ] = None
    """Also write a picture of before and after: side, beside each other (also without a KIND); split or diagonal,
    one picture in two halves; detail, what changed most at 1:1; animated, a WebP file that shows them in turn."""
    frame: Annotated[int, typer.Option(min=0)] = 0
    """Of an animated file, counted from 0."""
    limit_pixels: Annotated[int, typer.Option(min=1)] = 500_000_000
    """Refuse larger pictures."""
    watch: bool = False
    """Restore what is in a folder and has no result yet, then each picture that arrives, until Ctrl-C."""
    dry_run: bool = False
    """Say what would be done."""
    json: Annotated[bool, typer.Option(rich_help_panel=OUTPUT)] = False
    """One JSON object a line."""
    summary_json: Annotated[Path | None, typer.Option(rich_help_panel=OUTPUT)] = None
    """A file for the summary, which is then not the last line of --json; replaced where it is there."""
    progress: Annotated[str, typer.Option(rich_help_panel=OUTPUT, autocompletion=one_of(PROGRESS))] = "auto"
    """auto, a bar on a terminal; json, one JSON object a line on standard error; or none."""
    quiet: Annotated[bool, typer.Option("-q", rich_help_panel=OUTPUT)] = False
    """Only faults; the results' paths only into a pipe or a file."""
    verbose: Annotated[bool, typer.Option("-v", rich_help_panel=OUTPUT)] = False
    """Say more."""

    def __post_init__(self) -> None:
        """Check kinds and ranges. Raises UsageError."""
        check_fields(self)

    def check(self) -> None:
        """See that the options fit together, before anything is looked at. Raises UsageError, ClusterError."""
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose exclude each other")
        if self.watch:
            self._check_watch()
        if self.progress not in PROGRESS:
            raise UsageError(f"--progress {self.progress}: is none of {', '.join(PROGRESS)}")
        mirrors_of(self.effort)
        if self.sequence and self.cluster is not None:
            raise UsageError("--sequence and --cluster exclude each other: frames depend on their neighbours")
        check_cluster(self.cluster, self.actors)
        if self.clip is not None and self.prompt is None:
            raise UsageError("--clip goes with --prompt")
        if self.prompt is not None and self.task is not None:
            raise UsageError("--task and --prompt exclude each other")

    def _check_watch(self) -> None:
        """See that a folder can be watched, whatever lies in it. Raises UsageError."""
        for name in ("overwrite", "dry_run", "cluster", "sequence"):
            if getattr(self, name):
                raise UsageError(f"--watch and --{name.replace('_', '-')} exclude each other")
        if self.output is None or self.output == "-":
            given = "" if self.output is None else "-o -: "
            raise UsageError(
                f"{given}--watch needs a place for many results", hint="-o FOLDER/ or a template"
            )
        for name in self.inputs:
            if not os.path.isdir(name):
                what = "is no folder" if os.path.lexists(name) else "there is no such folder"
                raise UsageError(
                    f"{name}: {what}, and --watch needs one", hint="restore FOLDER -o OUT/ --watch"
                )

    def file_options(
        self, piped: Mapping[Path | None, bytes | PictureError], inputs: frozenset[Identity]
    ) -> FileOptions:
        """Return how files are read and written. Raises UsageError for what no writer can do.

        Args:
            piped: what came through pipes, by their names.
            inputs: all files that the run reads, where results may take the places of others.
        """
        from cyclerdm_cli.pictures.write_options import WriteOptions
        from cyclerdm_cli.restoring.one_file import FileOptions

        depth: str | int = int(self.depth) if self.depth in ("8", "16") else self.depth
        return FileOptions(
            write=WriteOptions("keep", self.quality, depth, self.strip_metadata, self.background),
            mask=self.mask, mask_from=self.mask_from, overwrite=self.overwrite, inputs=inputs,
            skip_existing=self.skip_existing or self.watch, compare=self.compare, colour_space=self.colour_space,
            frame=self.frame, limit_pixels=self.limit_pixels, jobs=self.jobs, piped=piped,
        )  # fmt: skip
