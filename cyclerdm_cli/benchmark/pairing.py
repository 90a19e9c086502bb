"""Which file goes with which: by patterns over their paths, and what is left over."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclerdm_cli.benchmark.datasets import Layout
from cyclerdm_cli.pictures.atomic import is_temporary
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.searching import natural_key

FIELD = re.compile(r"\{(\w+)(?::([^}]+))?\}")
PLAIN = "{id}"


@dataclass(frozen=True)
class Pair:
    """A degraded picture and what it should be; either may be missing where the layout has none."""

    name: str
    """The degraded file's path without extension, below the folder that all of them share; the clean one's where
    there is no degraded one."""
    lq: Path | None = None
    gt: Path | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class Pairing:
    """What a folder holds."""

    pairs: tuple[Pair, ...]
    unpaired: tuple[Path, ...] = ()
    """Degraded files without a reference, or with more than one."""
    unused: tuple[Path, ...] = ()
    """References without a degraded file."""


def pair_folders(lq: Path, gt: Path | None) -> Pairing:
    """Pair two folders by file name without extension; without `gt`, each picture of `lq` stands alone."""
    layout = Layout(lq=PLAIN, gt=PLAIN if gt else "")
    return _pair(layout, lq, gt or lq)


def pair_layout(folder: Path, layouts: Sequence[Layout]) -> tuple[Pairing, Layout] | None:
    """Return the pairs of the first layout by which anything is found below a folder, and that layout."""
    for layout in layouts:
        found = _pair(layout, folder, folder)
        if found.pairs:
            return found, layout
    return None


def _pair(layout: Layout, lq_root: Path, gt_root: Path) -> Pairing:
    degraded = _matching(lq_root, layout.lq) if layout.lq else {}
    clean = _matching(gt_root, layout.gt) if layout.gt else {}
    if not layout.lq:
        masks = list(_matching(gt_root, layout.mask)) if layout.mask else [None]
        if not masks:
            return Pairing(())
        return Pairing(
            tuple(
                Pair(
                    _stem(path, gt_root / _shared_folder(layout.gt)), gt=path, mask=masks[number % len(masks)]
                )
                for number, path in enumerate(clean)
            )
        )
    lq_folder = lq_root / _shared_folder(layout.lq)
    if not layout.gt:
        return Pairing(tuple(Pair(_stem(path, lq_folder), lq=path) for path in degraded))
    shared = sorted(set(_fields(layout.lq)) & set(_fields(layout.gt)))
    partners: dict[tuple[str, ...], list[Path]] = {}
    for path, values in clean.items():
        partners.setdefault(tuple(values[name] for name in shared), []).append(path)
    names = Counter(_stem(path, lq_folder) for path in degraded)
    pairs, unpaired, used = [], [], set()
    for path, values in degraded.items():
        matches = partners.get(tuple(values[name] for name in shared), [])
        used.update(matches)
        if len(matches) == 1 and names[_stem(path, lq_folder)] == 1:
            pairs.append(Pair(_stem(path, lq_folder), path, matches[0]))
        else:
            unpaired.append(path)
    return Pairing(tuple(pairs), tuple(unpaired), tuple(path for path in clean if path not in used))


def _fields(pattern: str) -> list[str]:
    return [found.group(1) for found in FIELD.finditer(pattern)]


def _matching(root: Path, pattern: str) -> dict[Path, dict[str, str]]:
    """Return the pictures below a folder whose path fits a pattern, with the fields' values, as people count."""
    expression = _expression(pattern)
    fixed = _shared_folder(pattern)
    deep = "/" in pattern[len(fixed) + 1 if fixed else 0 :]
    found = {}
    for path in _pictures(root / fixed, deep):
        match = expression.fullmatch(_stem(path, root))
        if match:
            found[path] = match.groupdict()
    return dict(sorted(found.items(), key=lambda item: natural_key(_stem(item[0], root))))


def _shared_folder(pattern: str) -> str:
    """Return the part of a pattern, without fields, in which all its files lie."""
    return pattern.partition("{")[0].rpartition("/")[0]


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate a pattern; a field takes as little as it can, so that `{id}_{level}` ends at the first dash."""
    parts, position = [], 0
    for field in FIELD.finditer(pattern):
        parts.append(re.escape(pattern[position : field.start()]))
        parts.append(f"(?P<{field.group(1)}>{field.group(2) or '[^/]+?'})")
        position = field.end()
    return re.compile("".join(parts) + re.escape(pattern[position:]))


def _pictures(folder: Path, deep: bool) -> list[Path]:
    if not folder.is_dir():
        return []
    entries = folder.rglob("*") if deep else folder.iterdir()
    return [
        path
        for path in entries
        if path.suffix.lower() in BY_EXTENSION
        and not path.name.startswith(".")
        and not is_temporary(path.name)
        and path.is_file()
    ]


def _stem(path: Path, root: Path) -> str:
    return os.path.splitext(path.relative_to(root).as_posix())[0]
