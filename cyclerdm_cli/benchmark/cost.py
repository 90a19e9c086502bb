"""What a restoration costs: memory, arithmetic, parameters, and on which machine."""

from __future__ import annotations

import copy
import os
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cyclerdm_cli.cycle.cycle import STAGES, Network, Place, cycle
from cyclerdm_cli.cycle.shorter import keep_first
from cyclerdm_cli.cycle.view import view_of_batch
from cyclerdm_cli.restoring.memory import process_peak

SIDE = 256
"""Pixels a side of the square for which the field counts arithmetic."""
CLEAR = Path("/proc/self/clear_refs")
MIB = 2**20


def parameters(network: nn.Module) -> int:
    """Return how many numbers a network has learned."""
    return sum(parameter.numel() for parameter in network.parameters())


def gmac(network: Network, steps: int, stages: int = STAGES) -> float:
    """Return the multiply-accumulates of the cycle on 256 x 256 pixels, in units of 10^9.

    Counted by torch in convolutions, matrix products and attention, all evaluations of the first `stages` stages
    included; by shapes alone where the network lets us, since the authors' takes a minute for one such square on a
    CPU.
    """
    try:
        return _count(copy.deepcopy(network).to("meta"), steps, stages)
    except (RuntimeError, NotImplementedError):  # it looks at values on its way
        return _count(network, steps, stages)


def _count(network: Network, steps: int, count: int) -> float:
    device = next(network.parameters()).device
    picture = torch.zeros(1, 3, SIDE, SIDE, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        findings = network.look(view_of_batch(picture), steps)
        missing = torch.zeros_like(picture[:, :1])
        stages = network.bind(findings, Place.whole(picture), missing, steps, torch.Generator())
        cycle(keep_first(stages, count), picture)
    return counter.get_total_flops() / 2 / 1e9


class PeakMemory:
    """Measures the highest memory use between `start` and `read`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def start(self) -> None:
        """Forget earlier peaks, as far as the system lets us."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        with suppress(OSError):
            CLEAR.write_text("5")  # Linux: sets VmHWM back to what is in use now

    def read(self) -> dict[str, float]:
        """Return MiB by place: `process` always, `device` on a GPU."""
        peaks = {"process": process_peak() / MIB}
        if self._device.type == "cuda":
            peaks["device"] = torch.cuda.max_memory_allocated(self._device) / MIB
        elif self._device.type == "mps":
            peaks["device"] = torch.mps.driver_allocated_memory() / MIB  # Apple's driver keeps no peak
        return peaks


def machine(device: torch.device) -> dict[str, str | int]:
    """Return what the numbers were measured on: device, processor, versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": name,
        "processors": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(errors="replace"), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()
