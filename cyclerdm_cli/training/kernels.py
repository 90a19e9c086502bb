"""How kernels are learned: from the scenes of a batch that were blurred, and what blurred them."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.cycle.blur import Blur, deblurred, find_blur, power, sharp, spectrum_of
from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.training.data import Batch
from cyclerdm_cli.training.terms import EASE

GRID = 128
"""Side of the spectra of which kernels are compared."""


def learned_blur(network: CompactNetwork, batch: Batch) -> tuple[Blur | None, Tensor]:
    """Look for the kernels of a batch.

    Returns:
        What was found for each patch, without gradient, None where no task of the batch is a blur; and the error of
        what was found in this pass, one drawn among those that restoring makes.
    """
    config = network.config
    chosen = [name in config.blur_tasks for name in config.tasks]
    turns = (
        (batch.mixture[:, chosen].sum(1) > 0)
        if any(chosen)
        else torch.zeros(len(batch.mixture), dtype=torch.bool)
    )
    if network.reader is None or not bool(turns.any()):
        return None, batch.clean.new_zeros(())
    scenes = len(batch.scene) // len(batch.mixture)
    which = turns.repeat_interleave(scenes)
    scene = batch.scene[which]
    found = find_blur(network.reader, scene[:, None])
    with torch.autocast(scene.device.type, enabled=False):
        error = left(found, scene, batch.clean_scene[which]) + kernel_error(found.kernel, batch.kernel[which])

    # What no blur was looked for in is left as it is: its share of blur is 0.
    kernel = sharp(len(which), scene.device)
    caution = torch.zeros((len(which), 2), device=scene.device)
    kernel[which], caution[which] = found.kernel.detach(), found.caution.detach()
    repeats = len(batch.clean) // len(batch.scene)

    def each_patch(values: Tensor) -> Tensor:
        turned = values.view(len(batch.mixture), 1, scenes, *values.shape[1:])
        return turned.expand(-1, repeats, *turned.shape[2:]).flatten(0, 2)

    return Blur(each_patch(kernel), each_patch(caution)), error


def kernel_error(found: Tensor, true: Tensor) -> Tensor:
    """Return how far the found kernels blur as the true ones do not, over how far these blur at all.

    Of pictures whose spectrum falls as natural ones do: what both leave of low frequencies counts most.

    Args:
        found, true: (B, SIDE, SIDE); true ones that are all 0 do not count.
    """
    known = true.sum((1, 2)) > 0
    if not bool(known.any()):
        return found.new_zeros(())
    spectrum, frequency = spectrum_of(found[known], GRID, GRID)
    target, _ = spectrum_of(true[known], GRID, GRID)
    weight = 1 / (frequency + 1 / 256**2)
    weight[0, 0] = 0
    wrong = (power(spectrum - target) * weight).sum((1, 2))
    blurring = (power(1 - target) * weight).sum((1, 2))
    return (wrong / (blurring + 1e-2 * weight.sum())).clamp_min(1e-8).sqrt().mean()


def left(found: Blur, scene: Tensor, clean: Tensor) -> Tensor:
    """Return the error that is left once the blur found is undone, over itself and the one before: from 0 to 2.

    Bounded, so that a wrong kernel, which does much harm, does not outweigh all others.
    """
    error = ((deblurred(scene, found) - clean).square().mean((1, 2, 3)) + 1e-6).sqrt()
    before = (scene - clean).square().mean((1, 2, 3)).sqrt() + EASE
    return (2 * error / (error + before)).mean()
