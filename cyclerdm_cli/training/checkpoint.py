"""What a run keeps of itself so that it can go on: one file, there whole or as it was before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cyclerdm_cli.errors import CycleRDMError


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole, or leave the one before it. Raises CycleRDMError."""
    partial = path.with_suffix(".part")
    try:
        torch.save(state, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as fault:
        reason = str(fault).splitlines()[0]
        raise CycleRDMError(f"{path}: not written: {reason}", hint="the checkpoint before is kept") from fault
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read one to a device; nothing in it is run. Raises CycleRDMError where it is missing or damaged."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise CycleRDMError(f"{path}: no checkpoint to resume from", hint="leave out --resume") from None
    except Exception as fault:
        raise CycleRDMError(f"{path}: this checkpoint cannot be read: {fault}".splitlines()[0]) from fault
    return state if isinstance(state, dict) else {}


def of_another_run(path: Path) -> CycleRDMError:
    """Return the fault of a checkpoint whose parts do not fit what was asked for."""
    return CycleRDMError(f"{path}: this checkpoint is of another network or recipe", hint="another --out")
