"""Metrics that need somebody else's weights: used where they are, absent otherwise, never zero.

LPIPS (AlexNet) and FID come from torchmetrics (Apache-2.0), extra `metrics`; NIQE is our own (`niqe.py`), with
BasicSR's file of natural statistics. Nothing is imported or searched for before it is asked for, and nothing
downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from cyclerdm_cli.benchmark.testsets import Pixels
from cyclerdm_cli.errors import UsageError

LEARNED = ("lpips", "niqe", "fid")
ALEXNET = "alexnet-owt-7be5be79.pth"
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
NATURAL = "niqe_pris_params.npz"

Judge = Callable[[Pixels, "Pixels | None"], float]
"""Is given a result and its reference, where there is one; raises PictureError where it cannot judge."""


class Absent(Exception):
    """Why a metric cannot be had here, in words."""


class SetJudge(Protocol):
    """Judges many pictures together."""

    def add(self, result: Pixels, reference: Pixels) -> None:
        """Take up one pair."""
        ...

    def value(self) -> float | None:
        """Return the number for all so far; None for fewer than two."""
        ...


@dataclass(frozen=True)
class Judges:
    """The metrics that are there."""

    with_reference: dict[str, Judge] = field(default_factory=dict)
    without_reference: dict[str, Judge] = field(default_factory=dict)
    sets: dict[str, Callable[[], SetJudge]] = field(default_factory=dict)
    """For each metric over sets, what makes a new one."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why the others are not, by name."""

    @property
    def names(self) -> list[str]:
        """Of those that are there."""
        return [*self.with_reference, *self.without_reference, *self.sets]


def find_judges(wanted: tuple[str, ...], folder: Path) -> Judges:
    """Return those of LPIPS, NIQE and FID that are wanted and there.

    Args:
        wanted: names of LEARNED.
        folder: where NIQE's file is looked for, beside an installed BasicSR.

    Raises:
        UsageError: no such metric.
    """
    judges = Judges()
    for name in wanted:
        if name not in LEARNED:
            raise UsageError(
                f"unknown metric {name!r}",
                hint=f"psnr, ssim, noise and sharpness always, and {', '.join(LEARNED)}",
            )
        try:
            if name == "lpips":
                judges.with_reference[name] = _lpips()
            elif name == "niqe":
                judges.without_reference[name] = _niqe(folder)
            else:
                judges.sets[name] = _fid()
        except Absent as reason:
            judges.absent[name] = str(reason)
    return judges


def _lpips() -> Judge:
    _needs("torchmetrics", "torchvision")
    _checkpoint(ALEXNET, "https://download.pytorch.org/models/")
    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        network = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).eval()
    except Exception as fault:  # torchvision beside another torch raises RuntimeError on import
        raise Absent(f"torchmetrics does not work here: {_line(fault)}") from fault
    return partial(_lpips_of, network)


@torch.no_grad()
def _lpips_of(network: Any, result: Pixels, reference: Pixels | None) -> float:
    assert reference is not None
    return float(network(_tensor(result).float() / 255, _tensor(reference).float() / 255))


def _niqe(folder: Path) -> Judge:
    from cyclerdm_cli.benchmark.niqe import NaturalModel, niqe

    basicsr = find_spec("basicsr")
    places = [folder / NATURAL]
    if basicsr is not None and basicsr.origin:
        places.append(Path(basicsr.origin).parent / "metrics" / NATURAL)
    for path in places:
        if path.is_file():
            try:
                model = NaturalModel.read(path)
            except (OSError, ValueError, KeyError) as fault:
                raise Absent(f"{path} is damaged: {_line(fault)}") from fault
            return lambda result, reference: niqe(result, model)
    raise Absent(f"{NATURAL} of BasicSR (Apache-2.0) is not there; put it into {folder}")


class _Fid:
    """FID of results against references, on torchmetrics' Inception features."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._metric = make()
        self._count = 0

    def add(self, result: Pixels, reference: Pixels) -> None:
        """Take up one pair."""
        self._metric.update(_tensor(reference), real=True)
        self._metric.update(_tensor(result), real=False)
        self._count += 1

    def value(self) -> float | None:
        """Return the distance between the two sets."""
        return float(self._metric.compute()) if self._count > 1 else None


def _fid() -> Callable[[], SetJudge]:
    _needs("torchmetrics", "torch_fidelity")
    weights = _checkpoint(INCEPTION, "https://github.com/toshas/torch-fidelity/releases/tag/v0.2.0")
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        make = partial(FrechetInceptionDistance, feature=2048, feature_extractor_weights_path=str(weights))
        make()
    except Exception as fault:
        raise Absent(f"torchmetrics does not work here: {_line(fault)}") from fault
    return lambda: _Fid(make)


def _needs(*modules: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise Absent(f"{' and '.join(missing)} not installed; pip install {' '.join(missing)}")


def _checkpoint(name: str, source: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        raise Absent(f"{name} from {source} is not there; put it into {path.parent}")
    return path


def _tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]


def _line(fault: BaseException) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__
