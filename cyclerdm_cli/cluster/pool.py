"""A pool of workers on a Ray cluster: items go out in blocks, what became of each comes back in the items' order.

Nothing here knows what the work is. Of the items only a window is in memory, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from cyclerdm_cli.cluster.round import Round
from cyclerdm_cli.cluster.staff import Staff

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_IN_A_BLOCK = 16
"""Items that travel together; towards the end there are fewer, so that all workers end together."""
WINDOW_OF_ITEMS = 10_000
"""Items that may be done before the one that is reported next."""


class Pool(Staff[Item], Generic[Item, Result]):
    """Workers that are given work."""

    def map(
        self,
        items: Iterable[tuple[Item, Result | None]],
        count: int,
        lost: Callable[[Item, str], Result],
        stopped: Callable[[], bool] = lambda: False,
        *,
        window: int = WINDOW_OF_ITEMS,
        block: int = MOST_IN_A_BLOCK,
    ) -> Iterator[Result]:
        """Yield what became of each item, in the items' order.

        Args:
            items: read as far as the window reaches; those that come with a result go to no worker.
            count: how many there are.
            lost: makes the result of an item that cost two workers, told the reason.
            stopped: asked often; once it says yes, what is not begun is left out.
            window: items that may be done before the one that is reported next.
            block: items that travel together, at most.

        Raises:
            ClusterError: workers die while they start. CycleRDMError: what a station raised.
        """
        return Round(self, iter(items), count, lost, stopped, window, block).results()
