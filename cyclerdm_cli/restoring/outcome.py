"""What became of one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cyclerdm_cli.pictures.naming import Job


@dataclass(frozen=True)
class Outcome:
    """What became of one file; "planned" is what a dry run says of those that would be restored."""

    job: Job
    status: Literal["ok", "skipped", "failed", "planned"]
    seconds: float = 0.0
    """Reading, restoring and writing, without the waiting in between."""
    size: tuple[int, int] | None = None
    """Height and width in pixels."""
    tiles: int = 0
    sha256: str = ""
    """Of the file written."""
    error: str = ""
    notes: tuple[str, ...] = ()
    data: bytes | None = None
    """The result's bytes where they go to standard output."""
    task: str = ""
    """What was done to this file, where that is chosen for each; nothing: as asked for."""
    weights: str = ""
    """What these were called, where the task is chosen for each file; nothing: as asked for."""
    seen: Mapping[str, float] | None = None
    """How likely each damage was, where a file's own picture was asked."""
    unexpected: Exception | None = None
    """A fault that is the program's rather than the file's."""

    def record(self, task: str, weights: str, device: str) -> dict[str, Any]:
        """Return the JSON record of the contract."""
        height, width = self.size or (None, None)
        seen = {} if self.seen is None else {"probabilities": dict(self.seen)}
        return {
            "input": self.job.input.name,
            "output": "-" if self.job.output is None else str(self.job.output),
            "status": self.status,
            "task": self.task or task,
            "seconds": round(self.seconds, 3),
            "width": width,
            "height": height,
            "device": device,
            "tiles": self.tiles,
            "weights": self.weights or weights,
            "sha256": self.sha256 or None,
            "error": self.error or None,
            **seen,
        }
