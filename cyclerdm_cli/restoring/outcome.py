"""What became of one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cyclerdm_cli.errors import CycleRDMError
from cyclerdm_cli.pictures.naming import Job


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file, in the words of the command's JSON records."""

    input: str
    """The file as it was named."""
    output: str
    """Where the result is, or would be; "-" is standard output."""
    status: Literal["ok", "skipped", "failed", "planned"]
    task: str
    """What was undone, one after the other with "+" between; "none" where nothing was found to be wrong."""
    seconds: float
    """Reading, restoring and writing, without the waiting in between."""
    width: int | None
    """Of the picture in pixels; None where it was not read."""
    height: int | None
    device: str
    tiles: int
    weights: str
    """What the weights are called."""
    sha256: str | None
    """Of the file written."""
    error: str | None
    """Why it failed, in a line."""
    probabilities: Mapping[str, float] | None = None
    """How likely each damage was, where the task was chosen by looking at the picture."""
    notes: tuple[str, ...] = ()
    """What people should know about the result, a line each; not part of the JSON record."""
    compare: str | None = None
    """Where the picture of before and after is, or would be, if one was asked for."""

    def record(self) -> dict[str, Any]:
        """Return the JSON record of the contract."""
        values = {name: value for name, value in vars(self).items() if name != "notes"}
        if self.compare is None:
            del values["compare"]
        if self.probabilities is None:
            del values["probabilities"]
        else:
            values["probabilities"] = dict(self.probabilities)
        return values


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
    fault: Exception | None = None
    """What `error` was made from."""

    @property
    def unexpected(self) -> Exception | None:
        """The fault where it is the program's rather than the file's."""
        return None if isinstance(self.fault, (CycleRDMError, MemoryError)) else self.fault

    def told(self, task: str, weights: str, device: str) -> FileOutcome:
        """Return it in the words of the contract; `task` and `weights` are of files for which none were chosen."""
        height, width = self.size or (None, None)
        return FileOutcome(
            input=self.job.input.name,
            output="-" if self.job.output is None else str(self.job.output),
            status=self.status,
            task=self.task or task,
            seconds=round(self.seconds, 3),
            width=width,
            height=height,
            device=device,
            tiles=self.tiles,
            weights=self.weights or weights,
            sha256=self.sha256 or None,
            error=self.error or None,
            probabilities=self.seen,
            notes=self.notes,
            compare=None if self.job.compare is None else str(self.job.compare),
        )

    def record(self, task: str, weights: str, device: str) -> dict[str, Any]:
        """Return the JSON record of the contract; see `told`."""
        return self.told(task, weights, device).record()
