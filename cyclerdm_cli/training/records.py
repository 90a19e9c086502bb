"""What a run leaves for people: the log, its curves, a sheet of samples, TensorBoard's event files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from cyclerdm_cli.tasks.catalogue import Task

LOG = "log.jsonl"
COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip


@dataclass
class RunLog:
    """Writes each record of a run to `log.jsonl`, and to TensorBoard where that is installed."""

    folder: Path
    board: Any = field(init=False)
    """TensorBoard's writer, or None."""

    def __post_init__(self) -> None:
        """Open TensorBoard's file where the package is there."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.board = None
        else:
            self.board = SummaryWriter(str(self.folder / "tensorboard"))

    def add(self, record: dict[str, Any]) -> None:
        """Append a record."""
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        if self.board is not None:
            for name, value in _numbers(record):
                self.board.add_scalar(name, value, record["iteration"])
            self.board.flush()

    def read(self) -> list[dict[str, Any]]:
        """Return all records so far, those of earlier sittings too; a line that a kill cut short is none."""
        path = self.folder / LOG
        if not path.is_file():
            return []
        found = [_record(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        return [record for record in found if record is not None]


def _record(line: str) -> dict[str, Any] | None:
    """Return the record on a line; None where it was cut, or what came next was put behind the cut."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _numbers(record: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Flatten a record to its numbers, with names like `validation/denoise`."""
    found = []
    for name, value in record.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif name != "iteration":
            found.append((prefix + name, float(value)))
    return found


def draw_curves(records: list[dict[str, Any]]) -> Image.Image:
    """Draw the loss of each phase and the PSNR gained against the iterations."""
    losses: dict[str, list[tuple[float, float]]] = {}
    gains: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        if "loss" in record:
            phase = f"phase {record['phase'] + 1}"
            losses.setdefault(phase, []).append((record["iteration"], record["loss"]))
        for name, value in record.get("validation", {}).items():
            gains.setdefault(name, []).append((record["iteration"], value))
    sheet = Image.new("RGB", (1200, 480), "white")
    sheet.paste(_plot("loss", losses), (0, 0))
    sheet.paste(_plot("PSNR gained, dB", gains), (600, 0))
    return sheet


def _plot(title: str, curves: dict[str, list[tuple[float, float]]]) -> Image.Image:
    """Draw curves of (x, y) into 600x480 pixels, with both ranges and a legend."""
    image = Image.new("RGB", (600, 480), "white")
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = 60, 40, 450, 440
    draw.text((left, 15), title, fill="black")
    draw.rectangle((left, top, right, bottom), outline="black")
    points = np.array([point for curve in curves.values() for point in curve])
    if len(points) == 0:
        return image
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    for step in range(5):
        y = y0 + (y1 - y0) * step / 4
        place = bottom - (bottom - top) * step / 4
        draw.line((left - 4, place, left, place), fill="black")
        draw.text((8, place - 6), f"{y:.2f}", fill="black")
    draw.text((left, bottom + 8), f"{x0:.0f}", fill="black")
    draw.text((right - 40, bottom + 8), f"{x1:.0f} iterations", fill="black")
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        xy = np.array(curve, float)
        xs = left + (right - left) * (xy[:, 0] - x0) / max(x1 - x0, 1e-9)
        ys = bottom - (bottom - top) * (xy[:, 1] - y0) / max(y1 - y0, 1e-9)
        places = list(zip(xs.tolist(), ys.tolist(), strict=True))
        draw.line(places, fill=colour, width=2)
        for x, y in places if len(places) < 20 else ():
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        draw.text((right + 10, top + 16 * number), f"{name} {xy[-1, 1]:.2f}", fill=colour)
    return image


@dataclass
class Sheet:
    """Degraded, restored and clean beside each other, a row for each task."""

    rows: list[tuple[str, NDArray[np.uint8]]] = field(default_factory=list)

    def add(self, task: Task, degraded: Tensor, restored: Tensor, clean: Tensor) -> None:
        """Add a row; see `validation.Show`."""
        beside = torch.cat([degraded, restored, clean], 2).clamp(0, 1)
        self.rows.append((task.name, (beside * 255).round().byte().permute(1, 2, 0).cpu().numpy()))

    def image(self) -> Image.Image:
        """Return the sheet."""
        width = max(row.shape[1] for _, row in self.rows)
        sheet = Image.new("RGB", (width, sum(row.shape[0] + 16 for _, row in self.rows)), "white")
        draw, top = ImageDraw.Draw(sheet), 0
        for name, row in self.rows:
            draw.text((4, top + 2), f"{name}: degraded, restored, clean", fill="black")
            sheet.paste(Image.fromarray(row), (0, top + 16))
            top += row.shape[0] + 16
        return sheet
