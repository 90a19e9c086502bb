"""How many workers a cluster has room for, and what each of them asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cyclerdm_cli.errors import ClusterError, UsageError


@dataclass(frozen=True)
class Share:
    """What every worker asks the cluster for."""

    workers: int
    cpus: int
    gpus: int = 0

    def __str__(self) -> str:
        """Say it in words."""
        each = f"{self.gpus} GPU" if self.gpus else f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"
        return f"{self.workers} worker{'s' if self.workers > 1 else ''} of {each}"


def divide(nodes: Sequence[dict[str, float]], device: str, threads: int, workers: int | None) -> Share:
    """Divide a cluster: a worker for each GPU, or for as many CPUs as a picture is computed with.

    Args:
        nodes: what each machine has, by Ray's names.
        device: as after `--device`; auto takes GPUs where any machine has one.
        threads: with which a picture is computed.
        workers: how many are wanted. More than there is room for wait until the cluster has grown.

    Raises:
        UsageError: the device is one of a single machine. ClusterError: no machine has such a device.
    """
    if device.startswith("cuda:"):
        raise UsageError(f"--device {device}: with --cluster every worker has a GPU of its own", hint="cuda")
    gpus = [int(node.get("GPU", 0)) for node in nodes]
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    if device == "cuda" and not any(gpus):
        raise ClusterError("--device cuda: no machine of the cluster has a GPU")
    if device in ("auto", "cuda") and any(gpus):
        return Share(workers or sum(gpus), cpus=1, gpus=1)
    if not any(cpus):
        raise ClusterError("no machine of the cluster has CPUs to give")
    each = min(threads, *(count for count in cpus if count)) if any(cpus) else threads
    if workers is not None:
        each = max(1, min(each, sum(cpus) // workers))
    return Share(workers or max(1, sum(count // each for count in cpus)), cpus=each)
