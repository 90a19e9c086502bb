"""From a sentence to numbers: words, cut down to their stems. Free of torch.

A byte-pair vocabulary such as CLIP's own would take more room than everything else in the file, and would lend
its pieces to every language; here a word that is not known counts as unknown, which is how other languages and
nonsense are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

PADDING, UNKNOWN = 0, 1
RESERVED = 2
ENDINGS = ("ness", "ing", "ers", "est", "ish", "ed", "er", "en", "es", "ly", "s", "y", "e", "i")
"""What a word may end with beyond its stem, the longest first."""
SHORTEST_STEM = 3
TYPO = 0.82
"""How like a known word an unknown one must be to be taken for a slip of the finger."""
LEAST_LETTERS = 6
"""Shorter words are not corrected: too many of them are words of their own."""


def words_of(sentence: str) -> list[str]:
    """Return a sentence's words and numbers in order, in small letters; letters of every script count."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", sentence.lower())


def stem_of(word: str) -> str:
    """Cut endings off, again and again, and undouble what is left: foggy, fogs and fog become one."""
    shorter = True
    while shorter:
        shorter = False
        for ending in ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
                word, shorter = word.removesuffix(ending), True
                break
        if shorter and len(word) > SHORTEST_STEM and word[-1] == word[-2]:
            word = word[:-1]
    return word


@dataclass(frozen=True)
class Vocabulary:
    """The stems that a text tower knows, in the order of their numbers."""

    stems: tuple[str, ...]

    @staticmethod
    def of(sentences: Iterable[str]) -> Vocabulary:
        """Return the vocabulary of sentences, in the order of the alphabet."""
        return Vocabulary(tuple(sorted({stem_of(word) for one in sentences for word in words_of(one)})))

    @property
    def size(self) -> int:
        """How many numbers there are: padding, unknown, the stems, and the end."""
        return RESERVED + len(self.stems) + 1

    @property
    def end(self) -> int:
        """The number that ends a sentence: the highest, where open_clip's text tower reads its result."""
        return self.size - 1

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {stem: RESERVED + place for place, stem in enumerate(self.stems)}

    def number_of(self, word: str) -> int:
        """Return a word's number, that of the word it is a misspelling of, or UNKNOWN."""
        stem = stem_of(word)
        if stem in self._numbers:
            return self._numbers[stem]
        if len(word) >= LEAST_LETTERS and word.isascii():
            nearest = get_close_matches(stem, self.stems, n=1, cutoff=TYPO)
            if nearest and nearest[0][0] == stem[0]:
                return self._numbers[nearest[0]]
        return UNKNOWN

    def encode(self, sentence: str, length: int) -> list[int]:
        """Return `length` numbers: the words', the end, padding; words beyond that are left out."""
        numbers = [self.number_of(word) for word in words_of(sentence)][: length - 1]
        return [*numbers, self.end, *([PADDING] * (length - 1 - len(numbers)))]

    def known(self, numbers: Sequence[int]) -> float:
        """Return the share of a sentence's words that are known; 0 where it has none."""
        words = [number for number in numbers if number not in (PADDING, self.end)]
        return sum(number != UNKNOWN for number in words) / len(words) if words else 0.0
