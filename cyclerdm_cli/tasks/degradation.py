"""The form that every degradation has, and where to find one by its task's name.

A degradation is a function `degrade(clean, severity, generator)`:
    clean      (B, 3, H, W) float32, RGB in [0, 1], sRGB-encoded; H and W at least 8. Left unchanged.
    severity   (B,) float32 in [0, 1]: 0 barely visible, 1 the worst that the task is meant for. Everything
               else about the damage is drawn.
    generator  the only source of chance; on the device of `clean`. The same state gives the same damage.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor

from cyclerdm_cli.tasks.catalogue import Task


class Degraded(NamedTuple):
    """A batch of damaged pictures."""

    lq: Tensor
    """(B, 3, H, W) float32 in [0, 1], sRGB-encoded: what the restorer is given."""
    mask: Tensor | None = None
    """(B, 1, H, W) float32, 1 where the picture is missing; None where nothing is."""
    kernel: Tensor | None = None
    """(B, k, k) float32, k odd: where the light of one point went, for the pictures that one kernel has blurred;
    all 0 for the others, None where it is no such damage."""
    wanted: Tensor | None = None
    """(B, 3, H, W) float32 in [0, 1], sRGB-encoded: what is to come out, where that is not the photograph as it was
    given; None where it is."""


Degradation = Callable[[Tensor, Tensor, torch.Generator], Degraded]


def degradation_of(task: Task) -> Degradation:
    """Return the `degrade` function of a task: that of the module named like it."""
    module = import_module(f"cyclerdm_cli.tasks.{task.name.replace('-', '_')}")
    degrade: Degradation = module.degrade
    return degrade
