"""Pictures to measure on: degraded, clean, both of one size and 8 bits, wherever they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.benchmark.datasets import CONVENTIONS, Dataset, Measured
from cyclerdm_cli.benchmark.pairing import Pair
from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.masks import read_mask
from cyclerdm_cli.pictures.picture import to_depth
from cyclerdm_cli.pictures.reading import read_bytes, read_picture

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB, sRGB-encoded."""


@dataclass(frozen=True)
class Loaded:
    """One case in memory."""

    lq: Pixels
    gt: Pixels | None = None
    mask: NDArray[np.bool_] | None = None
    """(H, W), True where the picture is missing."""


class Case(Protocol):
    """One picture to restore."""

    @property
    def name(self) -> str:
        """What tables and the files of results call it."""
        ...

    def load(self) -> Loaded:
        """Read it, or make it. Raises PictureError naming the file that is at fault."""
        ...

    def identity(self) -> str:
        """Return a text that is the same only where the pixels are the same."""
        ...


@dataclass(frozen=True)
class TestSet:
    """Cases that are measured together."""

    __test__ = False  # no test of pytest's, for all its name

    name: str
    task: str
    cases: Sequence[Case]
    measured: Measured = "rgb"
    crop: int = 0
    note: str = ""
    complaints: tuple[str, ...] = ()
    """What was left out before any work, a line each; each counts as a failed input."""
    dataset: Dataset | None = None
    """Where the set is one of the field's."""

    @property
    def convention(self) -> str:
        """In words: how the numbers are measured that stand for the set, and whether published ones are."""
        words = CONVENTIONS[self.measured]
        if self.crop:
            words += f", {self.crop} pixels left out at every edge"
        as_published = self.dataset is not None and self.dataset.crop == self.crop and self.measured != "none"
        return f"as published numbers are measured: {words}" if as_published else words


def files_of(case: Case) -> list[Path]:
    """Return the files that a case is read from."""
    pair = getattr(case, "pair", None)
    return [] if pair is None else [path for path in (pair.lq, pair.gt, pair.mask) if path is not None]


def read_pixels(path: Path) -> Pixels:
    """Return a file's pixels at 8 bits. Raises PictureError."""
    return to_depth(read_picture(path).pixels, 8)


@dataclass(frozen=True)
class FileCase:
    """A degraded file, and the clean one if there is one."""

    pair: Pair

    @property
    def name(self) -> str:
        """The degraded file's, without extension."""
        return self.pair.name

    def load(self) -> Loaded:
        """Read both."""
        assert self.pair.lq is not None
        lq = read_pixels(self.pair.lq)
        if self.pair.gt is None:
            return Loaded(lq)
        gt = read_pixels(self.pair.gt)
        if lq.shape != gt.shape:
            raise PictureError(
                f"{self.pair.lq}: is {_size(lq)} pixels, its reference {self.pair.gt} {_size(gt)}"
            )
        return Loaded(lq, gt)

    def identity(self) -> str:
        """Hash both files."""
        return _hash(self.pair.lq, self.pair.gt)


@dataclass(frozen=True)
class NoisyCase:
    """A clean file with Gaussian noise of its own: as many draws as pixels, from a generator seeded by its place.

    Picture i of the sorted names gets round(clip(gt + default_rng(i).standard_normal((H, W, 3)) * sigma)).
    """

    pair: Pair
    index: int
    sigma: int

    @property
    def name(self) -> str:
        """The clean file's, without extension."""
        return self.pair.name

    def load(self) -> Loaded:
        """Read the clean picture and add the noise."""
        assert self.pair.gt is not None
        gt = read_pixels(self.pair.gt)
        return Loaded(noisy(gt, self.index, self.sigma), gt)

    def identity(self) -> str:
        """Hash the file; place and level are part of it."""
        return f"{_hash(self.pair.gt)} noise {self.sigma} {self.index}"


def noisy(gt: Pixels, index: int, sigma: float) -> Pixels:
    """Return a picture with white Gaussian noise of a standard deviation in levels of 8 bits, rounded."""
    noise = np.random.default_rng(index).standard_normal(gt.shape) * sigma
    return np.rint(np.clip(gt + noise, 0, 255)).astype(np.uint8)


@dataclass(frozen=True)
class MaskedCase:
    """A clean file of which a mask takes parts away; what is missing is white."""

    pair: Pair

    @property
    def name(self) -> str:
        """The clean file's, without extension."""
        return self.pair.name

    def load(self) -> Loaded:
        """Read the clean picture and its mask."""
        assert self.pair.gt is not None
        assert self.pair.mask is not None
        gt = read_pixels(self.pair.gt)
        mask = read_mask(self.pair.mask, (gt.shape[0], gt.shape[1]))
        return Loaded(np.where(mask[:, :, None], np.uint8(255), gt), gt, mask)

    def identity(self) -> str:
        """Hash both files."""
        return _hash(self.pair.gt, self.pair.mask)


def _hash(*paths: Path | None) -> str:
    return " ".join(hashlib.sha256(read_bytes(path)).hexdigest()[:32] for path in paths if path is not None)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


NAMED = 5
"""Lines of one kind that are shown one by one."""


def few(lines: list[str]) -> list[str]:
    """Return lines of one kind; where there are many, the first ones and how many more."""
    more = len(lines) - NAMED
    return lines if more <= 1 else [*lines[:NAMED], f"and {more} more like it"]
