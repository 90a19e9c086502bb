"""The command that does what the page shows, as a shell takes it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cyclerdm_cli.escapes import UNSAFE
from cyclerdm_cli.tasks.catalogue import Task

SPECIAL = re.compile("[\n\t]|" + UNSAFE.pattern)
"""What no line can hold that is copied from a page and pasted into a terminal."""


def command_for(path: Path, tasks: Sequence[Task], options: Sequence[str] = ()) -> str:
    """Return the command that restores a file, without `--strength`.

    Args:
        path: of the picture; it is made absolute, so that the command works in any folder.
        tasks: one after the other.
        options: words that go behind, such as `--weights` and a file.
    """
    commands = {task.command for task in tasks}
    command = commands.pop() if len(commands) == 1 else "restore"
    names = "+".join(task.name for task in tasks)
    return " ".join(map(shell_word, ["cyclerdm", command, os.path.abspath(path), "--task", names, *options]))


def shell_word(word: str) -> str:
    """Return a word quoted for the shell of this system.

    Characters that have no place in a line, such as ends of lines or bytes that are no UTF-8, are written as
    escapes in `$'...'`, which bash and zsh read.
    """
    if os.name == "nt":
        return subprocess.list2cmdline([word])
    if not SPECIAL.search(word):
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if not SPECIAL.match(character):
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
