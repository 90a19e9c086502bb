"""Which device restores, and in which precision, as torch takes them; `engine_words` chooses."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch

from cyclerdm_cli.engine_words import FLOATS, choose_words, fastest_on
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.integers import exact_steps

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}


@dataclass(frozen=True)
class Engine:
    """A device, a precision, and why."""

    device: torch.device
    precision: torch.dtype
    reason: str
    deep: torch.dtype | None = None
    """For pictures of 16 bits, where `precision` is int8, whose rounding they would show; None: the same."""

    def precision_for(self, bytes_of_a_sample: int) -> torch.dtype:
        """Return the precision for pictures of 8 or 16 bits."""
        return self.deep if self.deep is not None and bytes_of_a_sample > 1 else self.precision

    def __str__(self) -> str:
        precision = next(name for name, dtype in PRECISIONS.items() if dtype == self.precision)
        return f"{self.device}, {precision} ({self.reason})"


def choose_engine(device: str = "auto", precision: str = "auto", good: Collection[str] = FLOATS) -> Engine:
    """Choose a device and a precision; see `choose_words`, which says the rest.

    Raises:
        UsageError: as `choose_words`, or integers are not convolved exactly here. DeviceError: as `choose_words`.
    """
    words = choose_words(device, precision, good)
    chosen = torch.device(words.device)
    if words.precision != "int8":
        return Engine(chosen, PRECISIONS[words.precision], words.reason)
    if exact_steps() is None:
        raise UsageError("--precision int8: this device does not convolve integers", hint="--precision auto")
    floats = [name for name in FLOATS if name in good]
    return Engine(chosen, torch.int8, words.reason, PRECISIONS[fastest_on(words.device, floats)[0]])


def computing_in(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Return the context in which floating-point layers compute in a precision; beside int8 they do in float32."""
    return torch.autocast(device.type, precision, enabled=precision not in (torch.float32, torch.int8))
