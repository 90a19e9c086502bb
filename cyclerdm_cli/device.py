"""Which device restores, and in which precision: what was asked for, or the best there is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from cyclerdm_cli.errors import DeviceError, UsageError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """A device, a precision, and why."""

    device: torch.device
    precision: torch.dtype
    reason: str

    def __str__(self) -> str:
        precision = next(name for name, dtype in PRECISIONS.items() if dtype == self.precision)
        return f"{self.device}, {precision} ({self.reason})"


def choose_engine(
    device: str = "auto", precision: str = "auto", good: Collection[str] = tuple(PRECISIONS)
) -> Engine:
    """Choose a device and a precision.

    Args:
        device: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, else MPS, else the CPU.
        precision: auto, fp32, bf16 or fp16; auto takes the fastest that loses nothing to be seen.
        good: the precisions in which the weights give good results; float32 always does.

    Raises:
        UsageError: no such word, or not one of the good ones. DeviceError: the device is not there.
    """
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(f"unknown precision {precision!r}", hint=f"one of: auto, {', '.join(PRECISIONS)}")
    chosen, reason = _device(device)
    if precision not in ("auto", "fp32", *good):
        raise UsageError(f"--precision {precision}: not with these weights", hint=f"auto, {', '.join(good)}")
    if precision != "auto":
        return Engine(chosen, PRECISIONS[precision], reason)
    fastest, why = _fastest(chosen)
    if fastest not in good:
        fastest, why = "fp32", f"these weights are for {', '.join(good)}"
    return Engine(chosen, PRECISIONS[fastest], f"{reason}; {why}" if why else reason)


def _fastest(device: torch.device) -> tuple[str, str]:
    """Return the fastest precision of a device, and why where it is not what people expect."""
    if device.type == "cpu":
        return ("bf16", "") if cpu_has_bfloat16() else ("fp32", "this processor has no fast bfloat16")
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", ""
    return "fp16", ""


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


def cpu_has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 in hardware; emulated, it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    words = set(flags.split())
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})
