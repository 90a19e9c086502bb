"""The faults that people meet: one line for what is wrong and where, a hint for what to do, an exit status.

The exit statuses: 0 all done; 1 nothing could be produced, or an unexpected fault; 2 usage; 3 some inputs
failed; 4 weights missing, unreachable or damaged; 130 interrupted.
"""

from __future__ import annotations

import warnings


class CycleRDMError(Exception):
    """A fault with a plain reason; `hint` says what to do about it."""

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class UsageError(CycleRDMError):
    """The command was asked for something that it cannot mean."""

    exit_status = 2


class PictureError(CycleRDMError):
    """One picture cannot be read, restored or written; the others go on."""


class DataError(CycleRDMError):
    """A folder or configuration given to training or benchmarking does not hold what it should."""

    exit_status = 2


class WeightsError(CycleRDMError):
    """Weights are missing, unreachable or damaged."""

    exit_status = 4


class DeviceError(CycleRDMError):
    """The device that was asked for is not there, or gave out."""

    exit_status = 2


class ClusterError(CycleRDMError):
    """A cluster was asked for that cannot be joined, or that lost all its workers."""

    exit_status = 2


class RestoringWarning(UserWarning):
    """Work goes on otherwise than planned: with smaller tiles, in another precision, on another device."""


# Programs that restore by the Python interface see it if they ask for it; the command always does.
warnings.filterwarnings("ignore", category=RestoringWarning, append=True)
