"""How a cluster is divided among workers."""

from __future__ import annotations

import pytest

from cyclerdm_cli.cluster.share import Share, divide
from cyclerdm_cli.errors import ClusterError, UsageError

LAPTOP, BOX, HEAD = {"CPU": 8.0}, {"CPU": 96.0, "GPU": 8.0}, {"CPU": 0.0}


@pytest.mark.parametrize(
    ("nodes", "device", "threads", "wanted", "share"),
    [
        ([LAPTOP], "auto", 8, None, Share(1, 8)),
        ([LAPTOP, LAPTOP], "auto", 4, None, Share(4, 4)),
        ([LAPTOP], "auto", 8, 2, Share(2, 4)),
        ([LAPTOP], "auto", 64, None, Share(1, 8)),
        ([LAPTOP], "auto", 8, 100, Share(100, 1)),
        ([HEAD, BOX, BOX], "auto", 32, None, Share(16, 1, 1)),
        ([HEAD, BOX, BOX], "cuda", 32, 3, Share(3, 1, 1)),
        ([HEAD, BOX], "cpu", 32, None, Share(3, 32)),
    ],
)
def test_a_gpu_or_a_share_of_the_processors(
    nodes: list[dict[str, float]], device: str, threads: int, wanted: int | None, share: Share
) -> None:
    assert divide(nodes, device, threads, wanted) == share


def test_what_no_machine_has_is_refused() -> None:
    with pytest.raises(ClusterError, match="no machine of the cluster has a GPU"):
        divide([LAPTOP], "cuda", 8, None)
    with pytest.raises(ClusterError, match="no machine"):
        divide([HEAD], "auto", 8, None)
    with pytest.raises(UsageError, match="cuda:3"):
        divide([BOX], "cuda:3", 8, None)
