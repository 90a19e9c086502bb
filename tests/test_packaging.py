"""What an index and a type checker find in the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["metadata"][
    "hooks"
]


def test_an_index_shows_the_readme_without_pictures_and_links_that_lead_nowhere_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for change in HOOK["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert links
    assert all(link.startswith("https://") for link in links)
    assert "![" not in text
    assert "docs/python.md" in text, "the words of links stay"


def test_type_checkers_read_the_annotations() -> None:
    assert (ROOT / "cyclerdm_cli" / "py.typed").is_file()
