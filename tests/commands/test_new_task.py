"""A further task is one module and one entry: with these alone it is trained, restored, measured and known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cyclerdm_cli

PACKAGE = Path(cyclerdm_cli.__file__).parent
MODULE = '''
"""Colours that have faded with age."""

from cyclerdm_cli.tasks.degradation import Degraded


def degrade(clean, severity, generator):
    grey = clean.mean(1, keepdim=True)
    return Degraded(clean + 0.8 * severity.view(-1, 1, 1, 1) * (grey - clean))
'''
ENTRY = 'Task("old-print", "restore", "colours that have faded", "a faded photograph", tone=True)'
PROGRAM = """
import sys
from random import Random
from typer.testing import CliRunner
from cyclerdm_cli.app import app

def call(line):
    result = CliRunner().invoke(app, line.split(), env={"COLUMNS": "200"})
    assert result.exit_code == 0, (line, result.output, result.exception)
    return result.output

assert "old-print" in call("restore --help")
call("train --task old-print --data photographs --out run --iterations 2 --scene 32 --patch 32 --scenes 1 "
     "--validations 0 --device cpu --precision fp32")
trained = "--task old-print --weights run/weights.safetensors"
call(f"restore pairs/lq/0.png -o restored.png {trained}")
call(f"bench --lq pairs/lq --gt pairs/gt --json report.json {trained}")
assert "old-print" in open("report.json").read()

# The CLIP in the package does not know it: it sees the others as before, and the task is known by its own words.
call("restore pairs/lq/0.png -o looked_at.png --task auto")
from cyclerdm_cli.words.phrases import find_named
assert find_named("This is a faded photograph", ["old-print"])[0] == {"old-print"}

# The next one learns it with all the others.
from cyclerdm_cli.recognising.sightings import draw_names
from cyclerdm_cli.words.wordings import wordings
drawn = [draw_names(Random(seed)) for seed in range(300)]
assert any("old-print" in names for names in drawn)
assert all(wordings().draw(names, Random(0)) for names in drawn)
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a folder with a copy of the program that has one task more, and pictures to work on."""
    shutil.copytree(
        PACKAGE,
        tmp_path / PACKAGE.name,
        copy_function=os.symlink,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    registry = PACKAGE.parent / "weights.toml"  # beside the package where it is installed from a checkout
    if registry.is_file():
        (tmp_path / registry.name).symlink_to(registry)
    tasks = tmp_path / PACKAGE.name / "tasks"
    (tasks / "old_print.py").write_text(MODULE)
    catalogue = tasks / "catalogue.py"
    before = catalogue.read_text()
    catalogue.unlink()
    catalogue.write_text(before.replace('\n)\n"""In the order', f'\n    {ENTRY},\n)\n"""In the order'))
    assert ENTRY in catalogue.read_text()
    rows, columns = np.mgrid[:48, :64]
    for number in range(2):
        waves = [np.sin(rows / (5 + number + c)) * np.cos(columns / (6 + c)) for c in range(3)]
        clean = (120 + 90 * np.stack(waves, 2)).astype(np.uint8)
        faded = (0.3 * clean + 0.7 * clean.mean(2, keepdims=True)).astype(np.uint8)
        for folder, pixels in (("photographs", clean), ("pairs/gt", clean), ("pairs/lq", faded)):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def test_a_module_and_an_entry_are_all_that_a_task_takes(copied: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=copied,
        env={**os.environ, "PYTHONPATH": str(copied), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
