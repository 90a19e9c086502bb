"""`cyclerdm man`: the manual page, made from the same commands and options that the help is made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from cyclerdm_cli import __version__
from cyclerdm_cli.commands.reporting import faults_in_one_line, put_line

STATUS = {
    "0": "All is done.",
    "1": "Nothing could be produced, or an unexpected fault.",
    "2": "Usage: the words do not fit together.",
    "3": "Some inputs failed.",
    "4": "Weights are missing, cannot be reached, or are damaged.",
    "130": "Interrupted.",
}
"""What the exit status says."""
ENVIRONMENT = {
    "CYCLERDM_HOME": "The folder of weights that were fetched, instead of the system's own for caches.",
    "CYCLERDM_OFFLINE": "If it is 1, no connection is opened.",
    "CYCLERDM_WEIGHTS": "Another registry of weights.",
    "CYCLERDM_MIRROR": "Another base address for the registry's own.",
    "CYCLERDM_DEBUG": "If it is 1, faults come with their traceback.",
    "NO_COLOR": "If it is set, nothing is said in colours.",
}
"""What of the environment counts."""
MARKUP = re.compile(r"\[(bold|/|/bold|dim|/dim)\]")
"""What the help has for the terminal's sake."""


def add_to(app: typer.Typer) -> None:
    """Add `man` to the program; it is for packagers, and not listed."""

    @app.command(
        "man",
        hidden=True,
        help="Print the manual page.\n\nExample: [bold]cyclerdm man[/], then man reads what it is given as a file",
    )
    @faults_in_one_line
    def man(context: typer.Context) -> None:
        root = context.find_root()
        put_line(manual_page(root.command))


def manual_page(program: Any) -> str:
    """Return the manual page of a program, a command with all those below it, for `man` to read."""
    name = "cyclerdm"
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {__version__}" "User Commands"',
        ".SH NAME",
        f"{name} \\- restore and enhance photographs",
        ".SH SYNOPSIS",
        f".B {name}",
        "[\\fIOPTIONS\\fP] \\fICOMMAND\\fP [\\fIARGUMENTS\\fP]",
        ".SH DESCRIPTION",
        *_paragraphs(program.help or ""),
        ".SH OPTIONS",
        *_options(program),
        ".TP",
        "\\fB\\-h\\fP, \\fB\\-\\-help\\fP",
        "Print the help, of the program or of a command, and leave.",
        ".SH COMMANDS",
    ]
    for path, command in _commands(program, name):
        lines += [f'.SS "{_plain(f"{path}{_usage(command)}")}"', *_paragraphs(command.help or "")]
        lines += _options(command)
    lines.append(".SH EXIT STATUS")
    for status, meaning in STATUS.items():
        lines += [".TP", f".B {status}", _plain(meaning)]
    lines.append(".SH ENVIRONMENT")
    for variable, meaning in ENVIRONMENT.items():
        lines += [".TP", f".B {_plain(variable)}", _plain(meaning)]
    lines += [
        ".SH FILES",
        ".TP",
        ".B cyclerdm.toml",
        "Options that need not be typed, and presets: in the configuration folder, in the working folder,",
        "and beside the pictures.",
        ".TP",
        ".B .cyclerdmignore",
        "What of a folder is left out.",
    ]
    return "\n".join(lines)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every command below one that is listed: its words, and itself."""
    for name, command in getattr(group, "commands", {}).items():
        if not command.hidden:
            yield f"{path} {name}", command
            yield from _commands(command, f"{path} {name}")


def _usage(command: Any) -> str:
    """Return what follows a command's words."""
    words = [_value(one) for one in command.params if one.param_type_name == "argument"]
    return "".join(f" {word}" for word in ("[OPTIONS]", *words, *["COMMAND"] * hasattr(command, "commands")))


def _options(command: Any) -> list[str]:
    """Return the arguments and options of a command with their help."""
    lines = []
    for parameter in command.params:
        if not getattr(parameter, "hidden", False):
            lines += [".TP", _heading(parameter), _helped(parameter)]
    return lines


def _heading(parameter: Any) -> str:
    """Return how an option or an argument is written."""
    value = _plain(_value(parameter))
    if parameter.param_type_name == "argument":
        return f"\\fI{value}\\fP"
    words = ", ".join(f"\\fB{_plain(word)}\\fP" for word in (*parameter.opts, *parameter.secondary_opts))
    return words if parameter.is_flag else f"{words} \\fI{value}\\fP"


def _value(parameter: Any) -> str:
    """Return the word that stands for a value in the help."""
    if parameter.metavar:
        return str(parameter.metavar)
    if parameter.param_type_name != "argument":
        return str(parameter.name).upper()
    word = str(parameter.name).upper() + ("..." if parameter.nargs == -1 else "")
    return word if parameter.required else f"[{word}]"


def _helped(parameter: Any) -> str:
    said = _plain(getattr(parameter, "help", None) or "")
    default = parameter.default
    if isinstance(default, (str, int, float)) and not isinstance(default, bool) and default != "":
        said += f" Default: {_plain(str(default))}."
    return said or "\\&"


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines += [".PP", _plain(" ".join(paragraph.split()))]
    return lines[1:] if lines else lines


def _plain(text: str) -> str:
    """Return a text as `man` reads it: nothing in it is a command."""
    bare = MARKUP.sub("", text).replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{bare}" if bare.startswith((".", "'")) else bare
