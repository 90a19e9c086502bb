"""Several processes, on one machine or many, that train one network: started by torchrun."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """Which of how many this one is."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @staticmethod
    def joined() -> Processes:
        """Join the others, where torchrun started this process; otherwise be alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Processes()
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return Processes(dist.get_rank(), dist.get_world_size())

    def started_again(self, device: torch.device) -> bool:
        """Tell whether torchrun lost one of the processes, on whatever machine, and has started all once more."""
        return self.any_of(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0, device)

    def leave(self) -> None:
        """Part from the others at the end."""
        if self.world > 1:
            dist.destroy_process_group()

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Give every process the mean of all gradients; a parameter that had no part in any loss keeps none."""
        if self.world == 1:
            return
        parts = torch.tensor([parameter.grad is not None for parameter in parameters])
        for parameter, part in zip(
            parameters, self.each_anywhere(parts.to(parameters[0].device)), strict=True
        ):
            if part and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        together /= self.world
        pieces = torch.split(together, [gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def each_anywhere(self, flags: Tensor) -> list[bool]:
        """Return, for each of a row of flags, whether it is set in any process."""
        if self.world > 1:
            flags = flags.int()
            dist.all_reduce(flags, dist.ReduceOp.MAX)
        return [bool(flag) for flag in flags.tolist()]

    def agree(self, share: float, stop: bool, device: torch.device) -> tuple[float, bool]:
        """Return the leader's share of the run, and whether any process was asked to stop."""
        if self.world == 1:
            return share, stop
        said = torch.tensor([share if self.leads else 0.0, float(stop)], dtype=torch.float64, device=device)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return float(said[0]), bool(said[1])

    def any_of(self, flag: bool, device: torch.device) -> bool:
        """Return whether any process says yes."""
        return self.agree(0.0, flag, device)[1]

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a number over all processes."""
        if self.world > 1:
            dist.all_reduce(value)
            value = value / self.world
        return value


ALONE = Processes()
"""A process that trains by itself."""
