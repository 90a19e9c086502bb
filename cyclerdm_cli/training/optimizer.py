"""The optimiser: a rectified AdamW, in which what is a task's own moves only when the task is learned.

A plain AdamW would see the gradient 0 of a task that is not in the batch: its averages would fade, and the next
step of that task would be several times too long. Its first steps have the full length of the learning rate, on the
word of one batch: what is first learned late in the run, as stages 2 and 3 are, would begin by getting worse.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cyclerdm_cli.cycle.compact import CompactNetwork, TaskConvolution
from cyclerdm_cli.training.configuration import TrainingConfig


class Part(NamedTuple):
    """The rows of a parameter that belong to one task, or to a few."""

    tasks: tuple[int, ...]
    parameter: Tensor
    rows: slice
    values: Tensor
    """A view of those rows, which the optimiser changes in place."""


class Parts(NamedTuple):
    """A network's parameters, parted."""

    own: list[Part]
    reading: list[Part]
    """What reads kernels: that of all tasks that are blurs."""
    shared: list[nn.Parameter]


def parts_of(network: CompactNetwork) -> Parts:
    """Part a network's parameters: each task's own are its convolutions and its row of the task table."""
    owners = [module for module in network.modules() if isinstance(module, TaskConvolution)]
    owned = [network.task_table.weight, *(value for module in owners for value in module.parameters())]
    known = {id(parameter) for parameter in owned}
    tasks = len(network.config.tasks)
    own = [part for parameter in owned for part in _parts(parameter, tasks)]
    readers = [] if network.reader is None else list(network.reader.parameters())
    blends = [] if network.blend is None else list(network.blend.parameters())
    blurs = tuple(network.config.tasks.index(name) for name in network.config.blur_tasks)
    reading, blending = (
        [Part(blurs, one, slice(None), one.detach()) for one in parameters]
        for parameters in (readers, blends)
    )
    own += blending
    known |= {id(one) for one in (*readers, *blends)}
    return Parts(own, reading, [value for value in network.parameters() if id(value) not in known])


class TaskwiseAdam:
    """RAdam (Liu et al., ICLR 2020), weight decay decoupled, over what all share and each task's own parts.

    The network must have its final device and memory format: the parts are views of its parameters.
    """

    def __init__(self, network: CompactNetwork, config: TrainingConfig) -> None:
        own, reading, self.shared = parts_of(network)
        self.parts = [*own, *reading]
        groups = [
            {"params": [part.values for part in own], "pace": 1.0},
            {"params": [part.values for part in reading], "pace": config.kernel_pace},
            {"params": self.shared, "pace": config.shared_pace},
        ]
        self.adam = torch.optim.RAdam(
            groups, weight_decay=config.weight_decay, betas=(0.9, 0.99), decoupled_weight_decay=True
        )

    def step(self, rate: float, present: list[bool]) -> None:
        """Move along the gradients of the network's parameters.

        Args:
            rate: the learning rate; what is shared, and what reads kernels, moves at its pace.
            present: for each task, whether the batch held it.
        """
        for group in self.adam.param_groups:
            group["lr"] = rate * group["pace"]
        for part in self.parts:
            gradient, learned = part.parameter.grad, any(present[task] for task in part.tasks)
            part.values.grad = gradient[part.rows] if gradient is not None and learned else None
        self.adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the averages of the gradients, for a checkpoint."""
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Bring back what `state_dict` returned."""
        self.adam.load_state_dict(state)


def _parts(parameter: Tensor, tasks: int) -> list[Part]:
    size = len(parameter) // tasks
    rows = [slice(task * size, (task + 1) * size) for task in range(tasks)]
    return [Part((task,), parameter, mine, parameter.detach()[mine]) for task, mine in enumerate(rows)]
