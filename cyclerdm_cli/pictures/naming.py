"""Which files go in, and where each result goes; settled for the whole run before any work is done."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.addresses import is_address, normalised, placed, refuse_unwritable
from cyclerdm_cli.pictures.atomic import Identity, identity
from cyclerdm_cli.pictures.formats import BY_NAME, COMPARE_CHOICES, RAW_EXTENSIONS, TITLES, format_of_name
from cyclerdm_cli.pictures.listing import Input

FIELDS = ("dir", "stem", "ext", "task", "index")
STREAM_STEM = "stdin"


@dataclass(frozen=True, slots=True)
class Job:
    """One input and the places of what comes of it."""

    input: Input
    output: Path | None
    """None: standard output."""
    format: str
    """For `WriteOptions`: "keep", or the format that the output's name or `--format` asks for."""
    compare: Path | None = None
    """Where the picture of before and after goes, if one was asked for."""


def compare_name(output: str | os.PathLike[str], kind: str = COMPARE_CHOICES[0]) -> str:
    """Return the name of the picture of before and after: `a_denoise.png` -> `a_denoise_compare.png`.

    Args:
        kind: one of `formats.COMPARE_CHOICES`; what is animated is a WebP file.
    """
    stem, extension = os.path.splitext(os.fspath(output))
    return f"{stem}_compare{'.webp' if kind == 'animated' else extension}"


def plan_outputs(
    inputs: Sequence[Input],
    output: str | None,
    task: str,
    *,
    format: str = "keep",
    compare: str | None = None,
    others: Iterable[Path] = (),
) -> list[Job]:
    """Return what is read and what is written, in the inputs' order.

    Args:
        output: as after `-o`: None (`{stem}_{task}{ext}` beside each input), a file, folder, template or "-".
        task: the word for `{task}`.
        format: as after `--format`; anything but "keep" gives the results its extension.
        compare: also plan pictures of before and after, of that kind.
        others: files that the run reads beside the pictures, such as masks, lists and weights.

    Files that a search found, and that an earlier run of this very plan has written, are left out.

    Raises:
        UsageError: no such field or format, a single place for several results, two results of one name, or a
            result in the place of an input.
    """
    if not inputs:
        raise UsageError("no pictures to work on")
    if format != "keep" and format not in BY_NAME:
        raise UsageError(f"unknown format {format!r}", hint=f"one of: keep, {', '.join(BY_NAME)}")
    if output == "-" or (output is None and inputs[0].path is None and len(inputs) == 1):
        _single(inputs, "standard output")
        if compare:
            raise UsageError("standard output holds one picture", hint="--compare needs -o FILE or FOLDER")
        return [Job(inputs[0], None, format)]
    output = output and output.removeprefix("file://")
    if output and "{" not in output:
        output = _direct(output)
    names = list(map(_direct, _names(inputs, output, task, format)))
    beside = [placed(compare_name(name, compare)) if compare else None for name in names]
    jobs = [
        Job(entry, placed(name), _format(name, entry, format), place)
        for entry, name, place in zip(inputs, names, beside, strict=True)
    ]
    for job in jobs:
        if job.output is not None:
            refuse_unwritable(job.output)
    if output is None or "{index}" not in output:
        jobs = _without_earlier_results(jobs)
    _refuse_clashes(jobs)
    _refuse_inputs_places(jobs, others)
    return jobs


def _single(inputs: Sequence[Input], place: str) -> None:
    if len(inputs) > 1:
        raise UsageError(
            f"{len(inputs)} inputs cannot all go to {place}", hint="give a folder or a template after -o"
        )


def _names(inputs: Sequence[Input], output: str | None, task: str, format: str) -> list[str]:
    extension = "" if format == "keep" else BY_NAME[format].extensions[0]
    if output is None:
        output = "{dir}/{stem}_{task}{ext}"
    elif output == "":
        raise UsageError("the output's name is empty")
    elif is_folder(output):
        return [
            os.path.join(output, os.path.dirname(entry.relative), _file(entry, extension)) for entry in inputs
        ]
    elif output.endswith(("/", os.sep)):
        output += "{dir}/{stem}{ext}"
    elif "{" not in output and "}" not in output:
        _single(inputs, f"the file {output}")
        if format_of_name(output) is None and format == "keep":
            raise UsageError(f"{output}: no picture format has that extension", hint=TITLES)
        return [output]
    parts = template_parts(output)
    return [_filled(parts, entry, index, task, extension) for index, entry in enumerate(inputs, 1)]


def is_folder(output: str) -> bool:
    """Tell whether what stands after `-o` is a folder, there already or not."""
    if os.path.isdir(output):
        return True
    if "{" in output or os.path.isfile(output):
        return False
    return output.endswith(("/", os.sep)) or not os.path.splitext(output)[1]


def _file(entry: Input, extension: str) -> str:
    stem, own = _stem_and_extension(entry)
    return stem + (extension or own)


def _stem_and_extension(entry: Input) -> tuple[str, str]:
    # What comes through a pipe has no name, and its format is not known before it is read.
    stem, extension = (STREAM_STEM, ".png") if entry.path is None else os.path.splitext(entry.path.name)
    return stem, ".tif" if extension.lower() in RAW_EXTENSIONS else extension


def template_parts(output: str) -> list[tuple[str, str | None]]:
    """Part a template into texts, each with the field that follows it."""
    try:
        parsed = list(string.Formatter().parse(output))
    except ValueError as error:
        raise UsageError(f"{output}: {error}", hint="{{ and }} stand for braces themselves") from error
    parts = []
    for text, field, layout, conversion in parsed:
        if field is not None and (field not in FIELDS or layout or conversion):
            nearest = get_close_matches(field, FIELDS, n=1)
            hint = f"did you mean {{{nearest[0]}}}?" if nearest else f"fields: {', '.join(FIELDS)}"
            raise UsageError(
                f"{output}: unknown field {{{field}{':' + layout if layout else ''}}}", hint=hint
            )
        parts.append((text, field))
    return parts


def _filled(
    parts: Iterable[tuple[str, str | None]], entry: Input, index: int, task: str, extension: str
) -> str:
    stem, own = _stem_and_extension(entry)
    name = ""
    for text, field in parts:
        name += text
        if field == "dir":
            # In front it is the input's own folder; further on, its place below the searched one.
            here = os.path.dirname(entry.relative) if name or entry.path is None else str(entry.path.parent)
            name += here or "."
        elif field is not None:
            name += {"stem": stem, "ext": extension or own, "task": task, "index": str(index)}[field]
    return normalised(name) if name else name


def _format(name: str, entry: Input, format: str) -> str:
    """Return the format to write: `--format`, or what a changed extension asks for, or "keep"."""
    wanted = format_of_name(name)
    if wanted is None:
        if format == "keep" and os.path.splitext(name)[1] == _stem_and_extension(entry)[1]:
            return "keep"  # an odd name is read before it is judged, and fails alone
        if format == "keep":
            raise UsageError(f"{name}: no picture format has that extension", hint=TITLES)
        return format
    if format != "keep":
        if wanted.name != format:
            raise UsageError(f"{name} is the name of a {wanted.title} file, but --format says {format}")
        return format
    own = format_of_name(entry.path.name) if entry.path is not None else None
    return "keep" if own is wanted else wanted.name


def _direct(name: str) -> str:
    """Return a place without ways into folders that are not there yet and out again: `new/../a.png` is `a.png`."""
    if ".." not in name or is_address(name):
        return name
    folder, separator, file = name.rpartition(os.sep)
    return os.path.join(_direct_folder(folder + separator, os.getcwd()), file)


@lru_cache(maxsize=4096)
def _direct_folder(folder: str, working: str) -> str:
    parts: list[str] = []
    for part in Path(folder).parts:
        if (
            part == ".."
            and parts
            and parts[-1] != ".."
            and not os.path.lexists(os.path.join(working, *parts))
        ):
            parts.pop()
        else:
            parts.append(part)
    return os.path.join(*parts) if parts else ""


@lru_cache(maxsize=4096)
def _absolute(folder: str, working: str) -> str:
    """Return a folder's own name, whatever links lead to it; runs have many files in few folders."""
    return os.path.realpath(os.path.join(working, folder))


def _key(name: str | os.PathLike[str]) -> str:
    """Return one spelling for all spellings of a path, but for links in its last part."""
    name = os.fspath(name)
    if is_address(name):
        return normalised(name)
    folder, separator, file = name.rpartition(os.sep)
    whole = file in ("", ".", "..")
    path = os.path.abspath(name) if whole else f"{_absolute(folder + separator, os.getcwd())}{os.sep}{file}"
    path = os.path.normcase(path)
    return path.casefold() if sys.platform in ("darwin", "win32") else path


def _without_earlier_results(jobs: list[Job]) -> list[Job]:
    """Return the jobs less those whose input a search found where another job puts its result.

    So a folder can be gone over again, and `a_denoise_denoise.png` never comes of it.
    """
    makers: dict[str, Job] = {}
    for job in jobs:
        if job.output is not None:
            made = [str(job.output), *(compare_name(job.output, kind) for kind in ("side", "animated"))]
            makers |= dict.fromkeys((_key(place) for place in made), job)
    return [
        job
        for job in jobs
        if not job.input.found or job.input.path is None or makers.get(_key(job.input.path), job) is job
    ]


class Places:
    """Which job has which places for its results."""

    def __init__(self) -> None:
        self._takers: dict[str, Job] = {}

    def take(self, job: Job) -> None:
        """Give a job its places. Raises UsageError where another job has one of them."""
        for place in (job.output, job.compare):
            other = job if place is None else self._takers.setdefault(_key(place), job)
            if other is not job:
                raise UsageError(
                    f"{other.input.name} and {job.input.name} would both be written to {place}",
                    hint="give a template with {dir}, {ext} or {index} after -o",
                )

    def keep(self, inputs: Container[str]) -> None:
        """Forget the places of all but these inputs, which are told by their names."""
        self._takers = {key: job for key, job in self._takers.items() if job.input.name in inputs}


def _refuse_clashes(jobs: list[Job]) -> None:
    """Raise where two results would be written to one place."""
    places = Places()
    for job in jobs:
        places.take(job)


def _refuse_inputs_places(jobs: list[Job], others: Iterable[Path]) -> None:
    """Raise where a result would replace any input, under whatever name, link or case of letters."""
    existing: dict[Identity, Path] = {}
    for job in jobs:
        for place in (job.output, job.compare):
            found = identity(place) if place is not None else None
            if found is not None and place is not None:
                existing[found] = place
    if not existing:
        return
    read = (job.input.path for job in jobs if job.input.path is not None)
    for path in (*read, *others):
        found = identity(path)
        if found is not None and found in existing:
            raise UsageError(
                f"{existing[found]} is the input {path} itself", hint="inputs are never overwritten"
            )
