"""Whatever goes wrong, as one of the exceptions that programs are told of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cyclerdm_cli.errors import CycleRDMError, DeviceError, PictureError, UsageError, WeightsError
from cyclerdm_cli.restoring.outcome import Outcome


@contextmanager
def public_faults() -> Iterator[None]:
    """Turn what is no `CycleRDMError` into one."""
    try:
        yield
    except CycleRDMError:
        raise
    except MemoryError as fault:
        raise PictureError("not enough memory") from fault
    except Exception as fault:
        words = " ".join(str(fault).split())
        raise CycleRDMError(f"unexpected {type(fault).__name__}: {words}") from fault


def fault_of(outcome: Outcome) -> CycleRDMError:
    """Return why a file failed, in one line that names it, as an exception of the kind that it was."""
    other: type[CycleRDMError] = PictureError if outcome.unexpected is None else CycleRDMError
    kinds = (kind for kind in (WeightsError, DeviceError, UsageError) if isinstance(outcome.fault, kind))
    found = next(kinds, other)(outcome.error)
    found.__cause__ = outcome.fault
    return found
