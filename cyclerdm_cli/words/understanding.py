"""From a sentence to tasks: what people ask for in their own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.words.judging import in_order
from cyclerdm_cli.words.wordings import NAMES

MEANT = 0.4
"""From this probability on a task is taken to be meant."""
MOST_MEANT = 3
"""Tasks that one sentence may ask for."""


class Reader(Protocol):
    """Whatever makes sense of sentences."""

    def read(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        """Return how likely each of NAMES is meant by sentences: (B, len(NAMES)); 0 where nothing is known."""
        ...


def understand(sentence: str, reader: Reader) -> tuple[str, ...]:
    """Return the names of the tasks that a sentence asks for, in the order in which they are undone.

    Raises:
        UsageError: it asks for none.
    """
    likely = dict(zip(NAMES[:-1], reader.read([sentence])[0], strict=False))
    meant = sorted((name for name in likely if likely[name] >= MEANT), key=lambda name: -likely[name])
    if not meant:
        raise UsageError(
            f"--prompt {sentence!r}: not understood",
            hint="say in English what is wrong, such as 'remove the rain and brighten it', or give --task",
        )
    return in_order(meant[:MOST_MEANT])
