"""Defaults of one's own: options in files called cyclerdm.toml, and their tables, the presets.

Three places are looked at: beside the pictures, the working folder, the user's configuration folder. What is typed
goes before a preset, a preset before the top of a file, a nearer file before a farther one.

A file beside pictures or in the working folder may be a stranger's, who packed it with the pictures. It sets only
what the results look like (`ANYONE_MAY_SET`): nothing that names a file or an address, lets a file be replaced, or
lifts a limit.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cyclerdm_cli.commands.options import flag, make, read_values
from cyclerdm_cli.commands.reporting import words
from cyclerdm_cli.commands.restore_request import RestoreRequest
from cyclerdm_cli.errors import CycleRDMError, UsageError
from cyclerdm_cli.pictures.addresses import is_address
from cyclerdm_cli.pictures.atomic import identity
from cyclerdm_cli.weights.places import config_folder

NAME = "cyclerdm.toml"
NO_FILE = "none"
"""The preset that reads no file."""
LARGEST = 1 << 20
"""Bytes of a file of defaults."""
NEVER = ("inputs", "preset")
"""What is only ever typed."""
ANYONE_MAY_SET = (
    "task", "prompt", "mask_from", "strength", "detail", "steps", "stages", "effort", "sequence", "seed",
    "recursive", "include", "exclude", "skip_existing", "format", "quality", "depth", "background",
    "colour_space", "strip_metadata", "compare", "frame",
)  # fmt: skip
RIVALS = (
    ("task", "prompt"), ("overwrite", "skip_existing"), ("quiet", "verbose"), ("watch", "overwrite"),
    ("watch", "cluster"), ("watch", "dry_run"), ("watch", "sequence"), ("sequence", "cluster"),
)  # fmt: skip
"""Options that exclude each other: where the nearer of the two is set, a farther default gives way."""
GO_WITH = {"clip": "prompt", "actors": "cluster"}
"""Options that mean nothing without another one: as defaults they wait for it."""
QUOTES = " \t\"'"
"""What may stand around a name in TOML."""


@dataclass(frozen=True)
class Setting:
    """One option in a file."""

    value: Any
    where: str
    """File and line, for people."""


@dataclass(frozen=True)
class DefaultsFile:
    """What one file says."""

    path: Path
    own: bool
    """Whether it lies in the user's configuration folder."""
    top: Mapping[str, Setting]
    presets: Mapping[str, Mapping[str, Setting]]


@dataclass(frozen=True)
class Asked:
    """What was asked of a command, typed or by files."""

    request: RestoreRequest
    files: Sequence[DefaultsFile] = ()
    decided: Mapping[str, Setting] = field(default_factory=dict)
    """The options that files decide."""

    @property
    def read(self) -> list[Path]:
        """The files that were read."""
        return [file.path for file in self.files]

    def tell(self) -> None:
        """Say which options come from files; of the user's own file only where more is to be said."""
        if self.request.quiet:
            return
        for file in self.files:
            names = [name for name, one in self.decided.items() if one.where.startswith(f"{file.path}, ")]
            if names and (not file.own or self.request.verbose or self.request.dry_run):
                words().print(f"{file.path} sets {', '.join(map(flag, names))}", markup=False)

    @contextmanager
    def saying_where(self) -> Iterator[None]:
        """Name file and line in a fault that is about an option which a file decides."""
        try:
            yield
        except CycleRDMError as fault:
            message = str(fault.args[0])
            for name, setting in self.decided.items():
                if _is_about(message, name, setting.value):
                    fault.args = (f"{setting.where}: {message}",)
                    break
            raise


def ask(typed: Mapping[str, Any]) -> Asked:
    """Return what is asked for by what was typed, and by the files of defaults.

    Args:
        typed: values by the names of RestoreRequest's fields.

    Raises:
        UsageError: a file says what it cannot mean or must not, or no file has the preset.
    """
    preset = typed.get("preset")
    files = [] if preset == NO_FILE else find_files(typed.get("inputs") or ())
    if preset not in (None, NO_FILE, *(name for file in files for name in file.presets)):
        known = sorted({name for file in files for name in file.presets})
        looked = f"{own_defaults()} or a {NAME} in the working folder can hold [{preset}]"
        raise UsageError(
            f"--preset {preset}: no such preset", hint=f"one of: {', '.join(known)}" if known else looked
        )
    decided = combine(typed, files, preset)
    values = {name: setting.value for name, setting in decided.items()}
    return Asked(make(RestoreRequest, {**values, **typed}), files, decided)


def combine(
    typed: Mapping[str, Any], files: Sequence[DefaultsFile], preset: str | None = None
) -> dict[str, Setting]:
    """Return the options that files decide, where nothing was typed.

    Args:
        typed: values by name.
        files: the nearest first.
        preset: the table that goes before the tops of all files.
    """
    chosen = [file.presets[preset] for file in files if preset in file.presets] if preset else []
    layers = [*chosen, *(file.top for file in files)]
    decided: dict[str, Setting] = {}
    for layer in layers:
        settled = {**typed, **{name: setting.value for name, setting in decided.items()}}
        for name, setting in layer.items():
            rivals = {one for pair in RIVALS if name in pair for one in pair} - {name}
            if name not in settled and not any(settled.get(rival) for rival in rivals):
                decided[name] = setting
    for name, other in GO_WITH.items():
        if name in decided and other not in {*typed, *decided}:
            del decided[name]
    return decided


def own_defaults() -> Path:
    """Return the place of the user's own file; it need not be there."""
    return config_folder() / NAME


def find_files(inputs: Sequence[str] = ()) -> list[DefaultsFile]:
    """Return what the files of defaults say, the nearest first, each once. Raises UsageError."""
    own = own_defaults()
    found: dict[Any, DefaultsFile] = {}
    for path in (*(folder / NAME for folder in _folder_of(inputs)), Path(NAME), own):
        if path.is_file():  # no pipe, which would never end
            found.setdefault(identity(path), read_file(path, own=identity(path) == identity(own)))
    return list(found.values())


def read_file(path: Path, own: bool) -> DefaultsFile:
    """Return what a file says.

    Args:
        path: of the file.
        own: whether the user alone has written it, so that it may set every option.

    Raises:
        UsageError: it is no TOML, or names an option that there is not or that it must not set, or a wrong value.
    """
    leave = f"--preset {NO_FILE} reads no {NAME}"
    try:
        data = path.read_bytes()
        if len(data) > LARGEST:
            raise UsageError(f"{path}: is larger than {LARGEST >> 20} MiB", hint=leave)
        text = data.decode("utf-8-sig")
        content = tomllib.loads(text)
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}", hint=leave) from fault
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{path}: {fault}", hint=leave) from fault
    tables = {name: value for name, value in content.items() if isinstance(value, dict)}
    if NO_FILE in tables:
        where = _where(path, text, NO_FILE)
        raise UsageError(f"{where}: no preset can be called {NO_FILE}", hint="it stands for no file")
    top = {name: value for name, value in content.items() if name not in tables}
    return DefaultsFile(
        path, own, _settings(path, text, top, own),
        {name: _settings(path, text, table, own, name) for name, table in tables.items()},
    )  # fmt: skip


def _settings(
    path: Path, text: str, values: Mapping[str, Any], own: bool, table: str | None = None
) -> dict[str, Setting]:
    """Return the options at the top of a file, or in a table; a name may have the hyphens of its flag."""
    found: dict[str, Setting] = {}
    for key, value in values.items():
        where, name = _where(path, text, key, table), key.replace("-", "_")
        if name in found:
            raise UsageError(f"{where}: {flag(name)} is set twice")
        try:
            read = read_values(RestoreRequest, {name: value})
        except UsageError as fault:
            fault.args = (f"{where}: {fault.args[0]}",)
            raise
        if name in NEVER:
            raise UsageError(f"{where}: {name} can only be typed")
        if not own and name not in ANYONE_MAY_SET:
            raise UsageError(
                f"{where}: {flag(name)} is not taken from here",
                hint=f"type it, or set it in {own_defaults()}; --preset {NO_FILE} reads no such file",
            )
        found[name] = Setting(_at_home(read[name]), where)
    return found


def _where(path: Path, text: str, key: str, table: str | None = None) -> str:
    """Return file and line of a key, or of a table, in words."""
    here: str | None = None
    lines: dict[tuple[str | None, str], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if line.startswith("["):
            here = line[1:].partition("]")[0].strip(QUOTES)
            lines.setdefault((None, here), number)
        elif "=" in line:
            name = line.partition("=")[0].partition(".")[0].strip(QUOTES)
            lines.setdefault((here, name), number)
    line_number = lines.get((table, key)) or lines.get((None, table or key))
    return f"{path}, line {line_number}" if line_number else f"{path}, {key}"


def _at_home(value: Any) -> Any:
    """Return a value with the user's home in place of a tilde, as a shell would have put it."""
    if isinstance(value, Path):
        return value.expanduser()
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~") else value


def _folder_of(inputs: Sequence[str]) -> list[Path]:
    """Return the folder that all inputs lie in, or none where there are several, or pipes, lists and addresses."""
    if any(one in ("", "-") or one.startswith("@") or is_address(one) for one in inputs):
        return []
    folders = {os.path.realpath(one): one for one in (_folder(one) for one in inputs)}
    return [Path(one) for one in folders.values()] if len(folders) == 1 else []


def _folder(name: str) -> str:
    return name if os.path.isdir(name) else os.path.dirname(name) or "."


def _is_about(message: str, name: str, value: Any) -> bool:
    """Tell whether a fault is about an option: it has its flag, its name and a value, or its value in quotes."""
    pattern = rf"{flag(name)}\b(?!-)|\b{name.replace('_', ' ')} ['\d]"
    return re.search(pattern, message) is not None or (isinstance(value, str) and repr(value) in message)
