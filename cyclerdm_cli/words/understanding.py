"""From a sentence to tasks: what people ask for in their own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.words.judging import in_order
from cyclerdm_cli.words.phrases import find_named
from cyclerdm_cli.words.wordings import NAMES

MEANT = 0.4
"""From this probability on a task is taken to be meant."""
MOST_MEANT = 3
"""Tasks that one sentence may ask for."""


MILD_STRENGTH = 0.6
"""Strength with which a task is done whose damage is said to be slight."""
MILD = re.compile(
    r"\b(slight|slightly|a (little|bit|touch)|faint|faintly|weak|weakly|mild|mildly|somewhat)\b"
)
"""Words that say that a damage is slight, or that little is to be done."""
CLAUSES = re.compile(r",|;|\.|\b(?:and|but|then|plus|with|as well as)\b")
"""What parts a sentence into clauses."""


class Wish(NamedTuple):
    """A task that a sentence asks for."""

    task: str
    strength: float
    """0 to 1."""


class Reader(Protocol):
    """Whatever makes sense of sentences."""

    @property
    def names(self) -> Sequence[str]:
        """Those of NAMES that it knows; of the others the wordings' own phrases are looked for."""
        ...

    def read(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        """Return how likely each of NAMES is meant by sentences: (B, len(NAMES)); 0 where nothing is known."""
        ...


def understand(sentence: str, reader: Reader) -> tuple[Wish, ...]:
    """Return the tasks that a sentence asks for, in the order in which they are undone, and how strongly.

    Raises:
        UsageError: it asks for none.
    """
    likely = _read(sentence, reader)
    meant = sorted((name for name in likely if likely[name] >= MEANT), key=lambda name: -likely[name])
    if not meant:
        raise UsageError(
            f"--prompt {sentence!r}: not understood",
            hint="say in English what is wrong, such as 'remove the rain and brighten it', or give --task",
        )
    names = in_order(meant[:MOST_MEANT])
    mild = _find_mild(sentence, names, reader)
    return tuple(Wish(name, MILD_STRENGTH if name in mild else 1.0) for name in names)


def _find_mild(sentence: str, names: Sequence[str], reader: Reader) -> set[str]:
    """Return those of the tasks of which a clause says that there is little to do."""
    clauses = [clause.strip() for clause in CLAUSES.split(sentence.lower())]
    mild = [clause for clause in clauses if MILD.search(clause)]
    if len(names) == 1:
        return set(names) if mild else set()
    found: set[str] = set()
    for clause in mild:
        likely = _read(clause, reader)
        found |= {name for name in names if likely[name] >= MEANT}
    return found


def _read(sentence: str, reader: Reader) -> dict[str, float]:
    """Return how likely each task is meant."""
    named, rest = find_named(sentence, [name for name in NAMES if name not in reader.names])
    likely = dict(zip(NAMES[:-1], map(float, reader.read([rest])[0]), strict=False))
    return {**likely, **dict.fromkeys(named, 1.0)}
