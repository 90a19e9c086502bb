"""What a call imports before a picture is computed: torch, which takes a second, comes only with a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys
from cyclerdm_cli.app import main
try:
    main()
finally:
    print("loaded:", *sorted({"torch", "requests", "fsspec", "ray"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def folder(tmp_path: Path, photograph_file: Path) -> Path:
    """Return a folder with two photographs and, in out/, a result for each."""
    (tmp_path / "out").mkdir()
    for name in ("a.png", "b.png", "out/a.png", "out/b.png"):
        shutil.copy(photograph_file, tmp_path / name)
    return tmp_path


def start(folder: Path, words: str) -> tuple[int, str, str, list[str]]:
    """Run the command in a process of its own; return status, output, what is said, and what was imported."""
    environment = os.environ | {"CYCLERDM_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words.split()],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    *said, loaded = done.stderr.splitlines()
    assert loaded.startswith("loaded:"), done.stderr
    return done.returncode, done.stdout, "\n".join(said), loaded.removeprefix("loaded:").split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--version", "cyclerdm"),
        ("--help", "restore"),
        ("weights list", "compact-denoise"),
        ("restore a.png --task denoise --device cpu --dry-run", "1 tile"),
        ("restore a.png b.png -o new/ --task derain+dehaze --device cpu --dry-run --json", '"planned"'),
        ("enhance a.png --device cpu --dry-run", "a.png"),
        ("restore a.png b.png -o out/ --task denoise --device cpu --skip-existing --json", '"skipped": 2'),
        ("restore a.png b.png -o out/ --device cpu --skip-existing --json", '"skipped": 2'),
        (
            "restore a.png b.png -o out/ --task denoise --device cpu --sequence --skip-existing --json",
            '"skipped": 2',
        ),
    ],
)
def test_nothing_heavy_is_imported_where_no_picture_is_computed(folder: Path, words: str, told: str) -> None:
    status, out, said, loaded = start(folder, words)
    assert status == 0, said
    assert told in out
    assert loaded == []


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ("restore missing.png --task denoise --device cpu", 1, "missing.png: no such file"),
        ("restore missing.png --device cpu", 1, "missing.png: no such file"),
        ("restore a.png --task nosuch", 2, "unknown task"),
        ("restore a.png --task denoise --device toaster", 2, "unknown device"),
        ("restore a.png --task denoise --precision fp8", 2, "unknown precision"),
        ("restore a.png --task denoise --weights missing.safetensors", 4, "no such file of weights"),
        ("restore a.png --task denoise --strength 2", 2, "strength"),
        ("restore a.png --task denoise --no-such-option", 2, "No such option"),
        ("restore a.png b.png -o out/ --task denoise --device cpu", 1, "exists already"),
    ],
)
def test_faults_of_usage_are_told_without_anything_heavy(
    folder: Path, words: str, status: int, told: str
) -> None:
    found, _, said, loaded = start(folder, words)
    assert found == status, said
    assert told in said
    assert loaded == []


def test_a_dry_run_tells_of_the_precision_once_it_is_measured(folder: Path) -> None:
    words = "restore a.png --task denoise --device cpu"
    assert "cpu, auto (asked for; the fastest, to be measured)" in start(folder, f"{words} --dry-run")[2]
    status, _, said, loaded = start(folder, f"{words} -o new.png -v")
    assert (status, loaded) == (0, ["torch"]), said
    engine = next(line for line in said.splitlines() if line.startswith("weights ")).partition(", ")[2]
    _, _, said, loaded = start(folder, f"{words} --dry-run")
    assert engine in said
    assert loaded == []


def test_a_batch_goes_on_behind_the_results_that_are_there(folder: Path) -> None:
    (folder / "out" / "b.png").unlink()
    words = "restore a.png b.png -o out/ --task denoise --device cpu --skip-existing --json"
    status, out, said, loaded = start(folder, words)
    assert (status, loaded) == (0, ["torch"]), said
    assert '"ok": 1, "skipped": 1' in out
