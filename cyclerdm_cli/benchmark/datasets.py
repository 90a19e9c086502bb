"""The test sets of the field, as `datasets.toml` tells them: how each lies on disk and how it is measured."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.weights.address import is_allowed

FILE = Path(__file__).with_name("datasets.toml")
Measured = Literal["rgb", "y", "y8", "none"]

CONVENTIONS: dict[Measured, str] = {
    "rgb": "RGB, 8 bits, peak 255",
    "y": "Y of BT.601 (16 to 235), not rounded, peak 255",
    "y8": "Y of BT.601 (16 to 235) rounded to 8 bits as MATLAB does, peak 255",
    "none": "no reference pictures; noise is estimated after Immerkaer 1996 (standard deviation in levels of 255),"
    " sharpness is the variance of the Laplacian: both describe, they do not judge",
}
"""In words; the numbers themselves are in `metrics.py`."""


@dataclass(frozen=True)
class Layout:
    """One way in which a set lies in its folder: paths without extension, fields in braces.

    Where `lq` is empty the degraded picture is made from `gt`; where `gt` is empty there is no reference.
    """

    lq: str = ""
    gt: str = ""
    mask: str = ""

    @property
    def folders(self) -> list[str]:
        """The folders that hold the pictures, below the set's own, fields still in braces."""
        patterns = [pattern for pattern in (self.lq, self.gt, self.mask) if pattern]
        return list(dict.fromkeys(pattern.rpartition("/")[0] for pattern in patterns))


@dataclass(frozen=True)
class Archive:
    """A zip file to be had at a direct address."""

    url: str
    inside: str = ""
    """The folder in it that holds the set."""
    dead: str = ""
    """Since when it is known to give the file no more; empty: as far as is known, it does."""

    @property
    def fault(self) -> str:
        """Why nothing is fetched from there; empty: nothing speaks against it."""
        if self.dead:
            return f"gives the file no more, since {self.dead}"
        return "" if is_allowed(self.url) else "is not https: not fetched here, but by hand"


@dataclass(frozen=True)
class Published:
    """A number that another method's authors give for the same files."""

    method: str
    psnr: float
    """In dB, on what the set is measured on."""
    source: str


@dataclass(frozen=True)
class Dataset:
    """One test set."""

    name: str
    task: str
    images: int
    """In the published test; 0 where every paper chooses its own."""
    measured: Measured
    """What published numbers are measured on."""
    home: str
    licence: str
    layouts: tuple[Layout, ...]
    """The first as published."""
    crop: int = 0
    """Pixels that published numbers leave out at every edge."""
    note: str = ""
    aliases: tuple[str, ...] = ()
    noise: tuple[int, ...] = ()
    """Standard deviations, in levels of 8 bits, of the noise that is added to clean pictures."""
    input_psnr: float | None = None
    """Published PSNR of the degraded pictures themselves."""
    archive: Archive | None = None
    published: tuple[Published, ...] = ()

    @property
    def all_layouts(self) -> tuple[Layout, ...]:
        """Every layout that is understood: the set's own, and the plain one."""
        if self.noise:
            plain = Layout(gt="gt/{id}")
        elif self.measured == "none":
            plain = Layout(lq="lq/{id}")
        elif any(layout.mask for layout in self.layouts):
            plain = Layout(gt="gt/{id}", mask="mask/{id}")
        else:
            plain = Layout(lq="lq/{id}", gt="gt/{id}")
        return (*self.layouts, plain)

    @property
    def convention(self) -> str:
        """How published numbers are measured, in words."""
        words = CONVENTIONS[self.measured]
        return f"{words}, {self.crop} pixels left out at every edge" if self.crop else words


@cache
def read_datasets() -> dict[str, Dataset]:
    """Return all sets by name, in the order of the file."""
    content = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {name: _dataset(name, values) for name, values in content.items()}


def _dataset(name: str, values: dict[str, Any]) -> Dataset:
    known = {field.name for field in fields(Dataset)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"datasets.toml: [{name}] has unknown keys: {', '.join(unknown)}")
    nested: dict[str, Any] = {
        "layouts": tuple(Layout(**layout) for layout in values["layouts"]),
        "archive": Archive(**values["archive"]) if "archive" in values else None,
        "published": tuple(Published(**entry) for entry in values.get("published", ())),
        "aliases": tuple(values.get("aliases", ())),
        "noise": tuple(values.get("noise", ())),
    }
    return Dataset(name, **{**values, **nested})


@dataclass(frozen=True)
class Wanted:
    """A set as asked for: `Kodak24` with all of its noise levels, or `Kodak24-s25` with one."""

    dataset: Dataset
    noise: tuple[int, ...] = ()


def find_dataset(name: str) -> Wanted:
    """Return the set of that name, in any case of letters.

    Raises:
        UsageError: no such set; the nearest name is suggested.
    """
    sets = read_datasets()
    names = {
        known.casefold(): dataset for dataset in sets.values() for known in (dataset.name, *dataset.aliases)
    }
    for dataset in sets.values():
        for sigma in dataset.noise:
            if name.casefold() == f"{dataset.name}-s{sigma}".casefold():
                return Wanted(dataset, (sigma,))
    if found := names.get(name.casefold()):
        return Wanted(found, found.noise)
    spelled = {known.casefold(): known for known in ("builtin", *sets)}
    nearest = get_close_matches(name.casefold(), spelled, n=1, cutoff=0.5)
    hint = f"did you mean {spelled[nearest[0]]!r}?" if nearest else "cyclerdm bench datasets lists them"
    raise UsageError(f"unknown data set {name!r}", hint=hint)
