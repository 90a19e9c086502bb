"""What training minimises: the absolute error of what each stage leaves, through the unrolled cycle.

The stages are learned through one another, each with a loss of its own, as in CycleRDM (arXiv 2412.14630, the stage
supervision of the loss).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cyclerdm_cli.cycle.compact import CompactFindings, CompactNetwork, CompactStages
from cyclerdm_cli.cycle.cycle import Place, cycle
from cyclerdm_cli.cycle.deconvolution import find_blur
from cyclerdm_cli.cycle.light import apply_light
from cyclerdm_cli.cycle.shorter import keep_first
from cyclerdm_cli.cycle.view import shrink_to_view, windows_of
from cyclerdm_cli.training.batches import Batch
from cyclerdm_cli.training.configuration import KERNELS, TrainingConfig
from cyclerdm_cli.training.kernels import KernelMemory, kernel_loss
from cyclerdm_cli.training.terms import absolute_error, balance_weights, frequency_error

PIXEL_STEP = 2
"""Stage 1 is measured on every second pixel of every second row, since it changes no details."""


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, for the stages that a phase learns."""

    config: TrainingConfig
    memory: KernelMemory | None = None
    """Is given the blurred scenes, where kernels are learned from more than once."""

    def __call__(self, network: CompactNetwork, batch: Batch, stages: tuple[int, ...]) -> Tensor:
        """Return the loss, a scalar."""
        if KERNELS in stages and network.reader is not None:
            return kernel_loss(network.reader, batch.scene, batch.clean_scene, batch.kernel, self.memory)
        loss, findings = self._look(network, batch, learned=1 in stages)
        if max(stages) == 1:
            return loss
        bound = CompactStages(network, findings, batch.place, batch.mask)
        result = cycle(keep_first(bound, max(stages)), batch.degraded)
        last = result.restored if 3 in stages else result.normal
        weights = balance_weights(batch.degraded, batch.clean, self.config.balance)
        loss = loss + absolute_error(last, batch.clean, batch.mask, weights)
        if 3 in stages and 2 in stages:
            error = absolute_error(result.normal, batch.clean, batch.mask, weights)
            loss = loss + self.config.normal_weight * error
        if self.config.frequency_weight:
            loss = loss + self.config.frequency_weight * frequency_error(last, batch.clean, batch.mask)
        return loss

    def _look(self, network: CompactNetwork, batch: Batch, learned: bool) -> tuple[Tensor, CompactFindings]:
        """Look at the scenes as whole pictures: return the loss of stage 1, and what it finds for each patch."""
        loss = batch.clean.new_zeros(())
        light = blur = None
        if network.reader is not None:
            with torch.no_grad():
                found = find_blur(network.reader, windows_of(batch.scene))
                blur = type(found)(*(batch.for_patches(part) for part in found))
        if network.light is not None:
            with torch.set_grad_enabled(torch.is_grad_enabled() and learned):
                said = network.light(shrink_to_view(batch.scene), network.most_steps)
                scene, clean = (
                    whole[:, :, ::PIXEL_STEP, ::PIXEL_STEP] for whole in (batch.scene, batch.clean_scene)
                )
                for one in said if learned else ():
                    rough = apply_light(scene, one, Place.whole(scene))
                    error = absolute_error(rough, clean, None)
                    loss = loss + self.config.rough_weight / len(said) * error
                light = type(said[-1])(*(batch.for_patches(part) for part in said[-1]))
        return loss, CompactFindings(light, blur)
