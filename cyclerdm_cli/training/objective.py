"""What training minimises.

One stage is trained at a time: the stages before it run without gradient, as they will when restoring, and the
stage learns to predict the clean picture from what they leave (the stage supervision of CycleRDM, section on
the loss, with the unrolling cut between the stages: a third of the memory and time). A time is drawn between
the clean end and the start of the stage, as in InDI (Delbracio and Milanfar, TMLR 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.cycle.compact import CompactNetwork, CompactStages
from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.training.configuration import ObjectiveWeights
from cyclerdm_cli.training.data import Batch
from cyclerdm_cli.training.kernels import Begun, KernelMemory, learned_blur
from cyclerdm_cli.training.terms import band_error, frequency_error, relative_error, structure_error

PromptLoss = Callable[[Tensor, Tensor], Tensor]
"""(B, 3, H, W) pictures and (G, K) mixtures of tasks to how degraded the pictures look, a scalar."""


@dataclass(frozen=True)
class Objective:
    """The weighted sum of all terms, for one stage of the cycle."""

    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)
    prompts: PromptLoss | None = None
    """The CLIP prompt loss, where its weights are there."""
    memory: KernelMemory | None = None
    """Is given the blurred scenes of stage 0, where they are learned from more than once."""

    def __call__(self, network: CompactNetwork, batch: Batch, stage: int) -> Tensor:
        """Return the loss of stage 1, 2 or 3 on a batch, or, for 0, of its kernels alone where it has any."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.weights.kernel > 0):
            begun, kernels = learned_blur(network, batch, None if stage else self.memory)
        if stage == 0 and begun is not None:
            return self.weights.kernel * kernels
        return self._stage(network, batch, max(stage, 1), begun) + self.weights.kernel * kernels

    def once_more(self, network: CompactNetwork, scenes: int) -> Tensor:
        """Return the loss of stage 0 on so many scenes of the memory."""
        if self.memory is None or network.reader is None or not self.weights.kernel:
            return torch.zeros(())
        return self.weights.kernel * self.memory.error(network.reader, scenes)

    def _stage(self, network: CompactNetwork, batch: Batch, stage: int, begun: Begun | None) -> Tensor:
        wavelet = Wavelet.named(network.config.wavelet)
        stages = CompactStages(network, batch.mixture, batch.thumbnail, batch.mask, wavelet)
        if begun is not None and network.blend is not None:
            sharper = partial(network.blend, made=begun.attempts, about=begun.known)
            stages = replace(stages, sharper=sharper)
        # Where only parts are missing, only they are learned: the rest is copied when restoring.
        counted = torch.where(batch.mask.amax((2, 3), keepdim=True) > 0, batch.mask, 1.0)
        time = batch.time.view(-1, 1, 1, 1)
        with torch.no_grad():
            estimate = batch.degraded
            for earlier in range(1, stage):
                if earlier < 3:
                    estimate = stages.restore(earlier, estimate, batch.degraded)
        if stage < 3:
            start = stages.start(stage, estimate)
            towards_clean = torch.lerp(batch.clean, start.detach(), time)
            predicted = stages.predictor(stage, batch.degraded)(towards_clean, batch.time)
            loss = self._picture(predicted, batch, counted, wavelet)
            if stage == 1:
                tone = relative_error(start, batch.clean, batch.degraded, counted)
                loss = loss + self.weights.tone * tone
            return loss

        low, high = wavelet.split(estimate)
        degraded_low, degraded_high = wavelet.split(batch.degraded)
        clean_low, _ = wavelet.split(batch.clean)
        predicted_low = stages.predictor(3, degraded_low)(torch.lerp(clean_low, low, time), batch.time)
        height, width = batch.clean.shape[2:]
        predicted = wavelet.join(predicted_low, stages.gain(high, degraded_high), (height, width))
        counted_low = F.avg_pool2d(counted, 2)
        low_error = relative_error(predicted_low / 2, clean_low / 2, degraded_low / 2, counted_low)
        return self._picture(predicted, batch, counted, wavelet) + self.weights.low_band * low_error

    def _picture(self, predicted: Tensor, batch: Batch, counted: Tensor, wavelet: Wavelet) -> Tensor:
        """Return the terms that every stage's picture has."""
        weights, clean = self.weights, batch.clean
        loss = relative_error(predicted, clean, batch.degraded, counted)
        # What does not count is put right beforehand.
        shown = torch.where(counted > 0, predicted.float(), clean)
        if weights.frequency:
            loss = loss + weights.frequency * frequency_error(shown, clean)
        if weights.structure:
            loss = loss + weights.structure * structure_error(shown, clean)
        if weights.bands:
            loss = loss + weights.bands * band_error(shown, clean, wavelet)
        if weights.prompts and self.prompts is not None:
            loss = loss + weights.prompts * self.prompts(shown.clamp(0, 1), batch.mixture)
        return loss
