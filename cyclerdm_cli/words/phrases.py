"""Tasks that a sentence names in the wordings' own phrases, for a reader that never learned them. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache

from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.words.wordings import wordings


def find_named(sentence: str, tasks: Collection[str]) -> tuple[set[str], str]:
    """Return those of some tasks that a sentence names, and the sentence without the phrases that name them."""
    named = set()
    for task in tasks:
        sentence, count = _pattern(task).subn(" ", sentence)
        if count:
            named.add(task)
    return named, sentence


@cache
def _pattern(task: str) -> re.Pattern[str]:
    """Return what finds any phrase of a task, the longest first: in any case, with hyphens, of one or many."""
    phrases = sorted(set(_phrases(task)), key=lambda phrase: (-len(phrase), phrase))
    words = ["[\\s-]+".join(map(re.escape, phrase.removesuffix("s").split())) for phrase in phrases]
    return re.compile(rf"\b(?:{'|'.join(words)})s?\b", re.IGNORECASE)


def _phrases(task: str) -> Iterator[str]:
    yield find_task(task).prompt
    for some in wordings().of_task(task).values():
        yield from (phrase for phrase in some if "{" not in phrase)
