"""The course of a run in words, and the page that shows it."""

from __future__ import annotations

import re
from typing import Any

from cyclerdm_cli.training.course import course_in_words, duration, measurements
from cyclerdm_cli.training.page import build_page


def log(gains: list[float], losses: list[float] | None = None) -> list[dict[str, Any]]:
    """Return the log of a run of ten minutes and a hundred iterations between two validations."""
    records: list[dict[str, Any]] = []
    for place, gained in enumerate(gains, 1):
        records.append(
            {
                "iteration": 100 * place, "share": place / (2 * len(gains)), "minutes": 10.0 * place, "phase": 0,
                "loss": losses[place - 1] if losses else 1 / place, "patches_per_second": 1.0,
            }
        )  # fmt: skip
        records.append({"iteration": 100 * place, "validation": {"derain": gained}})
    return records


def test_a_run_that_has_stopped_gaining_says_since_when() -> None:
    (said,) = [line for line in course_in_words(log([1.0, 3.0, 2.5, 2.8])) if line.startswith("derain")]
    assert said == (
        "derain: pictures kept apart gain +2.80 dB; the best was +3.00 dB, at iteration 200:"
        " validation has not improved for 20 minutes."
    )
    (said,) = [line for line in course_in_words(log([1.0, 3.0, 2.5, 2.995])) if line.startswith("derain")]
    assert "as good as the best, at iteration 200: validation has not improved for 20 minutes" in said


def test_minutes_since_the_last_validation_count() -> None:
    records = [*log([3.0, 2.0]), {"iteration": 290, "minutes": 29.0, "phase": 0, "loss": 0.3, "share": 0.6}]
    assert "has not improved for 19 minutes" in course_in_words(records)[-1]


def test_a_run_that_still_gains_says_by_how_much() -> None:
    assert course_in_words(log([1.0, 3.0]))[-1] == (
        "derain: pictures kept apart gain +3.00 dB, the best so far; +2.00 dB since the measurement before."
    )
    assert course_in_words(log([1.0]))[-1] == "derain: pictures kept apart gain +1.00 dB, measured once."


def test_without_minutes_it_is_said_in_iterations() -> None:
    records = [
        {"iteration": 100 * place, "validation": {"a": gain}} for place, gain in enumerate([3.0, 1.0, 2.0])
    ]
    assert "has not improved for 200 iterations" in course_in_words(records)[-1]
    assert course_in_words([]) == []


def test_where_the_run_is_and_where_the_loss_went() -> None:
    falling = course_in_words(log([0.0] * 16, [1.0 - place / 32 for place in range(16)]))
    assert (
        falling[0]
        == "Iteration 1600, phase 1, 50 % of the run, after 2 h 40 min; at this pace 2 h 40 min are left."
    )
    assert re.fullmatch(
        r"Loss of phase 1: from 0\.953\d to 0\.57\d* .*", falling[1].replace(" in its first quarter", "")
    )
    assert re.search(r"over the last it fell by 1\d %\.$", falling[1])
    assert course_in_words(log([0.0] * 16, [0.5] * 16))[1].endswith("over the last it has hardly changed.")
    assert "rose by" in course_in_words(log([0.0] * 16, [0.5] * 12 + [0.7] * 4))[1]


def test_times_in_words() -> None:
    assert [duration(minutes) for minutes in (0.5, 1, 20.4, 119, 125)] == [
        "30 seconds", "1 minute", "20 minutes", "119 minutes", "2 h 5 min",
    ]  # fmt: skip


def test_validations_have_the_time_of_the_step_before() -> None:
    assert [one.minutes for one in measurements(log([1.0, 2.0]))["derain"]] == [10.0, 20.0]


def test_the_page_has_words_curves_and_samples_and_needs_nothing_else() -> None:
    page = build_page("runs/<b>", log([1.0, 3.0, 2.5]), b"png")
    assert "validation has not improved for 10 minutes" in page
    assert page.count("<svg") == 2
    assert ">PSNR gained, dB</text>" in page
    assert ">iterations</text>" in page
    assert "runs/&lt;b&gt;" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    bare = build_page("new", [])
    assert "<svg" not in bare
    assert "<img" not in bare
    assert "Nothing is written down yet." in bare
