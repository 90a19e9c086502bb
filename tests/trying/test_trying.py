"""Tasks tried on one picture: what is tried, in which order, and what is shown at full size."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import TINY, tiny_network

from cyclerdm_cli.cycle.compact import CompactConfig
from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.restoring.choosing import Choice
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.trying.trying import DETAIL, LONGEST, Subject, rows_of_tasks, spot_of_change, try_tasks

LIGHT = CompactConfig(**{**TINY.to_json(), "task": "dehaze", "light": True})
FILLING = CompactConfig(**{**TINY.to_json(), "task": "inpaint", "fills": True})


def choice(*tasks: str, doubt: str = "", **likely: float) -> Choice:
    seen = {name.replace("_", "-"): value for name, value in likely.items()}
    return Choice([find_task(name) for name in tasks], seen, "", doubt)


def subject(pixels: np.ndarray, alpha: np.ndarray | None = None) -> Subject:
    return Subject.of(Picture(pixels=pixels, alpha=alpha))


def names(rows: list) -> list[str]:
    return ["+".join(task.name for task in row) for row in rows]


def restorer(config: CompactConfig = TINY) -> Restorer:
    return Restorer(tiny_network(1, config), choose_engine("cpu", "fp32"), RestoreOptions(tile=0))


@pytest.fixture
def large() -> np.ndarray:
    """Return a picture of (900, 1300, 3) with noise in one place alone."""
    rows, columns = np.mgrid[:900, :1300]
    waves = 110 + 60 * np.sin(rows / 37) * np.cos(columns / 53)
    waves[500:800, 900:1200] += np.random.default_rng(0).normal(0, 40, (300, 300))
    return np.clip(np.stack([waves, waves + 9, waves - 9], 2), 0, 255).astype(np.uint8)


def test_what_auto_would_do_comes_first_then_each_task_by_how_likely_it_is(photograph: np.ndarray) -> None:
    found = names(
        rows_of_tasks(choice("derain", "dehaze", derain=0.5, dehaze=0.7), TASKS, subject(photograph))
    )
    assert found[:3] == ["derain+dehaze", "dehaze", "derain"]
    assert sorted(found[1:]) == sorted(task.name for task in TASKS if not task.masked)


def test_unlikely_tasks_of_light_come_last_as_they_change_every_picture(photograph: np.ndarray) -> None:
    found = names(
        rows_of_tasks(choice(backlight=0.04, low_light=0.3, derain=0.01), TASKS, subject(photograph))
    )
    assert found[0] == "low-light"
    assert set(found[-3:]) == {"backlight", "dehaze", "underwater"}


def test_what_is_in_doubt_is_not_run_together(photograph: np.ndarray) -> None:
    rows = rows_of_tasks(choice("derain", "dehaze", doubt="not known"), TASKS, subject(photograph))
    assert all(len(row) == 1 for row in rows)


def test_cut_out_parts_are_filled_in_first_and_burnt_out_light_is_not(photograph: np.ndarray) -> None:
    cut_out, burnt_out = photograph.copy(), photograph.astype(float)
    cut_out[20:40, 20:60] = 255
    rows, columns = np.mgrid[:97, :131]
    burnt_out += 900 * np.exp(-((rows - 40) ** 2 + (columns - 60) ** 2) / 900)[:, :, None]
    white = np.clip(burnt_out, 0, 255).astype(np.uint8)
    assert (white == 255).all(axis=2).mean() > 0.05
    assert names(rows_of_tasks(choice(), TASKS, subject(cut_out)))[0] == "inpaint"
    assert "inpaint" not in names(rows_of_tasks(choice(), TASKS, subject(white)))
    assert "inpaint" in names(rows_of_tasks(choice(inpaint=0.4), TASKS, subject(white)))


def test_transparent_parts_are_filled_in_first(photograph: np.ndarray) -> None:
    alpha = np.full(photograph.shape[:2], 255, np.uint8)
    alpha[5:9, 5:9] = 0
    assert names(rows_of_tasks(choice(), TASKS, subject(photograph, alpha)))[0] == "inpaint"


def test_filling_that_is_asked_for_by_name_needs_something_to_fill(photograph: np.ndarray) -> None:
    with pytest.raises(PictureError, match="nothing to fill in"):
        rows_of_tasks(choice(), [find_task("inpaint")], subject(photograph), named=True)
    with pytest.raises(PictureError, match="would fill in everything"):
        rows_of_tasks(
            choice(), [find_task("inpaint")], subject(np.full((8, 8, 3), 255, np.uint8)), named=True
        )


def test_named_tasks_alone_are_tried(photograph: np.ndarray) -> None:
    tasks = [find_task("desnow"), find_task("derain")]
    seen = choice("derain", "dehaze", derain=0.9, dehaze=0.8)
    assert names(rows_of_tasks(seen, tasks, subject(photograph), named=True)) == ["derain", "desnow"]


def test_the_spot_is_where_the_most_changes(large: np.ndarray) -> None:
    shown = subject(large)
    assert max(shown.small.shape) == LONGEST
    changed = shown.small.copy()
    changed[500:520, 800:830] += 9
    rows, columns = spot_of_change(shown.small, changed, large.shape[:2])
    assert (rows.stop - rows.start, columns.stop - columns.start) == (DETAIL, DETAIL)
    assert rows.start <= 500 * 1.3
    assert rows.stop >= min(520 * 1.3, 900)
    assert columns.start <= 800 * 1.3
    assert columns.stop >= 830 * 1.3


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (353, 352)])
def test_the_spot_lies_inside_pictures_of_every_shape(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    shown = subject(pixels)
    changed = shown.small.copy()
    changed[-1, -1] = 200
    rows, columns = spot_of_change(shown.small, changed, size)
    assert pixels[rows, columns].shape[:2] == (min(size[0], DETAIL), min(size[1], DETAIL))


@pytest.mark.parametrize("config", [TINY, LIGHT])
def test_the_detail_is_what_restoring_the_whole_picture_leaves_there(
    large: np.ndarray, config: CompactConfig
) -> None:
    one = restorer(config)
    (trial,) = try_tasks(subject(large), [[find_task(config.task)]], {config.task: 0.4}, lambda name: one)
    whole = one.restore(large)[trial.window].astype(int)
    assert trial.likely == 0.4
    assert np.abs(whole - large[trial.window]).max() > 3
    np.testing.assert_array_equal(trial.before, large[trial.window])
    assert np.abs(whole - trial.after).max() <= 1
    np.testing.assert_array_equal(trial.small, one.restore(subject(large).small))


def test_tasks_in_a_row_work_on_what_the_one_before_left(large: np.ndarray) -> None:
    both = {"denoise": restorer(), "dehaze": restorer(LIGHT)}
    tasks = [find_task(name) for name in both]
    (trial,) = try_tasks(subject(large), [tasks], {}, both.__getitem__)
    whole = both["dehaze"].restore(both["denoise"].restore(large))[trial.window].astype(int)
    assert (trial.name, trial.likely) == ("denoise+dehaze", None)
    assert np.abs(whole - trial.after).mean() < 1


def test_holes_alone_are_filled(large: np.ndarray) -> None:
    large[100:140, 200:260] = 255
    (trial,) = try_tasks(subject(large), [[find_task("inpaint")]], {}, lambda name: restorer(FILLING))
    assert trial.visible
    changed = (trial.before != trial.after).any(axis=2)
    assert changed.any()
    assert (trial.before[changed] == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (17, 1)])
def test_tiny_pictures_are_tried_too(size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 90, np.uint8)
    (trial,) = try_tasks(subject(pixels), [[find_task("denoise")]], {}, lambda name: restorer())
    assert trial.after.shape == trial.small.shape == (*size, 3)


def test_sixteen_bits_are_tried_at_eight() -> None:
    pixels = np.full((20, 30, 3), 40_000, np.uint16)
    assert subject(pixels).pixels.dtype == np.uint8


def test_transparency_is_shown_on_white(photograph: np.ndarray) -> None:
    alpha = np.full(photograph.shape[:2], 255, np.uint8)
    alpha[:10] = 0
    shown = subject(photograph, alpha)
    visible = shown.shown(shown.small)
    assert (visible[:10] == 255).all()
    np.testing.assert_array_equal(visible[10:], photograph[10:])
