"""A run says when its network learns pairs by heart, and only then."""

from __future__ import annotations

import pytest

from cyclerdm_cli.training.by_heart import said_of


def record(iteration: int, apart: float, learned: float) -> dict[str, object]:
    return {"iteration": iteration, "validation": {"mist": apart}, "learned": {"mist": learned}}


def test_better_on_what_is_learned_and_worse_on_the_rest_is_said() -> None:
    records = [
        record(100, 2.0, 2.5),
        {"iteration": 150, "loss": 0.1},
        record(200, 3.0, 3.4),
        record(300, 2.6, 4.4),
    ]
    assert said_of(records, "mist").startswith(
        "learned by heart: since iteration 200 the pairs learned from gained 1.00 dB, "
        "and those kept apart lost 0.40;"
    )


@pytest.mark.parametrize(
    "gains",
    [
        [],
        [(3.0, 3.4)],
        [(2.0, 2.5), (3.0, 3.4)],
        [(3.0, 3.4), (2.95, 5.0)],
        [(3.0, 3.4), (2.0, 2.2)],
        [(3.0, 3.4), (2.0, 4.4), (3.1, 5.0)],
    ],
)
def test_all_else_is_not(gains: list[tuple[float, float]]) -> None:
    records = [record(100 * place, *pair) for place, pair in enumerate(gains, 1)]
    assert said_of(records, "mist") == ""


def test_runs_without_pairs_kept_apart_say_nothing() -> None:
    records = [{"iteration": n, "validation": {"mist": float(-n)}} for n in range(3)]
    assert said_of(records, "mist") == ""
