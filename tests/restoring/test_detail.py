"""Detail that the network took comes back where it stands out of the noise, and neither noise nor light does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_network
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.device import Engine
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.restoring import detail as module
from cyclerdm_cli.restoring.asked import check_detail
from cyclerdm_cli.restoring.detail import bring_back
from cyclerdm_cli.restoring.planning import Planner, RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.restoring.restorers import Kit
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.weights.choosing import choose

CPU = Engine(torch.device("cpu"), torch.float32, "for the test")
SIZE = (300, 200)
GREY = np.full((*SIZE, 3), 128, np.uint8)
"""What a network that takes everything away leaves."""


def restorer(**options: object) -> Restorer:
    return Restorer(tiny_network(), CPU, RestoreOptions(**options))  # type: ignore[arg-type]


def noise(deviation: float) -> np.ndarray:
    """Return noise of each colour on grey."""
    values = GREY + np.random.default_rng(3).normal(0, deviation, GREY.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def lines(height: int) -> np.ndarray:
    """Return stripes of two pixels in one quarter of the picture."""
    added = np.zeros((*SIZE, 1))
    added[:150, :100] = np.where(np.arange(100) // 2 % 2, height, -height)[:, None]
    return added


def brought_back(before: np.ndarray, amount: float = 1.0, after: np.ndarray = GREY) -> np.ndarray:
    """Return what is added to a result, (H, W, 3)."""
    result = after.copy()
    bring_back(before, result, amount)
    return result.astype(float) - after


def test_noise_alone_stays_away() -> None:
    for deviation in (2, 10, 40):
        assert brought_back(noise(deviation)).std() < 0.1 * deviation


def test_detail_above_the_noise_comes_back_in_proportion() -> None:
    before = np.clip(noise(8) + lines(40), 0, 255).astype(np.uint8)
    whole, half = brought_back(before), brought_back(before, 0.5)
    there, elsewhere = np.s_[10:140, 10:90], np.s_[160:, 110:]
    wanted = np.broadcast_to(lines(40), whole.shape)[there]
    assert (whole[there] * wanted).sum() / (wanted**2).sum() > 0.6
    assert np.abs(whole[elsewhere]).mean() < 0.5
    assert np.abs(half - whole / 2).max() <= 1
    np.testing.assert_array_equal(whole[..., 0], whole[..., 1])


def test_light_does_not_come_back() -> None:
    lighter = noise(4) + np.linspace(-60, 60, SIZE[0])[:, None, None]
    assert np.abs(brought_back(np.clip(lighter, 0, 255).astype(np.uint8))).mean() < 1


def test_dark_and_bright_places_have_noise_of_their_own() -> None:
    after = GREY.copy()
    after[:, :100], after[:, 100:] = 40, 220
    loud = np.where(np.arange(200) < 100, 3, 12)[:, None]
    values = after + loud * np.random.default_rng(5).normal(0, 1, after.shape)
    added = brought_back(np.clip(np.rint(values), 0, 255).astype(np.uint8), 1.0, after)
    assert added[20:-20, 120:180].std() < 1.2


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (200, 2), (127, 40), (129, 40), (300, 41)])
def test_strips_of_any_height_give_the_same(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    before, after = (random.integers(0, 65536, (*size, 3), np.uint16) for _ in range(2))
    before[:, ::3] //= 2
    found = []
    for rows in (64, 128, 1000):
        monkeypatch.setattr(module, "STRIP", rows)
        found.append(brought_back(before, 1.0, after))
    for other in found[1:]:
        assert np.abs(found[0] - other).max() <= 1  # of 65535


def test_eight_and_sixteen_bits_agree() -> None:
    before = np.clip(noise(8) + lines(40), 0, 255).astype(np.uint8)
    eight = brought_back(before)
    sixteen = brought_back(before.astype(np.uint16) * 257, 1.0, GREY.astype(np.uint16) * 257)
    assert np.abs(eight - sixteen / 257).max() <= 0.51


def test_a_restorer_gives_the_same_whatever_the_tiles_the_batch_and_whose_memory(
    photograph: np.ndarray,
) -> None:
    picture = np.tile(photograph, (2, 2, 1))
    plain = restorer(tile=0).restore(picture)
    whole = restorer(tile=0, detail=1.0).restore(picture)
    expected = plain.copy()
    bring_back(picture, expected, 1.0)
    assert (expected != plain).any()
    np.testing.assert_array_equal(whole, expected)
    tiled = restorer(tile=128, overlap=64, detail=1.0).restore(picture)
    assert np.abs(whole.astype(int) - tiled).max() <= 2  # a level of the tiles, and what comes of it
    assert (whole != tiled).mean() < 0.02
    own = picture.copy()
    np.testing.assert_array_equal(restorer(tile=0, detail=1.0).restore(own, in_place=True), whole)
    together = restorer(tile=0, detail=1.0).restore_together([picture, picture[::-1].copy()])
    assert np.abs(whole.astype(int) - together[0]).max() <= 1
    still = restorer(detail=1.0).with_shares(0.0, 1.0).restore(picture)
    np.testing.assert_array_equal(still, picture)


def test_no_detail_is_the_result_to_the_byte(photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclerdm_cli.restoring.restorer.bring_back", None)
    restorer().restore(photograph)


@pytest.mark.usefixtures("small_program")
def test_the_picture_beside_its_result_counts_in_memory() -> None:
    size, held, coding = (2000, 3000), 18_000_000, 20_000_000
    plain, comparing = (
        Planner(tiny_network(), CPU, RestoreOptions(memory=10**10, tile=512, detail=detail))
        for detail in (0.0, 0.5)
    )
    more = comparing.needs(size, held, coding) - plain.needs(size, held, coding)
    assert 6 * 2000 * 3000 <= more < 12 * 2000 * 3000


@pytest.mark.usefixtures("families")
def test_it_holds_for_the_tasks_that_can_give_some() -> None:
    kit = Kit({task.name: choose("small", task.name) for task in TASKS}, RestoreOptions(detail=0.5))
    given = [task.name for task in TASKS if kit.options_for(task.name).detail]
    assert given == ["dejpeg", "denoise"]
    check_detail("--detail", 0.5, [])
    check_detail("--detail", 0.5, [find_task("derain"), find_task("denoise")])
    check_detail("--detail", 0.0, [find_task("derain")])
    with pytest.raises(UsageError, match=r"--detail goes with dejpeg or denoise.*what derain takes"):
        check_detail("--detail", 0.5, [find_task("derain")])


def test_the_command_takes_it(tiny_weights: Path, photograph_file: Path, tmp_path: Path) -> None:
    def call(*words: str) -> tuple[int, str, bytes]:
        place = tmp_path / "out.png"
        said = CliRunner().invoke(
            app, ["restore", str(photograph_file), "--weights", str(tiny_weights), "--device", "cpu",
                  "-o", str(place), "--overwrite", *words]
        )  # fmt: skip
        return said.exit_code, said.stderr, place.read_bytes()

    plain = call("--task", "denoise")
    assert call("--task", "denoise", "--detail", "0") == plain
    status, _, some = call("--task", "denoise", "--detail", "0.8")
    assert (status, some != plain[2]) == (0, True)
    assert Image.open(tmp_path / "out.png").size == Image.open(photograph_file).size
    status, err, _ = call("--task", "derain", "--detail", "0.5")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "goes with dejpeg or denoise" in err
    for beyond in ("1.1", "nan"):
        assert call("--task", "denoise", "--detail", beyond)[0] == 2
