"""Files that arrive: handed out once they stand still, again when they change or after a while; never results."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.arrivals import (
    FIRST_RETRY,
    FORGETTING,
    LAST_RETRY,
    RESULT,
    STILL,
    SURE,
    Arrivals,
    Watched,
)
from cyclerdm_cli.pictures.listing import Input
from cyclerdm_cli.pictures.naming import Job, plan_outputs
from cyclerdm_cli.pictures.result_names import ResultNames


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def arrivals(clock: Callable[[], float], output: str = "out/", recursive: bool = False) -> Arrivals:
    folder = Path("in")
    results = ResultNames(output, "denoise", "keep", [folder], recursive)

    def plan(entry: Input) -> Job:
        return plan_outputs([entry], output, "denoise")[0]

    return Arrivals(Watched([folder], recursive, (), (), results), plan, clock)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock, in a folder that has another one, `in`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return Clock()


def put(name: str, text: str = "x") -> None:
    path = Path("in", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(found: Arrivals, clock: Clock, seconds: float = STILL) -> list[str]:
    """Look, wait, and return what is ready then."""
    found.look()
    clock.now += seconds
    return [one.job.input.relative for one in found.look()]


def test_a_file_is_handed_out_once_and_only_when_it_stands_still(clock: Clock) -> None:
    here = arrivals(clock)
    put("10.png")
    put("2.png")
    put(".hidden.png")
    put("b.jpg.part")
    assert names(here, clock, STILL / 2) == []
    put("2.png", "more than before")
    clock.now += STILL / 2
    assert [one.job.input.relative for one in here.look()] == ["10.png"]
    assert names(here, clock) == ["2.png"]
    assert names(here, clock, 10 * LAST_RETRY) == []


def test_what_is_changed_later_is_looked_at_once_more(clock: Clock) -> None:
    here = arrivals(clock)
    put("a.png")
    assert names(here, clock) == ["a.png"]
    job = Job(Input(Path("in/a.png"), Path("in"), True), Path("out/a.png"), "keep")
    assert here.is_unchanged(job)
    put("a.png", "another picture")
    assert not here.is_unchanged(job)
    assert names(here, clock) == ["a.png"]


def test_a_folder_that_goes_and_comes_back_has_nothing_new(clock: Clock) -> None:
    here = arrivals(clock)
    put("a.png")
    assert names(here, clock) == ["a.png"]
    os.rename("in", "gone")
    assert names(here, clock, 2 * FORGETTING) == []
    assert here.faults == {"in": "in: cannot be listed: No such file or directory"}
    os.rename("gone", "in")
    put("b.png")
    assert names(here, clock) == ["b.png"]
    assert here.faults == {}


def test_what_has_long_been_gone_is_forgotten(clock: Clock) -> None:
    here = arrivals(clock)
    put("a.png")
    assert names(here, clock) == ["a.png"]
    os.rename("in/a.png", "a.png")
    names(here, clock, 2 * FORGETTING)
    os.rename("a.png", "in/a.png")
    assert names(here, clock) == ["a.png"]


def test_what_fails_is_tried_again_ever_less_often_and_told_once(clock: Clock) -> None:
    here = arrivals(clock)
    put("a.png")
    assert names(here, clock) == ["a.png"]
    job = Job(Input(Path("in/a.png"), Path("in"), True), Path("out/a.png"), "keep")
    assert here.ended(job, "no room", read=True) == (True, "")
    wait, news = FIRST_RETRY, []
    for _ in range(6):
        assert names(here, clock, wait - 1) == []
        clock.now += 1
        assert len(here.look()) == 1
        news.append(here.ended(job, "no room", read=True))
        wait = min(2 * wait, LAST_RETRY)
    assert set(news) == {(False, "no room")}
    assert names(here, clock, LAST_RETRY) == ["a.png"]
    assert here.ended(job, "", read=True) == (True, "no room")
    assert names(here, clock, 2 * LAST_RETRY) == []


def test_what_cannot_be_read_may_be_on_its_way(clock: Clock) -> None:
    here = arrivals(clock)
    put("a.png", "half")
    assert names(here, clock) == ["a.png"]
    job = Job(Input(Path("in/a.png"), Path("in"), True), Path("out/a.png"), "keep")
    assert here.ended(job, "cut short", read=False) == (False, "")
    put("a.png", "the whole of it")
    assert names(here, clock) == ["a.png"]
    assert here.ended(job, "damaged", read=False) == (False, "")
    assert names(here, clock, SURE) == ["a.png"]
    assert here.ended(job, "damaged", read=False) == (True, "")


def test_what_changes_while_it_is_restored_is_taken_again_and_nothing_is_told(clock: Clock) -> None:
    here = arrivals(clock)
    put("a.png")
    assert names(here, clock) == ["a.png"]
    put("a.png", "more")
    job = Job(Input(Path("in/a.png"), Path("in"), True), Path("out/a.png"), "keep")
    assert here.ended(job, "has changed", read=True) == (False, "")
    assert names(here, clock) == ["a.png"]


def test_two_files_with_one_place_are_told(clock: Clock) -> None:
    here = arrivals(clock, "out/{stem}.png")
    put("a.jpg")
    put("a.png")
    here.look()
    clock.now += STILL
    first, second = here.look()
    assert first.fault is None
    assert "in/a.jpg and in/a.png would both be written to out/a.png" in str(second.fault)


@pytest.mark.parametrize(
    ("output", "result", "picture"),
    [
        ("in/out/", "out/b.png", "elsewhere/b.png"),
        ("in/out", "out/deep/b.png", "output/b.png"),
        ("in/out/{stem}_x{ext}", "out/b.png", "b_x.png"),
        ("{dir}/{stem}_{task}{ext}", "sub/b_denoise.jpg", "sub/b_derain.jpg"),
        ("{dir}/{stem}_{task}{ext}", "b_denoise_compare.png", "b_compare.png"),
        ("{dir}/{stem}.png", "sub/b.png", "sub/b.jpg"),
        ("{dir}/done/{stem}{ext}", "sub/done/b.png", "sub/b.png"),
        ("{dir}/../done/{stem}{ext}", "done/b.png", "sub/b.png"),
        ("in/{stem}_x{ext}", "b_x.png", "sub/b_x.png"),
    ],
)
def test_results_in_a_watched_folder_are_no_inputs(
    clock: Clock, output: str, result: str, picture: str
) -> None:
    here = arrivals(clock, output, recursive=True)
    put(result)
    put(picture)
    assert names(here, clock) == [picture]
    assert here.passed_over[RESULT] in (0, 1)


@pytest.mark.parametrize(
    "output",
    ["in", "in/", ".", "./in/../in/", "{dir}/{stem}{ext}", "in/{stem}{ext}", "out/{index}{ext}", "out/a.png",
     "{dir}/{stem}/../{stem}{ext}"],
)  # fmt: skip
def test_an_output_that_cannot_be_told_from_inputs_is_refused(clock: Clock, output: str) -> None:
    with pytest.raises(UsageError, match="-o "):
        arrivals(clock, output, recursive=True)


def test_links_to_the_results_folder_change_nothing(clock: Clock) -> None:
    put("out/a.png")
    os.symlink("in/out", "link")
    assert names(arrivals(clock, "link/", recursive=True), clock) == []
    put("b.png")
    shutil.rmtree("in/out")
    assert names(arrivals(clock, "link/", recursive=True), clock) == ["b.png"]
