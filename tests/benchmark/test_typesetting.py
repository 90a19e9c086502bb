"""Tables in three kinds, with names that each of them could take for its own signs."""

from __future__ import annotations

import re

from cyclerdm_cli.benchmark.tables import Row, Table
from cyclerdm_cli.benchmark.typesetting import to_latex, to_markdown, to_text

ODD = r"[2] 50%_a|b & {c}\d#$~^*" + "\n\udcff"
TABLE = Table(
    "rain, derain, 2 pictures",
    ("PSNR RGB*", "gain*"),
    (
        Row("input", "input", ("20.00", "")),
        Row(ODD, "candidate", ("22.00", "+2.00 [-1.50, +5.50]")),
    ),
    ("* RGB, 8 bits",),
)
END = "\\\\"
"""Of a row in LaTeX: two backslashes."""


def test_latex_has_a_cell_a_column_and_nothing_that_it_would_obey() -> None:
    lines = to_latex(TABLE).splitlines()
    rows = [line.strip() for line in lines if line.endswith(END)]
    assert len(rows) == 3
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [2, 2, 2]
    assert r"  \begin{tabular}{lrr}" in lines
    assert rows[2].endswith(r" & 22.00 & $+2.00$ [$-1.50$, $+5.50$] " + END)
    name = r"{[}2] 50\%\_a\textbar{}b \& \{c\}\textbackslash{}d\#\$\textasciitilde{}\textasciicircum{}*"
    assert rows[2].startswith(name + r"\textbackslash{}n\textbackslash{}xff &")
    assert to_latex(TABLE).isascii()
    bare = re.sub(r"\\[{}]", "", to_latex(TABLE))
    assert bare.count("{") == bare.count("}")


def test_markdown_has_as_many_cells_in_every_row() -> None:
    lines = to_markdown(TABLE).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[1] == "|:---|---:|---:|"
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [4, 4, 4, 4]
    assert table[3].startswith(r"| [2] 50%\_a\|b & {c}\\d\#$\~^\*\\n\\xff |")
    assert table[3].endswith("| 22.00 | +2.00 [-1.50, +5.50] |")
    assert lines[0] == "**rain, derain, 2 pictures**"
    assert lines[-1] == r"- \* RGB, 8 bits"


def test_text_stands_in_columns() -> None:
    plain = Table(TABLE.title, TABLE.columns, TABLE.rows[:1], TABLE.notes)
    assert to_text(plain) == (
        "rain, derain, 2 pictures\n         PSNR RGB*  gain*\n  input      20.00\n  * RGB, 8 bits\n"
    )
