"""Every command of docs/own-task.md, run as it stands there, with tiny pictures and a tiny recipe."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "own-task.md"
TINY_RECIPE = (
    "--iterations 4 --scene 32 --patch 32 --scenes 1 --validations 2 --validation-pictures 2 --log-every 2 "
    "--device cpu --precision fp32"
)
ONE_AFTER_THE_OTHER = "export OMP_NUM_THREADS=1"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def scaled_down(line: str) -> str:
    """Return a command of the page that trains for a moment; its last `--iterations` keep their proportion."""
    wanted = re.search(r"--iterations (\d+)", line)
    if " train " not in line:
        return line
    count = int(wanted[1]) // 150 if wanted else 4
    return f"{line} {TINY_RECIPE.replace('--iterations 4', f'--iterations {count}')}"


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = f'cyclerdm() {{ "{sys.executable}" -m cyclerdm_cli "$@"; }}; {ONE_AFTER_THE_OTHER}; {line}'
    return subprocess.run(["bash", "-c", program], cwd=folder, capture_output=True, text=True, timeout=300)


def picture(number: int) -> np.ndarray:
    rows, columns = np.mgrid[:48, :56]
    waves = [np.sin(rows / (5 + number % 7 + c)) * np.cos(columns / (6 + c)) for c in range(3)]
    return (120 + 90 * np.stack(waves, 2)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with twenty pairs, pairs to test on, and a new picture, all of them misty."""
    for place, count in (("mist", 20), ("test", 2)):
        for side in ("lq", "gt"):
            (tmp_path / place / side).mkdir(parents=True)
        for number in range(count):
            clear = picture(number + 30 * (place == "test"))
            Image.fromarray(clear).save(tmp_path / place / "gt" / f"{number:03}.png")
            misty = (128 + clear / 2).clip(0, 255).astype(np.uint8)
            Image.fromarray(misty).save(tmp_path / place / "lq" / f"{number:03}.png")
    Image.open(tmp_path / "test" / "lq" / "000.png").save(tmp_path / "new.jpg", quality=95)
    return tmp_path


def test_every_command_of_the_page_does_what_it_says(folder: Path) -> None:
    told = {}
    for line in commands():
        done = run(scaled_down(line), folder)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        told[line] = done.stdout + done.stderr
    dry, first, again, *_ = told.values()
    assert "19 pairs, 1 kept apart to measure on" in dry
    assert re.search(
        r"4 iterations, dB gained: mist [+-]\d+\.\d\d \([+-]\d+\.\d\d on pairs learned from\)", first
    )
    assert re.search(r"8 iterations, dB gained: mist", again)
    assert len(list((folder / "runs" / "mist").glob("*.png"))) == 2
    with Image.open(folder / "clear.png") as clear, Image.open(folder / "new.jpg") as misty:
        assert clear.size == misty.size
        assert (np.asarray(clear) != np.asarray(misty)).any()
    assert (folder / "new_try.html").stat().st_size > 1000
    assert "mist" in told[commands()[-1]]


def test_what_the_page_quotes_of_a_run_is_what_a_run_says() -> None:
    from cyclerdm_cli.commands.train import _line

    quoted = _line({"iteration": 400, "validation": {"mist": 3.1}, "learned": {"mist": 3.6}})
    assert quoted in PAGE.read_text(encoding="utf-8")
