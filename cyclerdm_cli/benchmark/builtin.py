"""The set that needs nothing: photographs that the package carries, degraded the same way every time, all tasks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cyclerdm_cli.benchmark.testsets import Loaded, TestSet, read_pixels
from cyclerdm_cli.tasks.catalogue import TASKS, Task
from cyclerdm_cli.tasks.degradation import degradation_of

NAME = "builtin"
CLEAN = Path(__file__).with_name("clean")
SEVERITIES = (0.25, 0.5, 0.75)
"""Light, middling and heavy, on the scale of `tasks/degradation.py`."""
NOTE = "photographs of the package, degraded as in training with fixed seeds: no number of others can stand beside"


@dataclass(frozen=True)
class BuiltinCase:
    """One photograph with one damage of one severity."""

    task: Task
    path: Path
    severity: float

    @property
    def name(self) -> str:
        """Photograph and severity."""
        return f"{self.path.stem}-{self.severity:.2f}"

    def load(self) -> Loaded:
        """Read the photograph and damage it; the seed follows from task and name alone."""
        gt = read_pixels(self.path)
        clean = torch.tensor(gt).permute(2, 0, 1)[None].float() / 255
        seed = int.from_bytes(hashlib.sha256(f"{self.task.name}/{self.name}".encode()).digest()[:4])
        generator = torch.Generator().manual_seed(seed)
        degraded = degradation_of(self.task)(clean, torch.tensor([self.severity]), generator)
        lq = _to_pixels(degraded.lq)
        gt = gt if degraded.wanted is None else _to_pixels(degraded.wanted)
        mask = None if degraded.mask is None else np.asarray(degraded.mask[0, 0].numpy() > 0)
        return Loaded(lq, gt, mask)

    def identity(self) -> str:
        """Hash what the damage makes: degradations change with the program."""
        loaded = self.load()
        made = b"" if loaded.gt is None else loaded.gt.tobytes()
        return hashlib.sha256(loaded.lq.tobytes() + made).hexdigest()[:32]


def _to_pixels(picture: torch.Tensor) -> NDArray[np.uint8]:
    """Round the first of (B, 3, H, W) in [0, 1] to (H, W, 3) in 8 bits."""
    rounded = (picture[0].clamp(0, 1) * 255).round().byte()
    return np.ascontiguousarray(rounded.permute(1, 2, 0).numpy())


def builtin_sets() -> list[TestSet]:
    """Return one set for each task of the catalogue."""
    photographs = sorted(CLEAN.glob("*.webp"))
    return [
        TestSet(
            NAME,
            task.name,
            [BuiltinCase(task, path, severity) for path in photographs for severity in SEVERITIES],
            note=NOTE,
        )
        for task in TASKS
    ]
