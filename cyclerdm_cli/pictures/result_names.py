"""Which files may be results of a run or of one before it, by the output's name: they are no inputs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.addresses import is_address
from cyclerdm_cli.pictures.formats import BY_NAME
from cyclerdm_cli.pictures.naming import is_folder, template_parts

ANY_FOLDER, ANY_NAME, ANY_EXTENSION = "(?:.*/)?", "[^/]+", r"\.[^/.]+"
UP = "/../"
ORDINARY = "an-ordinary-name.cyclerdm"
"""A file that no template should take for one of its results."""


class ResultNames:
    """The names that results have, as far as they could lie in folders that are watched."""

    def __init__(self, output: str, task: str, format: str, folders: Sequence[Path], recursive: bool) -> None:
        """See that results and inputs can be told apart.

        Args:
            output: as after `-o`: a folder or a template.
            task: the word for `{task}`.
            format: as after `--format`.
            folders: those that are watched.
            recursive: whether those inside them are, too.

        Raises:
            UsageError: results would be inputs; or the output is one file, or numbers its results.
        """
        self._folder = ""
        """All that is below it are results; nothing: there is no such folder."""
        self._names: re.Pattern[str] | None = None
        if is_address(output):
            return
        roots = [os.path.realpath(folder) for folder in folders]
        if is_folder(output):
            self._set_folder(output, roots, recursive)
        else:
            self._set_template(output, task, format, roots, recursive)

    def hold(self, folder: str) -> bool:
        """Tell whether all that is in a folder are results."""
        return bool(self._folder) and _is_within(os.path.realpath(folder), self._folder)

    def has(self, folder: str, name: str) -> bool:
        """Tell whether a file may be a result; its folder is given without links."""
        if self._names is None:
            return False
        return self._names.fullmatch(os.path.join(folder, name).replace(os.sep, "/")) is not None

    def _set_folder(self, output: str, roots: Sequence[str], recursive: bool) -> None:
        place = os.path.realpath(output)
        for root in roots:
            if place == root:
                raise UsageError(f"-o {output}: is the folder that is watched", hint="another, or one in it")
            if recursive and _is_within(root, place):
                raise UsageError(
                    f"-o {output}: holds the folder that is watched, where results could be taken for inputs",
                    hint="a folder beside it, or in it",
                )
        if any(_is_within(place, root) for root in roots):
            self._folder = place

    def _set_template(
        self, output: str, task: str, format: str, roots: Sequence[str], recursive: bool
    ) -> None:
        if "{" not in output and "}" not in output:
            raise UsageError(
                f"-o {output}: is one file, and --watch may find many", hint="a folder or a template"
            )
        parts = template_parts(output + "{stem}{ext}" if output.endswith("/") else output)
        if any(field == "index" for _, field in parts):
            raise UsageError(
                f"-o {output}: --watch does not number results", hint="after a restart it would begin again"
            )
        first, field = parts[0]
        if first or field != "dir":
            fixed, slash, rest = first.rpartition("/")
            place = os.path.realpath(fixed + slash or ".")
            if any(place != root and _is_within(place, root) for root in roots):
                self._folder = place
                return
            parts = [(os.path.join(place, "").replace(os.sep, "/") + rest, field), *parts[1:]]
        pattern = _pattern(output, parts, task, format)
        self._names = re.compile(
            pattern, re.DOTALL | (re.IGNORECASE if sys.platform in ("darwin", "win32") else 0)
        )
        for root in roots:
            below = [root, os.path.join(root, "folder")] if recursive else [root]
            if any(self.has(folder, ORDINARY) for folder in below):
                raise UsageError(
                    f"-o {output}: any picture that is watched could be one of its results",
                    hint="a folder of their own, or {stem}_{task}{ext}",
                )


def _pattern(output: str, parts: Sequence[tuple[str, str | None]], task: str, format: str) -> str:
    """Return a regular expression for the whole paths that a template gives, side-by-side pictures too."""
    extension = ANY_EXTENSION
    if format != "keep":
        extension = re.escape(BY_NAME[format].extensions[0])
    known = {"dir": ".*", "stem": ANY_NAME, "ext": extension, "task": re.escape(task), None: ""}
    pattern, after_folder = "", False
    for text, field in parts:
        if after_folder and text.startswith("/"):
            while text.startswith(UP):
                text = text[len(UP) - 1 :]
            pattern, text = pattern[: -len(known["dir"])] + ANY_FOLDER, text[1:]
        if ".." in text.split("/"):
            raise UsageError(f"-o {output}: --watch cannot tell where that leads", hint="without ..")
        pattern += re.escape(text) + known[field]
        after_folder = field == "dir"
    stem, dot, last = pattern.rpartition(r"\.")
    return f"{stem}(?:(?:_compare)?{dot}{last}|_compare{dot}webp)"


def _is_within(path: str, folder: str) -> bool:
    """Tell whether a path is a folder, or below it."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
