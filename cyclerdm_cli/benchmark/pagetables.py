"""Tables of a page: each can be sorted and filtered there, and is a list of cards where the page is narrow."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cyclerdm_cli.benchmark.scoring import SMALLER_IS_BETTER

LONG = 24
"""Characters above which a field may be cut off on a page."""


@dataclass(frozen=True)
class Cell:
    """One field."""

    text: str
    value: float | None = None
    """What it is sorted by; None: the text."""
    link: str = ""
    """The name of a place on the page that is surely there; nothing: no link."""


@dataclass(frozen=True)
class Line:
    """One row; its first cell says what it is about."""

    cells: tuple[Cell, ...]
    kind: str = ""
    """For the page's style."""


def html_table(columns: Sequence[str], lines: Sequence[Line], sorted_by: int | None = None) -> str:
    """Return a table.

    Args:
        sorted_by: the column whose order the lines are in already.
    """
    head = "".join(
        f'<th scope="col"{_sorted(place == sorted_by)}>{escape(word)}</th>'
        for place, word in enumerate(columns)
    )
    rows = "".join(
        f'<tr class="{line.kind}">'
        + "".join(_cell(cell, column) for cell, column in zip(line.cells, columns, strict=True))
        + "</tr>"
        for line in lines
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def badness(metric: str, change: float | None) -> float:
    """Return a number that is smallest for the worst change of a metric; what was not measured comes last."""
    if change is None or math.isnan(change):
        return math.inf
    return -change if metric in SMALLER_IS_BETTER else change


def leading_number(text: str) -> float | None:
    """Return the number that a text begins with, such as that of `+1.23 [+0.98, +1.51]`."""
    found = re.match(r"[-+]?\d+(?:\.\d+)?", text)
    return float(found[0]) if found else math.inf if text == "inf" else None


def _sorted(here: bool) -> str:
    return ' aria-sort="other"' if here else ""


def _cell(cell: Cell, column: str) -> str:
    text = escape(cell.text)
    if cell.link:
        text = f'<a href="#{cell.link}">{text}</a>'
    value = "" if cell.value is None or math.isnan(cell.value) else f' data-value="{cell.value:g}"'
    # What is too long for its column is shown where the pointer rests.
    title = f' title="{text}"' if len(cell.text) > LONG and not cell.link else ""
    empty = "" if cell.text else ' class="empty"'
    return f'<td data-label="{escape(column)}"{title}{value}{empty}>{text}</td>'
