"""`cyclerdm weights`: which there are, and bringing, checking, importing and removing them. Free of torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line, put_record, words
from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.tasks.spelling import task_name

if TYPE_CHECKING:
    from cyclerdm_cli.weights.entry import Entry
    from cyclerdm_cli.weights.registry import Registry

Names = Annotated[list[str], typer.Argument(help="Tasks, families, names of entries, or all.")]
Lineage = Annotated[bool, typer.Option("-v", "--verbose", help="Also say which runs led to them.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only faults.")]

weights = typer.Typer(
    no_args_is_help=True,
    help="List, fetch, check, import and remove weights. Those of the package are always there. A family such "
    "as compact has one file of weights a task, compact-TASK, or one for all the others, compact.\n\n"
    "Example: [bold]cyclerdm weights list[/]",
)


def add_to(app: typer.Typer) -> None:
    """Add `weights` and its commands to the program."""
    app.add_typer(weights, name="weights")


@weights.command("list")
@faults_in_one_line
def list_weights(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with all there is.")] = False,
) -> None:
    """List all weights task by task: which are the default, whether they are here, size, licence.

    Example: [bold]cyclerdm weights list --json[/]
    """
    from cyclerdm_cli.weights.registry import read_registry

    registry = read_registry()
    if json:
        for entry in registry.entries.values():
            put_record(_record(entry, registry))
        return
    rows = _rows(registry)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        put_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    _say_how_by_hand(list(registry.entries.values()))


@weights.command("pull")
@faults_in_one_line
def pull(
    names: Names,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never open a connection.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fetch weights: by task, by name, or all. What is here is only checked.

    Example: [bold]cyclerdm weights pull derain --dry-run[/]
    """
    from cyclerdm_cli.commands.downloads import bring
    from cyclerdm_cli.weights.registry import by_hand, place_of, read_registry

    entries = _entries(read_registry(), names)
    faults = []
    for entry in entries:
        if entry.manual:
            if entry.name in names:
                faults.append(f"{entry.name}: {by_hand(entry)}")
            continue
        if dry_run:
            source = "-" if _state(entry) != "no" else " ".join(entry.addresses) or "no address"
            put_line(f"{entry.name}\t{_state(entry)}\t{entry.bytes}\t{source}\t{place_of(entry)}")
            continue
        try:
            bring(entry, words(), offline=offline, quiet=quiet)
        except WeightsError as fault:  # the others may be had
            faults.append(str(fault))
        else:
            put_line(str(place_of(entry)))
    if faults:
        raise WeightsError("; ".join(faults))


@weights.command("verify")
@faults_in_one_line
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Tasks or names; default: all.")] = None,
    verbose: Lineage = False,
) -> None:
    """Read what is here whole, and compare it with the registry.

    Example: [bold]cyclerdm weights verify[/]
    """
    from cyclerdm_cli.weights.ensuring import fault_of
    from cyclerdm_cli.weights.registry import is_here, place_of, read_registry

    damaged = []
    for entry in _entries(read_registry(), names or ["all"]):
        if is_here(entry):
            fault = fault_of(entry, thoroughly=True) or _disagreement(entry)
            put_line(f"{entry.name}\t{fault or 'right'}\t{place_of(entry)}")
            if verbose and not fault:
                _say_lineage(entry)
            damaged += [entry.name] if fault else []
        elif names and not entry.manual:
            put_line(f"{entry.name}\tmissing\t{place_of(entry)}")
            damaged.append(entry.name)
    if damaged:
        raise WeightsError(f"damaged or missing: {', '.join(damaged)}", hint="cyclerdm weights pull NAME")


@weights.command("import")
@faults_in_one_line
def import_weights(
    file: Annotated[Path, typer.Argument(help="The checkpoint.")],
    task: Annotated[str, typer.Option("--task", help="What it was trained for.")],
    name: Annotated[str | None, typer.Option("--name", help="Default: paper-TASK.")] = None,
    licence: Annotated[str, typer.Option("--licence", help="Of the checkpoint.")] = "none given",
    training_data: Annotated[str, typer.Option("--training-data", help="In words.")] = "unknown",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace weights of that name.")] = False,
    quiet: Quiet = False,
) -> None:
    """Turn a checkpoint of the authors (.pth, .pth.tar) into weights. Pickles that would run code are refused.

    Example: [bold]cyclerdm weights import derain.pth.tar --task derain[/], then [bold]cyclerdm restore rain.jpg --task derain --weights paper-derain[/]
    """  # noqa: E501  (the help shows its lines as they are)
    from cyclerdm_cli.tasks.catalogue import find_task
    from cyclerdm_cli.weights.importing import import_weights

    task = find_task(task_name(task)).name
    entry, path = import_weights(
        file, name or f"paper-{task}", task, licence, training_data, overwrite=overwrite
    )
    if not quiet:
        words().print(
            f"imported as {entry.name}, {entry.bytes / 2**20:.1f} MiB, licence: {entry.licence}; "
            f"use it with --weights {entry.name}",
            markup=False,
        )
    put_line(str(path))


@weights.command("path")
@faults_in_one_line
def path(
    names: Annotated[list[str] | None, typer.Argument(help="Names, or tasks.")] = None,
    verbose: Lineage = False,
) -> None:
    """Print the folder of weights, or where the named ones lie or would lie.

    Example: [bold]cyclerdm weights path compact[/]
    """
    from cyclerdm_cli.weights.places import weights_folder
    from cyclerdm_cli.weights.registry import place_of, read_registry

    if not names:
        put_line(str(weights_folder()))
        return
    for entry in _entries(read_registry(), names):
        if not entry.manual:
            put_line(str(place_of(entry)))
            if verbose:
                _say_lineage(entry)


@weights.command("rm")
@faults_in_one_line
def remove(names: Names, quiet: Quiet = False) -> None:
    """Remove fetched and imported weights: by task, by name, or all.

    Example: [bold]cyclerdm weights rm paper-derain[/]
    """
    from cyclerdm_cli.weights.keeping import remove as remove_weights
    from cyclerdm_cli.weights.registry import read_registry

    registry = read_registry()
    for name in names:
        if name in registry.names() and all(one.in_package for one in _entries(registry, [name])):
            raise UsageError(f"{name} comes with the package and stays")
    gone = [str(path) for entry in _entries(registry, names) for path in remove_weights(entry)]
    for line in gone:
        put_line(line)
    if not gone and not quiet:
        words().print("nothing of that is here to remove", markup=False)


@weights.command("entry")
@faults_in_one_line
def entry(
    file: Annotated[Path, typer.Argument(help="Weights, such as train writes.")],
    address: Annotated[
        list[str] | None,
        typer.Option("--address", help="Where the file will be; {mirror} is replaced. May be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Default: the file's name.")] = None,
    source: Annotated[str, typer.Option("--source", help="Who made them, or a page about them.")] = "",
) -> None:
    """Print the registry entry of a file of weights, for publishing it.

    Example: [bold]cyclerdm weights entry runs/first/weights.safetensors --name mine[/]
    """
    from cyclerdm_cli.weights.publishing import as_toml, describe

    made = describe(file, name or file.stem, source=source, addresses=tuple(address or ()))
    put_line(as_toml(made).rstrip())


def _state(entry: Entry) -> str:
    from cyclerdm_cli.weights.registry import is_here

    if entry.manual:
        return "by hand"
    if entry.in_package:
        return "package"
    return "yes" if is_here(entry) else "no"


def _rows(registry: Registry) -> list[tuple[str, ...]]:
    """Return the table of all entries by task, with its heading."""
    from cyclerdm_cli.tasks.catalogue import TASKS

    default = registry.family(registry.default)
    learned = [task for entry in registry.entries.values() for task in entry.tasks]
    rows: list[tuple[str, ...]] = [("TASK", "NAME", "DEFAULT", "HERE", "SIZE", "LICENCE")]
    for task in dict.fromkeys([*(task.name for task in TASKS), *learned]):
        for entry in registry.knowing(task):
            size = f"{entry.bytes / 2**20:.1f} MiB" if entry.bytes else "-"
            mark = "yes" if default.get(task) is entry else ""
            rows.append((task, entry.name, mark, _state(entry), size, entry.licence))
    return rows


def _record(entry: Entry, registry: Registry) -> dict[str, Any]:
    """Return all there is about an entry, and for which tasks it is the default."""
    from cyclerdm_cli.weights.registry import place_of

    tasks = [task for task, one in registry.family(registry.default).items() if one is entry]
    path = None if entry.manual else str(place_of(entry))
    extra = {"here": _state(entry), "path": path, "default": bool(tasks), "default_for": tasks}
    return {**asdict(entry), **extra, "lineage": _lineage(entry)}


def _lineage(entry: Entry) -> list[dict[str, Any]] | None:
    """Return the runs that led to an entry's file, None where it is not here to tell."""
    from cyclerdm_cli.weights.file import read_header
    from cyclerdm_cli.weights.registry import is_here, place_of

    try:
        return read_header(place_of(entry)).lineage if is_here(entry) else None
    except WeightsError:
        return None


def _say_lineage(entry: Entry) -> None:
    """Say which runs led to an entry's file, a line each."""
    for run in _lineage(entry) or ():
        begin = "from nothing" if run["parent"] is None else f"from {run['parent'][:8]}…"
        words().print(
            f"  {run['created']}: {run['recipe']}, {run['task']}, {begin}, {run['iterations']} iterations in"
            f" {run['minutes']:g} minutes, seed {run['seed']}, {run['data']}",
            markup=False,
        )


def _entries(registry: Registry, names: list[str]) -> list[Entry]:
    """Return the entries that families, entries' names, tasks or `all` stand for, each once."""
    found: dict[str, Entry] = {}
    for name in names:
        name = name if name in registry.entries else task_name(name)
        if name == "all":
            found |= registry.entries
        elif name in registry.names():
            members = [registry.entries[name]] if name in registry.entries else []
            found |= {entry.name: entry for entry in [*members, *registry.family(name).values()]}
        elif knowing := registry.knowing(name):
            found |= {entry.name: entry for entry in knowing}
        else:
            known = ", ".join(registry.names())
            raise UsageError(
                f"no weights called {name!r}, and none for a task of that name", hint=f"one of: {known}"
            )
    return list(found.values())


def _say_how_by_hand(entries: list[Entry]) -> None:
    from cyclerdm_cli.weights.registry import by_hand

    for entry in entries:
        if entry.manual:
            words().print(f"{entry.name}: {by_hand(entry)}", markup=False)


def _disagreement(entry: Entry) -> str:
    """Return what the registry and the file say differently of each other, or nothing."""
    from cyclerdm_cli.weights.file import read_header
    from cyclerdm_cli.weights.registry import place_of

    header = read_header(place_of(entry))
    for key in ("tasks", "architecture", "licence"):
        if getattr(header, key) != getattr(entry, key):
            return f"{key}: the registry says {getattr(entry, key)}, the file {getattr(header, key)}"
    config = {key: value for key, value in header.config.items() if value is not None}  # TOML has no null
    for key in sorted(set(config) | set(entry.config)) if entry.config else ():
        if config.get(key) != entry.config.get(key):
            return f"config: the registry says {key} {entry.config.get(key)}, the file {config.get(key)}"
    return ""
