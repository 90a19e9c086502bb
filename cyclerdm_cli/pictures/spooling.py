"""A plan that lies in a temporary file, for runs of so many pictures that their names would fill the memory."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Collection, Iterable, Iterator

from cyclerdm_cli.pictures.naming import Job


class Spool(Collection[Job]):
    """The jobs of a plan in their order, read back one at a time, and as often as wanted."""

    def __init__(self, plan: Iterable[Job]) -> None:
        """Write a plan down; the file goes when the spool does."""
        self._stream = tempfile.TemporaryFile(prefix="cyclerdm-")  # noqa: SIM115
        self._count = 0
        for job in plan:
            pickle.dump(job, self._stream)
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Job]:
        place = 0
        for _ in range(self._count):
            self._stream.seek(place)
            job = pickle.load(self._stream)
            place = self._stream.tell()
            yield job

    def __contains__(self, job: object) -> bool:
        return any(one == job for one in self)
