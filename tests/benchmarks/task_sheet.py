"""Draws the README's picture, before and after for every task, from photographs of the package: docs/tasks.jpg.

python tests/benchmarks/task_sheet.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

import cyclerdm_cli as cyclerdm
from cyclerdm_cli.benchmark.builtin import CLEAN
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.tasks.degradation import degradation_of

SHEET = Path(__file__).parents[2] / "docs" / "tasks.jpg"
SHOWN = (330, 240)
"""Width and height in pixels of a picture in the sheet; damage is drawn at twice that."""
DETAIL = ("dejpeg", "denoise")
"""Tasks whose damage is too fine to be seen in a picture made smaller: a half of it is shown at full size."""
COLUMNS, GAP, LABEL = 2, 6, 18
"""Tasks side by side; pixels between pictures; height in pixels of a task's name."""
CHOSEN = {
    "denoise": ("chelsea", 0.5, 1),
    "derain": ("chelsea", 0.6, 2),
    "desnow": ("coffee", 0.5, 3),
    "raindrop": ("coffee", 0.5, 4),
    "deblur": ("astronaut", 0.5, 5),
    "inpaint": ("astronaut", 0.5, 6),
    "dejpeg": ("chelsea", 0.9, 7),
    "dehaze": ("coffee", 0.5, 8),
    "low-light": ("astronaut", 0.4, 9),
    "underwater": ("astronaut", 0.4, 12),
    "backlight": ("astronaut", 0.6, 11),
}
"""Of each task: photograph, severity, and the number that draws the damage."""


def draw_pair(restorer: cyclerdm.Restorer, task: str) -> list[Image.Image]:
    """Return a photograph damaged, and restored."""
    name, severity, seed = CHOSEN[task]
    drawn = (2 * SHOWN[0], 2 * SHOWN[1])
    photograph = Image.open(CLEAN / f"{name}.webp").convert("RGB")
    scale = min(photograph.width / drawn[0], photograph.height / drawn[1])
    width, height = round(drawn[0] * scale), round(drawn[1] * scale)
    left, top = (photograph.width - width) // 2, (photograph.height - height) // 2
    whole = photograph.resize(drawn, Image.Resampling.LANCZOS, (left, top, left + width, top + height))
    clean = torch.from_numpy(np.array(whole)).permute(2, 0, 1)[None].float() / 255
    generator = torch.Generator().manual_seed(seed)
    degraded = degradation_of(find_task(task))(clean, torch.tensor([severity]), generator)
    before = (degraded.lq[0].permute(1, 2, 0) * 255).round().byte().numpy()
    mask = None if degraded.mask is None else degraded.mask[0, 0].numpy() > 0
    after = restorer.restore(before, task, mask=mask)
    return [show(Image.fromarray(picture), task) for picture in (before, after)]


def show(picture: Image.Image, task: str) -> Image.Image:
    """Return a picture in the size of the sheet: made smaller, or its middle."""
    if task not in DETAIL:
        return picture.resize(SHOWN, Image.Resampling.LANCZOS)
    left, top = SHOWN[0] // 2, SHOWN[1] // 2
    return picture.crop((left, top, left + SHOWN[0], top + SHOWN[1]))


def draw_sheet() -> Image.Image:
    """Return all tasks, some side by side."""
    restorer = cyclerdm.Restorer(device="cpu", precision="fp32")
    cell = (2 * SHOWN[0] + 2 * GAP, SHOWN[1] + LABEL + GAP)
    rows = -(-len(TASKS) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * cell[0] - GAP, rows * cell[1] - GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for number, task in enumerate(TASKS):
        left, top = number % COLUMNS * cell[0], number // COLUMNS * cell[1]
        pen.text((left + 2, top + 2), task.name, fill="black")
        for place, picture in enumerate(draw_pair(restorer, task.name)):
            sheet.paste(picture, (left + place * (SHOWN[0] + GAP // 2), top + LABEL))
    return sheet


if __name__ == "__main__":
    draw_sheet().save(SHEET, quality=85)
