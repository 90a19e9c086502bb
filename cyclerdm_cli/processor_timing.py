"""How fast this processor computes a block of a network in each precision: measured in some milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.integers import Codes, IntegerConvolution, exact_steps

CHANNELS, SIDE = 64, 48
"""Of what is convolved to measure."""
TRIALS = 5
"""Of which the fastest counts."""
HOPELESS = 3.0
"""So many times as slow as float32, a precision is not tried again: it is emulated."""


def measure_block() -> dict[str, float]:
    """Return the seconds that a residual block takes in each precision; int8 only where integers are exact."""
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
