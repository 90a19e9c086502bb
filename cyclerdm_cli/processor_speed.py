"""Which precision this processor is fastest in: measured once, in some milliseconds, and kept."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.folders import cache_folder
from cyclerdm_cli.integers import Codes, IntegerConvolution, exact_steps

GAIN = 1.2
"""So much faster a coarser precision must be to be worth it."""
CHANNELS, SIDE = 64, 48
"""Of what is convolved to measure."""
TRIALS = 5
"""Of which the fastest counts."""
HOPELESS = 3.0
"""So many times as slow as float32, a precision is not tried again: it is emulated."""
KEPT = "processor.json"
"""Name of the file in the folder for what can be had again."""


def fastest_precision(good: Collection[str]) -> str:
    """Return fp32, bf16 or int8, whichever of the good ones restores fastest on this processor."""
    seconds = block_seconds()
    best = "fp32"
    for name in ("bf16", "int8"):
        if name in good and name in seconds and seconds[best] >= GAIN * seconds[name]:
            best = name
    return best


@cache
def block_seconds() -> dict[str, float]:
    """Return the seconds that a residual block takes in each precision; int8 only where integers are exact."""
    path, machine = cache_folder() / KEPT, describe_machine()
    kept = _read(path)
    if machine not in kept:
        kept[machine] = _measure()
        _write(path, kept)
    return kept[machine]


def describe_machine() -> str:
    """Return words that differ where another precision may be the fastest: processor, torch, what limits it."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    limits = [os.environ.get(name, "") for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")]
    return " ".join(
        filter(None, (model, torch.__version__, torch.backends.cpu.get_cpu_capability(), *limits))
    )


def _measure() -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        x = torch.rand((1, CHANNELS, SIDE, SIDE), generator=generator)
        x = x.contiguous(memory_format=torch.channels_last)
        first, second = (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2))
        blocks = nn.ModuleList((first, second)).to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]

        def in_floats() -> Tensor:
            return x + blocks[1](F.relu_(blocks[0](x)))

        found = {"fp32": _time(in_floats)}
        with torch.autocast("cpu", torch.bfloat16):
            found["bf16"] = _time(in_floats, HOPELESS * found["fp32"])
        if exact_steps() is not None:
            codes = Codes.of(0, 1)
            packed = [IntegerConvolution(first, codes, codes), IntegerConvolution(second, codes)]
            found["int8"] = _time(lambda: packed[1].add_to(packed[0](codes.encode(x)), x))
    return found


def _time(work: Callable[[], Tensor], hopeless: float = float("inf")) -> float:
    """Return the seconds of the fastest of some trials, the first of which warms up."""
    fastest = float("inf")
    for trial in range(TRIALS + 1):
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        if trial or seconds > 10 * hopeless:
            fastest = min(fastest, seconds)
        if fastest > hopeless and trial:
            break
    return fastest


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Return what was kept; what is no such file counts as nothing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(machine): {str(name): float(value) for name, value in seconds.items()}
            for machine, seconds in found.items()
            if "fp32" in seconds
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write(path: Path, kept: dict[str, dict[str, float]]) -> None:
    """Keep what was measured; where that cannot be, it is measured again next time."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
