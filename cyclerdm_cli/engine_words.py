"""Which device restores, and in which precision, in words; torch is imported only where a GPU may be found."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from cyclerdm_cli.errors import DeviceError, UsageError
from cyclerdm_cli.installed_torch import may_find_gpu
from cyclerdm_cli.processor_speed import fastest_precision, is_measured

FLOATS = ("fp32", "bf16", "fp16")
"""Precisions that every network can be run in."""
PRECISIONS = (*FLOATS, "int8")
DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d{1,3})?")
NOT_MEASURED = "auto"
"""The precision that is the fastest of a processor, where that has not been measured yet."""


@dataclass(frozen=True)
class EngineWords:
    """A device, a precision, and why."""

    device: str
    precision: str
    reason: str

    def __str__(self) -> str:
        return f"{self.device}, {self.precision} ({self.reason})"


def choose_words(
    device: str = "auto", precision: str = "auto", good: Collection[str] = FLOATS, *, measure: bool = True
) -> EngineWords:
    """Choose a device and a precision.

    Args:
        device: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, else MPS, else the CPU.
        precision: auto, fp32, bf16, fp16, or int8 for processors; auto takes the fastest that loses nothing to be
            seen, on a processor by a measurement that is kept.
        good: the precisions in which the weights give good results; float32 always does.
        measure: whether a processor that was not measured yet is measured now; or else its precision is
            NOT_MEASURED.

    Raises:
        UsageError: no such word, or not one of the good ones. DeviceError: the device is not there.
    """
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(f"unknown precision {precision!r}", hint=f"one of: auto, {', '.join(PRECISIONS)}")
    chosen, reason = _device(device)
    if precision not in ("auto", "fp32", *good):
        raise UsageError(f"--precision {precision}: not with these weights", hint=f"auto, {', '.join(good)}")
    if precision == "int8" and chosen != "cpu":
        raise UsageError("--precision int8: this device does not convolve integers", hint="--precision auto")
    if precision != "auto":
        return EngineWords(chosen, precision, reason)
    if chosen == "cpu" and not (measure or is_measured()):
        return EngineWords(chosen, NOT_MEASURED, f"{reason}; the fastest, to be measured")
    precision, why = fastest_on(chosen, good)
    reason = f"{reason}; {why}" if why else reason
    if precision not in ("fp32", *good):
        precision, reason = "fp32", f"{reason}; these weights are for {', '.join(good)}"
    return EngineWords(chosen, precision, reason)


def fastest_on(device: str, good: Collection[str]) -> tuple[str, str]:
    """Return the fastest precision of a device, and why where it is not what people expect."""
    if device == "cpu":
        fastest = fastest_precision(good)
        return fastest, "the fastest here" if fastest != "fp32" else ""
    import torch

    if device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", ""
    return "fp16", ""


def _device(wanted: str) -> tuple[str, str]:
    """Return a device and why it is taken. Raises as `choose_words`."""
    if not DEVICE.fullmatch(wanted):
        raise UsageError(f"unknown device {wanted!r}", hint="auto, cpu, cuda, cuda:N or mps")
    kind, _, number = wanted.partition(":")
    if kind == "cpu":
        return kind, "asked for"
    gpus = _gpus() if may_find_gpu() else {}
    if kind == "auto":
        first = next(iter(gpus), None)
        return ("cpu", "no GPU found") if first is None else (first, f"found {gpus[first]}")
    if kind == "mps" and kind not in gpus:
        raise DeviceError("--device mps: no Apple GPU here", hint="--device auto or cpu")
    if kind == "cuda" and f"cuda:{int(number or 0)}" not in gpus:
        count = sum(gpu.startswith(kind) for gpu in gpus) or "no"
        raise DeviceError(f"--device {wanted}: {count} CUDA device here", hint="--device auto or cpu")
    return wanted, "asked for"


def _gpus() -> dict[str, str]:
    """Return the GPUs that torch finds, with their names, the one that auto takes first."""
    import torch

    if torch.cuda.is_available():
        return {
            f"cuda:{number}": torch.cuda.get_device_name(number)
            for number in range(torch.cuda.device_count())
        }
    return {"mps": "Apple's GPU"} if torch.backends.mps.is_available() else {}
