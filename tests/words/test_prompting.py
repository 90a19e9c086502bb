"""Sentences in other words than those trained."""

from __future__ import annotations

import tomllib
from pathlib import Path
from random import Random

import pytest

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.words.clip import Clip, load_clip, packaged
from cyclerdm_cli.words.understanding import understand
from cyclerdm_cli.words.wordings import wordings

HELD_OUT = tomllib.loads((Path(__file__).parent / "held_out.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip(packaged())


def told(clip: Clip, sentence: str) -> tuple[str, ...]:
    try:
        return tuple(wish.task for wish in understand(sentence, clip))
    except UsageError:
        return ()


@pytest.mark.parametrize("task", HELD_OUT["understood"])
def test_nine_of_ten_held_out_wordings_mean_their_task(clip: Clip, task: str) -> None:
    sentences = HELD_OUT["understood"][task]
    wrong = {sentence: told(clip, sentence) for sentence in sentences if told(clip, sentence) != (task,)}
    assert len(wrong) <= 0.1 * len(sentences) + 1e-9, wrong


def test_two_tasks_in_one_sentence(clip: Clip) -> None:
    every = [(tuple(names.split("+")), one) for names, some in HELD_OUT["mixed"].items() for one in some]
    wrong = {sentence: told(clip, sentence) for names, sentence in every if told(clip, sentence) != names}
    assert len(wrong) <= 0.2 * len(every), wrong


@pytest.mark.parametrize("kind", HELD_OUT["not_understood"])
def test_nonsense_and_other_languages_are_not_understood(clip: Clip, kind: str) -> None:
    sentences = HELD_OUT["not_understood"][kind]
    wrong = {sentence: told(clip, sentence) for sentence in sentences if told(clip, sentence)}
    assert not wrong


def test_what_is_said_of_compression_changes_nothing_of_what_else_is_said(clip: Clip) -> None:
    for sentence, tasks in {
        "remove the JPEG artifacts and brighten it": ("dejpeg", "low-light"),
        "a blocky, noisy picture": ("dejpeg", "denoise"),
        "block-noise and fog": ("dejpeg", "dehaze"),
        "remove the noise": ("denoise",),
    }.items():
        assert told(clip, sentence) == tasks, sentence
    mild = {wish.task: wish.strength for wish in understand("slight ringing, and very noisy", clip)}
    assert mild == {"dejpeg": 0.6, "denoise": 1.0}


def test_what_is_not_understood_is_said_so(clip: Clip) -> None:
    with pytest.raises(UsageError, match="not understood") as raised:
        understand("xyzzy plugh", clip)
    assert raised.value.exit_status == 2


def test_held_out_wordings_were_not_trained() -> None:
    held_out = {one for some in HELD_OUT["understood"].values() for one in some}
    assert held_out.isdisjoint(wordings().every_word())
    random = Random(0)
    drawn = {wordings().draw((task,), random) for task in HELD_OUT["understood"] for _ in range(300)}
    assert len(held_out & drawn) <= 0.05 * len(held_out)
