"""Which device restores, and in which precision: what was asked for, or the best there is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch

from cyclerdm_cli.errors import DeviceError, UsageError
from cyclerdm_cli.integers import exact_steps
from cyclerdm_cli.processor_speed import fastest_precision

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}
FLOATS = ("fp32", "bf16", "fp16")
"""Precisions that every network can be run in."""


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
    """Choose a device and a precision.

    Args:
        device: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, else MPS, else the CPU.
        precision: auto, fp32, bf16, fp16, or int8 for processors; auto takes the fastest that loses nothing to be
            seen, on a processor by a measurement that is kept.
        good: the precisions in which the weights give good results; float32 always does.

    Raises:
        UsageError: no such word, or not one of the good ones. DeviceError: the device is not there.
    """
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(f"unknown precision {precision!r}", hint=f"one of: auto, {', '.join(PRECISIONS)}")
    chosen, reason = _device(device)
    if precision not in ("auto", "fp32", *good):
        raise UsageError(f"--precision {precision}: not with these weights", hint=f"auto, {', '.join(good)}")
    floats = [name for name in FLOATS if name in good]
    if precision == "auto":
        precision, why = _fastest(chosen, good)
        reason = f"{reason}; {why}" if why else reason
        if precision not in ("fp32", *good):
            precision, reason = "fp32", f"{reason}; these weights are for {', '.join(good)}"
    if precision != "int8":
        return Engine(chosen, PRECISIONS[precision], reason)
    if chosen.type != "cpu" or exact_steps() is None:
        raise UsageError("--precision int8: this device does not convolve integers", hint="--precision auto")
    return Engine(chosen, torch.int8, reason, PRECISIONS[_fastest(chosen, floats)[0]])


def _fastest(device: torch.device, good: Collection[str]) -> tuple[str, str]:
    """Return the fastest precision of a device, and why where it is not what people expect."""
    if device.type == "cpu":
        fastest = fastest_precision(good)
        return fastest, "the fastest here" if fastest != "fp32" else ""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", ""
    return "fp16", ""


def computing_in(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Return the context in which floating-point layers compute in a precision; beside int8 they do in float32."""
    return torch.autocast(device.type, precision, enabled=precision not in (torch.float32, torch.int8))


def _device(wanted: str) -> tuple[torch.device, str]:
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0), f"found {torch.cuda.get_device_name(0)}"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "found Apple's GPU"
        return torch.device("cpu"), f"no GPU found, {torch.get_num_threads()} threads"
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise UsageError(f"unknown device {wanted!r}", hint="auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceError(
                f"--device {wanted}: {count or 'no'} CUDA device here", hint="--device auto or cpu"
            )
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: no Apple GPU here", hint="--device auto or cpu")
    elif device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"unknown device {wanted!r}", hint="auto, cpu, cuda, cuda:N or mps")
    return device, "asked for"
