"""What a processor could do at most: its instructions, and the speed of one convolution in each precision."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclerdm_cli.integers import Codes, IntegerConvolution, exact_steps

CHANNELS, SIDE = 64, 128
"""Of the convolution, of 3x3 pixels."""
TRIALS = 7
"""Of which the fastest counts."""
TELLING = (
    "avx2",
    "fma",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "i8mm",
)
"""Instructions that decide how fast a network is, as the system names them."""


def measure_limits() -> dict[str, Any]:
    """Return `features`, names of instructions, and `gflops`, 10^9 operations a second by precision."""
    with torch.inference_mode():
        x = torch.rand(1, CHANNELS, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
        convolution = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        convolution = convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
        half, half_x = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).bfloat16(), x.bfloat16()
        found = {"fp32": _speed(lambda: convolution(x)), "bf16": _speed(lambda: half(half_x))}
        if exact_steps() is not None:
            codes = Codes.of(0, 1)
            packed, given = IntegerConvolution(convolution, codes, codes), codes.encode(x)
            found["int8"] = _speed(lambda: packed(given))
    return {"features": _features(), "gflops": found}


def _speed(work: Callable[[], Tensor]) -> float:
    work()
    fastest = float("inf")
    for _ in range(TRIALS):
        began = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * 9 * CHANNELS**2 * SIDE**2 / fastest / 1e9


def _features() -> list[str]:
    """Return which of TELLING the processor has; none where the system does not say."""
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return []
    return [name for name in TELLING if name in words]


if __name__ == "__main__":
    json.dump(measure_limits(), sys.stdout)
