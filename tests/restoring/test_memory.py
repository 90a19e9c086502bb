"""Memory: what is foreseen grows as what is used; a limit makes tiles smaller, and refuses what cannot fit."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, tiny_network
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.commands.machine_options import read_memory
from cyclerdm_cli.device import Engine
from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.footprint import Extent
from cyclerdm_cli.restoring.memory import MemoryModel, model_of
from cyclerdm_cli.restoring.planning import Planner, RestoreOptions
from cyclerdm_cli.restoring.room import Room, in_words
from cyclerdm_cli.restoring.tiling import plan_grid

CPU = torch.device("cpu")
MB = 1_000_000


def limited(memory: int | None, **options: object) -> Planner:
    engine = Engine(CPU, torch.float32, "for the test")
    return Planner(tiny_network(), engine, RestoreOptions(memory=memory, **options))  # type: ignore[arg-type]


def test_half_the_bits_take_less() -> None:
    whole, half = (model_of(tiny_network(), CPU, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert 40 < half.a_pixel < whole.a_pixel < 2000


@pytest.mark.usefixtures("small_program")
def test_a_limit_makes_tiles_smaller_and_the_same_for_every_file() -> None:
    size = (3000, 4000)
    free = limited(10**10).plan(size)
    assert free == limited(None).plan(size)
    sides = [limited(limit * MB).plan(size).rows.tile for limit in (430, 450, 500, 900)]
    assert sides == sorted(sides)
    assert sides[0] < sides[-1] == free.rows.tile


@pytest.mark.usefixtures("small_program")
def test_what_a_plan_takes_stays_within_the_limit() -> None:
    for limit in (420, 450, 500):
        one = limited(limit * MB)
        needed = one.needs((2000, 3000), held=18 * MB, coding=20 * MB)
        assert 0 < needed + one._model.fixed <= limit * MB  # type: ignore[union-attr]


@pytest.mark.usefixtures("small_program")
def test_the_mean_of_mirror_images_counts() -> None:
    size, sum_and_image = (2000, 3000), (12 + 3) * 2000 * 3000
    same_tiles = [
        limited(10**10, tile=512, effort=effort).needs(size, 18 * MB, 20 * MB)
        for effort in ("normal", "best")
    ]
    assert sum_and_image <= same_tiles[1] - same_tiles[0] < 2 * sum_and_image
    for limit in (500, 600):
        normal, best = (limited(limit * MB, effort=effort) for effort in ("normal", "best"))
        assert best.plan(size).rows.tile < normal.plan(size).rows.tile
        assert best.needs(size, 18 * MB, 20 * MB) <= best.room.size  # type: ignore[operator]
    with pytest.raises(PictureError, match="more than --memory 430MB"):
        limited(430 * MB, effort="best").needs((3000, 4000), 36 * MB, 40 * MB)


@pytest.mark.usefixtures("small_program")
def test_too_low_a_limit_and_too_large_a_picture_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--memory 300MB: too little for any picture \(\d+MB or more"):
        limited(300 * MB)
    picture = Extent(8000, 9000, 8, "jpg")
    with pytest.raises(
        PictureError, match=r"9000 x 8000 pixels need 1\.\dGB of memory, more than --memory 500MB"
    ):
        limited(500 * MB).needs((8000, 9000), picture.held, picture.coding("keep"))
    with pytest.raises(PictureError, match="smaller --tile"):
        limited(400 * MB, tile=2048).needs((2048, 2048), 12 * MB, 40 * MB)


def test_a_graphics_card_holds_tiles_and_no_pictures() -> None:
    grid = plan_grid((4000, 6000), 512, 64, 32)
    area = grid.rows.tile * grid.columns.tile
    card, shared = MemoryModel(7, 10.0, together=False), MemoryModel(7, 10.0, together=True)
    assert card.whole(grid, 3, held=10**9, coding=10**9) == 7 + 30 * area
    assert shared.whole(grid, 3, held=10**9, coding=0) > 10**9 + 30 * area


def test_pictures_come_in_where_there_is_room_or_alone() -> None:
    room = Room(100)
    assert room.take(150)
    assert not room.take(1)
    room.leave()
    assert room.take(60)
    assert not room.take(60)
    assert room.take(40)
    assert all(Room(None).take(10**12) for _ in range(3))


@pytest.mark.parametrize(
    ("text", "bytes_"), [("2GB", 2 * 10**9), ("500mb", 500 * MB), ("1.5 GiB", 3 << 29), ("3g", 3 * 10**9)]
)
def test_amounts_are_read(text: str, bytes_: int) -> None:
    assert read_memory(text) == bytes_


@pytest.mark.parametrize("text", ["", "2", "much", "-1GB", "2TBs"])
def test_no_amounts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="500MB, 2GB"):
        read_memory(text)


def test_amounts_are_written_so_that_they_suffice_when_given_back() -> None:
    for bytes_ in (1, 399_000_001, 1_000_000_000, 1_234_567_890):
        assert (read_memory(in_words(bytes_)) or 0) >= bytes_


@pytest.mark.usefixtures("small_program")
def test_a_batch_under_a_limit_is_done_and_what_cannot_fit_is_named(
    tiny_weights: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (300, 400, 3), np.uint8)).save(tmp_path / f"{number}.png")
    Image.new("RGB", (9000, 8000)).save(tmp_path / "large.png")
    words = ["restore", str(tmp_path), "-o", f"{tmp_path}/out/", "--task", "denoise", "--memory", "400MB"]
    ended = CliRunner().invoke(app, [*words, "--weights", str(tiny_weights), "--device", "cpu"])
    assert ended.exit_code == 3
    assert len(ended.stdout.splitlines()) == 4
    assert re.search(
        r"large.png: 9000 x 8000 pixels need \S+ of memory, more than --memory 400MB", ended.stderr
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize(("effort", "size"), [("normal", (3000, 2500)), ("best", (2000, 1500))])
def test_a_process_stays_within_its_limit(
    tiny_weights: Path, tmp_path: Path, effort: str, size: tuple[int, int]
) -> None:
    picture = tmp_path / "photo.jpg"
    Image.effect_noise(size, 40).convert("RGB").save(picture)
    script = (
        "import re, sys\nfrom cyclerdm_cli.app import app\n"
        "try:\n    app(sys.argv[1:])\n"
        "finally:\n    print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )

    def restored(limit: str) -> subprocess.CompletedProcess[str]:
        words = [
            "restore",
            str(picture),
            "--task",
            "denoise",
            "--memory",
            limit,
            "--weights",
            str(tiny_weights),
            "--effort",
            effort,
        ]
        return subprocess.run(
            [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=300, check=False
        )

    # How much the libraries take differs from build to build: the program says what it needs at least.
    refused = restored("100MB")
    least = read_memory(re.search(r"([\d.]+[MG]B) or more", refused.stderr)[1])  # type: ignore[index]
    assert least is not None
    limit = least + 110 * MB
    ended = restored(f"{limit // MB}MB")
    assert ended.returncode == 0, ended.stderr
    assert 1024 * int(ended.stdout.split()[-1]) <= limit


def test_filling_holes_counts_for_the_whole_picture_whatever_the_tiles() -> None:
    plain, filling = (
        model_of(tiny_network(config=replace(TINY, fills=fills)), CPU, torch.float32)
        for fills in (False, True)
    )
    grid = plan_grid((4096, 4096), 256, 64, 16)
    assert plain.a_whole_pixel == 0
    assert filling.whole(grid, 1, 0, 0) - filling.fixed >= 40 * 4096**2
    assert plain.whole(grid, 1, 0, 0) - plain.fixed < 10 * 4096**2
