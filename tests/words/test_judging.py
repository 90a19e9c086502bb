"""From probabilities to a decision."""

from __future__ import annotations

import numpy as np
import pytest

from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.words.judging import (
    DARK_LUMA,
    DOUBTED,
    HAZY_DARK_CHANNEL,
    PRESENT,
    SURE_SECOND,
    Tones,
    in_order,
    judge,
    tones_of,
)
from cyclerdm_cli.words.wordings import NAMES

USUAL, NIGHT = Tones(5, DARK_LUMA + 60, 250, 20), Tones(0, DARK_LUMA - 10, 200, 5)
MIST = Tones(90, 150, 220, HAZY_DARK_CHANNEL + 10)


def likely(**values: float) -> list[float]:
    return [values.get(name.replace("-", "_"), 0.01) for name in NAMES]


def test_one_damage_is_one_task() -> None:
    found = judge(likely(derain=0.9, clean=0.1), missing=False, tones=USUAL)
    assert (found.tasks, found.sure) == (("derain",), True)
    assert str(found) == "derain 0.90, clean 0.10"


def test_two_damages_are_undone_in_order() -> None:
    found = judge(likely(low_light=0.95, denoise=0.7, dehaze=0.6), missing=False, tones=USUAL)
    assert found.tasks == ("denoise", "low-light")
    assert in_order(["dehaze", "derain"]) == ("derain", "dehaze")


def test_a_picture_is_brightened_once() -> None:
    found = judge(likely(backlight=0.9, low_light=0.8, denoise=0.7), missing=False, tones=USUAL)
    assert found.tasks == ("denoise", "backlight")


def test_a_clean_picture_is_left_alone_and_a_doubtful_one_is_asked_about() -> None:
    clean = judge(likely(clean=0.9, denoise=DOUBTED - 0.05), missing=False, tones=USUAL)
    assert (clean.tasks, clean.sure) == ((), True)
    doubtful = judge(likely(clean=0.1, denoise=0.1 + (DOUBTED + PRESENT) / 2), missing=False, tones=USUAL)
    assert (doubtful.tasks, doubtful.sure) == ((), False)
    faint = judge(likely(clean=0.5, denoise=0.6), missing=False, tones=USUAL)
    assert (faint.tasks, faint.sure) == ((), True)


@pytest.mark.parametrize(("missing", "tasks"), [(True, ("inpaint",)), (False, ())])
def test_only_what_is_white_or_transparent_is_filled_in(missing: bool, tasks: tuple[str, ...]) -> None:
    found = judge(likely(inpaint=0.99), missing=missing, tones=USUAL)
    assert found.tasks == tasks


def test_what_harms_much_wants_to_be_surer() -> None:
    wary = [task.name for task in TASKS if task.recognition.lead > PRESENT]
    assert set(wary) == {"desnow", "deblur", "dehaze", "low-light", "underwater", "backlight"}
    for name in wary:
        values = {name.replace("-", "_"): 0.4, "clean": 0.01}
        doubtful = judge(likely(**values), missing=False, tones=USUAL)
        assert (doubtful.tasks, doubtful.sure) == ((), False)
    assert judge(likely(denoise=0.4), missing=False, tones=USUAL).tasks == ("denoise",)


def test_a_dark_picture_is_brightened_on_less() -> None:
    assert judge(likely(low_light=0.7), missing=False, tones=NIGHT).tasks == ("low-light",)
    assert judge(likely(low_light=0.7), missing=False, tones=USUAL).tasks == ()


def test_a_picture_without_dark_places_is_dehazed_on_less() -> None:
    assert judge(likely(dehaze=0.4), missing=False, tones=MIST).tasks == ("dehaze",)
    assert judge(likely(dehaze=0.4), missing=False, tones=USUAL).tasks == ()
    assert judge(likely(derain=0.9, dehaze=0.6), missing=False, tones=MIST).tasks == ("derain",)


def test_a_second_damage_of_light_is_suggested_unless_it_is_sure() -> None:
    found = judge(likely(denoise=0.99, backlight=0.8), missing=False, tones=USUAL)
    assert (found.tasks, found.suggested) == (("denoise",), ("backlight",))
    sure = judge(likely(denoise=0.99, backlight=SURE_SECOND + 0.05), missing=False, tones=USUAL)
    assert (sure.tasks, sure.suggested) == (("denoise", "backlight"), ())
    dark = judge(likely(denoise=0.99, low_light=0.7), missing=False, tones=NIGHT)
    assert dark.tasks == ("denoise", "low-light")
    assert judge(likely(denoise=0.99, derain=0.6), missing=False, tones=USUAL).tasks == ("denoise", "derain")


@pytest.mark.parametrize("level", [0, 120, 255])
def test_a_frame_that_shows_nothing_is_left_alone(level: int) -> None:
    tones = tones_of(np.full((90, 70, 3), level, np.uint8))
    found = judge(likely(low_light=0.99), missing=False, tones=tones)
    assert (found.tasks, found.sure) == ((), True)


def test_tones_are_those_of_the_picture() -> None:
    pixels = np.zeros((900, 700, 3), np.uint8)
    pixels[:, :400] = (0, 200, 0)
    assert tones_of(pixels) == pytest.approx((0, 0.587 * 200, 0.587 * 200, 0))
