"""Draws what each task undoes, from faint to strong, on the photographs of the package: docs/degradations/.

    python tests/benchmarks/degradation_sheets.py [TASK ...]

A row is a photograph: as it is, then damaged at the severities of COLUMNS.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from cyclerdm_cli.benchmark.builtin import CLEAN
from cyclerdm_cli.benchmark.testsets import read_pixels
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.tasks.degradation import degradation_of

SHEETS = Path(__file__).parents[2] / "docs" / "degradations"
COLUMNS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Severities."""
DRAWN, SHOWN = (480, 360), (160, 120)
"""Width and height in pixels at which the damage is drawn, and shown."""
QUALITY = 85
"""Of the JPEG files."""


def draw_sheet(task: str) -> np.ndarray:
    """Return the sheet of a task: (H, W, 3) uint8."""
    rows = []
    for number, path in enumerate(sorted(CLEAN.glob("*.webp"))):
        photograph = cut_to_shape(read_pixels(path))
        clean = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
        row = [photograph]
        for severity in COLUMNS:
            generator = torch.Generator().manual_seed(number)
            lq = degradation_of(find_task(task))(clean, torch.tensor([severity]), generator).lq
            row.append((lq[0].permute(1, 2, 0) * 255).round().byte().numpy())
        rows.append(np.hstack([cv2.resize(one, SHOWN, interpolation=cv2.INTER_AREA) for one in row]))
    return np.vstack(rows)


def cut_to_shape(photograph: np.ndarray) -> np.ndarray:
    """Return the middle of a photograph, in the shape and size at which damage is drawn."""
    height, width = photograph.shape[:2]
    scale = min(height / DRAWN[1], width / DRAWN[0])
    high, wide = int(DRAWN[1] * scale), int(DRAWN[0] * scale)
    top, left = (height - high) // 2, (width - wide) // 2
    return cv2.resize(photograph[top : top + high, left : left + wide], DRAWN, interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    for name in sys.argv[1:] or [task.name for task in TASKS]:
        sheet = cv2.cvtColor(draw_sheet(name), cv2.COLOR_RGB2BGR)
        if not cv2.imwrite(str(SHEETS / f"{name}.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            raise SystemExit(f"{SHEETS / name}.jpg could not be written")
