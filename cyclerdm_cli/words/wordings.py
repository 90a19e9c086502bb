"""Sentences about damaged photographs, put together from `wordings.toml`. Free of torch."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from cyclerdm_cli.tasks.catalogue import TASKS, find_task

CLEAN = "a clean photograph"
"""What is said of a picture with which nothing is wrong."""
NAMES: tuple[str, ...] = (*(task.name for task in TASKS), "clean")
"""All that a picture can be said to be, in the order of the probabilities."""


def anchors(names: Sequence[str] = NAMES) -> list[str]:
    """Return the sentence that stands for each of some NAMES: the tasks' own prompts, and the clean picture's.

    Raises UsageError for a name that is none of them.
    """
    return [CLEAN if name == "clean" else find_task(name).prompt for name in names]


@dataclass(frozen=True)
class Wordings:
    """The patterns and words of the data file."""

    table: dict[str, Any]

    def of_task(self, name: str) -> dict[str, list[str]]:
        """Return the words of a task; none for one that has its prompt alone."""
        words: dict[str, list[str]] = self.table["tasks"].get(name, {})
        return words

    def every_word(self) -> Iterator[str]:
        """Yield texts that together hold every word that may come up."""

        def texts(value: Any) -> Iterator[str]:
            if isinstance(value, str):
                yield value
            else:
                for one in value.values() if isinstance(value, dict) else value:
                    yield from texts(one)

        yield from texts(self.table)
        yield from anchors()

    def draw(self, names: Sequence[str], random: Random) -> str:
        """Say, or ask, all that the names mean: those of tasks, or clean; none means nothing at all."""
        if not names:
            return self._unrelated(random)
        if "clean" in names:
            return self._filled(random.choice([*self.table["clean"], CLEAN]), random)
        order = list(names)
        random.shuffle(order)
        if len(order) == 2 and random.random() < 0.35 and set(order) <= set(self.table["tasks"]):
            return self._framed(self._two_in_one(order, random), random)
        parts = [self._one(name, random) for name in order]
        joined = parts[0]
        for part in parts[1:]:
            joined = f"{joined} {random.choice(self.table['joints'])} {part}"
        return self._framed(joined, random)

    def _one(self, name: str, random: Random) -> str:
        own, kind = self.of_task(name), random.random()
        if kind < 0.06 or not own:
            return find_task(name).prompt
        if kind < 0.24:
            return self._filled(random.choice(own["says"]), random)
        if kind < 0.42:
            return self._filled(random.choice(own["asks"]), random)
        pattern = "describe_noun" if kind < 0.58 else "describe_adj" if kind < 0.72 else "ask_noun"
        if kind >= 0.92:
            pattern = "ask_adj"
        return self._filled(random.choice(self.table[pattern]), random, own)

    def _two_in_one(self, names: Sequence[str], random: Random) -> str:
        """Put two damages into one pattern: "a hazy, dark photograph", "remove the rain and the fog"."""
        kind = random.choice(["noun", "adj"])
        pattern = random.choice(self.table[random.choice([f"describe_{kind}", f"ask_{kind}"])])
        words = [random.choice(self.table["tasks"][name][f"{'noun' if kind == 'noun' else 'adjective'}s"])
                 for name in names]  # fmt: skip
        joint = random.choice([" and ", ", ", " and the ", " and "])
        return self._filled(
            pattern.replace("{noun}", joint.join(words)).replace("{adj}", joint.join(words)), random
        )

    def _framed(self, sentence: str, random: Random) -> str:
        if random.random() < 0.25:
            sentence = f"{random.choice(self.table['starts'])} {sentence}"
        if random.random() < 0.25:
            sentence = f"{sentence} {self._filled(random.choice(self.table['ends']), random)}"
        return self._with_company(sentence, random) if random.random() < 0.5 else sentence

    def _with_company(self, sentence: str, random: Random) -> str:
        """Put in words, known and unknown, that change nothing."""
        words = sentence.split()
        for _ in range(random.randint(1, 4)):
            word = random.choice([*self.table["fillers"], "<unknown>", "<unknown>"])
            words.insert(random.choice([0, len(words), random.randint(0, len(words))]), word)
        return " ".join(words)

    def _unrelated(self, random: Random) -> str:
        if random.random() < 0.5:
            sentence = self._filled(random.choice(self.table["unrelated"]), random)
            return self._with_company(sentence, random) if random.random() < 0.5 else sentence
        words = [
            *self.table["fillers"],
            *(["<unknown>"] * (len(self.table["fillers"]) // random.choice([1, 4]))),
        ]
        words += [*self.table["photos"], *self.table["degrees"], *self.table["starts"]]
        return " ".join(random.choice(words) for _ in range(random.randint(1, 9)))

    def _filled(self, pattern: str, random: Random, own: dict[str, list[str]] | None = None) -> str:
        if own is not None:
            pattern = pattern.replace("{noun}", random.choice(own["nouns"]))
            pattern = pattern.replace("{adj}", random.choice(own["adjectives"]))
        for place, words in (("{photo}", "photos"), ("{strength}", "strengths"), ("{degree}", "degrees")):
            pattern = pattern.replace(place, random.choice(self.table[words]))
        return pattern


@cache
def wordings() -> Wordings:
    """Return the package's wordings."""
    return Wordings(tomllib.loads((files(__package__) / "wordings.toml").read_text(encoding="utf-8")))
