"""Which precision this processor is fastest in: measured once, in some milliseconds, and kept.

What was kept is read without torch.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from pathlib import Path

from cyclerdm_cli.folders import cache_folder
from cyclerdm_cli.installed_torch import torch_build

GAIN = 1.2
"""So much faster a coarser precision must be to be worth it."""
ABILITIES = {
    "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "amx_fp16",
    "asimd", "asimddp", "i8mm", "bf16", "sve",
}  # fmt: skip
"""What Linux says that a processor can do, and that matters here; a virtual machine may lack some of it."""
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


def is_measured() -> bool:
    """Tell whether the measurement of this processor was kept."""
    return describe_machine() in _read(cache_folder() / KEPT)


def describe_machine() -> str:
    """Return words that differ where another precision may be the fastest: processor, torch, what limits it."""
    limits = [os.environ.get(name, "") for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")]
    return " ".join(filter(None, (_describe_processor(), torch_build().version, *limits)))


@cache
def _describe_processor() -> str:
    """Return the processor's name and those of ABILITIES that it has."""
    facts: dict[str, str] = {}
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        for line in text.partition("\n\n")[0].splitlines():  # the first of its cores
            name, _, value = line.partition(":")
            facts[name.strip()] = value.strip()
    model = facts.get("model name") or platform.processor() or platform.machine()
    able = ABILITIES & {*facts.get("flags", "").split(), *facts.get("Features", "").split()}
    return " ".join((model, *sorted(able)))


def _measure() -> dict[str, float]:
    # Torch takes a second to import, and is not needed where a measurement was kept.
    from cyclerdm_cli.processor_timing import measure_block

    return measure_block()


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
