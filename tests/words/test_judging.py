"""From probabilities to a decision."""

from __future__ import annotations

import pytest

from cyclerdm_cli.words.judging import DOUBTED, PRESENT, in_order, judge
from cyclerdm_cli.words.wordings import NAMES


def likely(**values: float) -> list[float]:
    return [values.get(name.replace("-", "_"), 0.01) for name in NAMES]


def test_one_damage_is_one_task() -> None:
    found = judge(likely(derain=0.9, clean=0.1), missing=False)
    assert (found.tasks, found.sure) == (("derain",), True)
    assert str(found) == "derain 0.90, clean 0.10"


def test_two_damages_are_undone_in_order() -> None:
    found = judge(likely(low_light=0.9, denoise=0.7, dehaze=0.6), missing=False)
    assert found.tasks == ("denoise", "low-light")
    assert in_order(["dehaze", "derain"]) == ("derain", "dehaze")


def test_a_picture_is_brightened_once() -> None:
    found = judge(likely(backlight=0.9, low_light=0.8, denoise=0.7), missing=False)
    assert found.tasks == ("denoise", "backlight")


def test_a_clean_picture_is_left_alone_and_a_doubtful_one_is_asked_about() -> None:
    clean = judge(likely(clean=0.9, denoise=DOUBTED - 0.05), missing=False)
    assert (clean.tasks, clean.sure) == ((), True)
    doubtful = judge(likely(clean=0.1, denoise=0.1 + (DOUBTED + PRESENT) / 2), missing=False)
    assert (doubtful.tasks, doubtful.sure) == ((), False)
    faint = judge(likely(clean=0.5, denoise=0.6), missing=False)
    assert (faint.tasks, faint.sure) == ((), True)


@pytest.mark.parametrize(("missing", "tasks"), [(True, ("inpaint",)), (False, ())])
def test_only_what_is_white_or_transparent_is_filled_in(missing: bool, tasks: tuple[str, ...]) -> None:
    found = judge(likely(inpaint=0.99), missing=missing)
    assert found.tasks == tasks
