"""A table as text in columns, as Markdown, or as LaTeX for a paper. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable

from cyclerdm_cli.benchmark.tables import Table
from cyclerdm_cli.escapes import shown_name

SIGNED = re.compile(r"[+-]\d+(?:\.\d+)?")
LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    **{character: "\\" + character for character in "#$%&_{}"},
}  # fmt: skip
"""What LaTeX takes for its own, and how it is written instead."""


def to_text(table: Table) -> str:
    """Return a table in columns, with its notes below."""
    rows = [("", *table.columns), *((row.what, *row.cells) for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [table.title]
    for row in rows:
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "".join(f"{line}\n" for line in [*lines, *(f"  {note}" for note in table.notes)])


def to_markdown(table: Table) -> str:
    """Return a table in Markdown as GitHub and pandoc read it: the title in bold, the notes as a list below."""
    rows = [("", *table.columns), *((row.what, *row.cells) for row in table.rows)]
    lines = ["| " + " | ".join(map(_in_markdown, row)) + " |" for row in rows]
    lines.insert(1, "|:---|" + "---:|" * len(table.columns))
    notes = [f"- {_in_markdown(note)}" for note in table.notes]
    return "\n".join([f"**{_in_markdown(table.title)}**", "", *lines, "", *notes, ""])


def to_latex(table: Table) -> str:
    """Return a `table` of LaTeX with title and notes as its caption; it needs the package booktabs."""
    rows = [" & ".join([_in_latex(row.what), *map(_numbers_in_latex, row.cells)]) for row in table.rows]
    head = " & ".join(["", *map(_in_latex, table.columns)])
    caption = " ".join(f"{_in_latex(text)}." for text in (table.title, *table.notes))
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"    \toprule",
        rf"   {head} \\",
        r"    \midrule",
        *(rf"    {row} \\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "".join(f"{line}\n" for line in lines)


FORMATS: dict[str, Callable[[Table], str]] = {"text": to_text, "markdown": to_markdown, "latex": to_latex}
"""By the name that `--table` takes."""


def _in_markdown(text: str) -> str:
    return re.sub(r"([\\`*_<>|~#])", r"\\\1", shown_name(text)).replace("](", r"]\(")


def _in_latex(text: str) -> str:
    written = "".join(LATEX.get(character, character) for character in shown_name(text))
    # At the beginning of a row these two would belong to the end of the one before.
    return f"{{{written[0]}}}{written[1:]}" if written.startswith(("[", "*")) else written


def _numbers_in_latex(cell: str) -> str:
    """Return a cell with its signed numbers as mathematics, where a minus is one and no hyphen."""
    return SIGNED.sub(lambda found: f"${found[0]}$", _in_latex(cell))
