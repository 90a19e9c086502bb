"""The ranges of what flows in a trained network, by which it runs in 8-bit integers: measured on its own damage.

`python -m cyclerdm_cli.training.ranges --data photographs` measures those of the package's weights that lack them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from cyclerdm_cli.cycle.compact import PARTS, CompactNetwork
from cyclerdm_cli.cycle.integer_unet import Ranges, watch_ranges
from cyclerdm_cli.training.batches import BatchSource
from cyclerdm_cli.training.configuration import Phase, TrainingConfig
from cyclerdm_cli.training.objective import Objective

BATCHES = 24
FIRST = 1_000_000_000
"""Number of the first batch, beyond those that are learned from."""
DIGITS = 4
"""Of the numbers that are kept."""


def measure_ranges(network: CompactNetwork, source: BatchSource, config: TrainingConfig) -> dict[str, Ranges]:
    """Run stages 2 and 3 on damage of all severities, and return the ranges of what flows in them.

    Args:
        network: in float32.
        source: of the batches.
        config: the recipe, whose last phase says how large they are.
    """
    phase = max(config.phases, key=lambda one: max(one.stages))
    phase = replace(phase, stages=(2, 3)) if max(phase.stages) > 1 else _small(phase)
    objective = Objective(config)
    with (
        watch_ranges(network.detail) as detail,
        watch_ranges(network.calibration) as calibration,
        torch.no_grad(),
    ):
        for number in range(BATCHES):
            objective(network, source.draw(FIRST + number, phase), (2, 3))
    return {part: _rounded(found) for part, found in zip(PARTS, (detail, calibration), strict=True)}


def _small(phase: Phase) -> Phase:
    return replace(phase, stages=(2, 3), patch=min(phase.patch, 128))


def _rounded(ranges: Ranges) -> Ranges:
    return {name: (_shorten(low), _shorten(high)) for name, (low, high) in ranges.items()}


def _shorten(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _measure_shipped(data: Path) -> Mapping[str, Mapping[str, Ranges]]:
    """Return the ranges of the package's weights by sha256: as they are known, and of all others measured."""
    from cyclerdm_cli.tasks.catalogue import TASKS
    from cyclerdm_cli.training.processes import Processes
    from cyclerdm_cli.training.recipe import PACKAGE_RECIPE, read_recipe
    from cyclerdm_cli.training.run import DataFolder, Run, find_data, read_source
    from cyclerdm_cli.weights.checking import sha256_of
    from cyclerdm_cli.weights.loading import load_network
    from cyclerdm_cli.weights.ranges import PACKAGE, shipped_ranges

    found: dict[str, Mapping[str, Ranges]] = {}
    for task in TASKS:
        path = PACKAGE / f"compact-{task.name}.safetensors"
        network, header = load_network(path)
        if header.ranges or not isinstance(network, CompactNetwork):
            continue
        sha256 = sha256_of(path)
        found[sha256] = shipped_ranges(sha256)
        if not found[sha256]:
            recipe = read_recipe(task, "cpu", str(PACKAGE_RECIPE), {"precision": "fp32"})
            run = Run(task=task, data=(DataFolder(data, False),), out=Path(), recipe=recipe)
            source = read_source(run, find_data(run), torch.device("cpu"), Processes())
            found[sha256] = measure_ranges(network, source, recipe)
        print(task.name)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of clean photographs")
    from cyclerdm_cli.weights.ranges import TABLE

    TABLE.write_text(
        json.dumps(_measure_shipped(parser.parse_args().data), indent=1) + "\n", encoding="utf-8"
    )
