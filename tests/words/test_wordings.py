"""The sentences that the CLIP learns from."""

from __future__ import annotations

from random import Random

from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.words.wordings import NAMES, anchors, wordings


def test_every_task_with_words_has_them_of_every_kind() -> None:
    assert {*wordings().table["tasks"]} <= {task.name for task in TASKS}
    for task, own in wordings().table["tasks"].items():
        for kind in ("nouns", "adjectives", "asks", "says"):
            assert len(own[kind]) >= 4, (task, kind)


def test_names_and_anchors_stand_for_one_another() -> None:
    assert len(anchors()) == len(NAMES) == len(set(anchors()))
    assert NAMES[-1] == "clean"


def test_drawn_sentences_are_filled_and_vary() -> None:
    random = Random(0)
    for names in ((), ("clean",), ("derain",), ("dehaze", "low-light")):
        drawn = [wordings().draw(names, random) for _ in range(200)]
        assert not [one for one in drawn if "{" in one or not one.strip()]
        assert len(set(drawn)) > 10
    assert wordings().draw(("derain",), Random(3)) == wordings().draw(("derain",), Random(3))
