"""What training minimises.

One stage is trained at a time: the stages before it run without gradient, as they will when restoring, and the
stage learns to predict the clean picture from what they leave (the stage supervision of CycleRDM, section on
the loss, with the unrolling cut between the stages: a third of the memory and time). A time is drawn between
the clean end and the start of the stage, as in InDI (Delbracio and Milanfar, TMLR 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.cycle.compact import CompactNetwork, CompactStages
from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.training.data import Batch


@dataclass(frozen=True)
class ObjectiveWeights:
    """The weight of each term."""

    tone: float = 0.2
    """The tone curve alone: teaches the whole-picture summary directly."""
    frequency: float = 0.02
    """L1 between the spectra: keeps fine texture."""
    low_band: float = 0.2
    """The calibrated low-frequency band, in stage 3."""


def log_error(predicted: Tensor, clean: Tensor, counted: Tensor) -> Tensor:
    """Return the mean over the batch of log(L1 + 0.004), over the counted pixels of each picture.

    The logarithm weighs a mild damage as much as a heavy one, and each task by how much better it can still get:
    the mean over tasks is, but for a constant, their mean PSNR.

    Args:
        predicted, clean: (B, 3, H, W).
        counted: (B, 1, H, W), 1 where a pixel counts, 0 where not.
    """
    error = ((predicted.float() - clean).abs() * counted).sum((1, 2, 3)) / (3 * counted.sum((1, 2, 3))).clamp_min(1)
    return torch.log(error + 0.004).mean()


def frequency_error(predicted: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute difference of the two spectra (orthonormal FFT)."""
    difference = torch.fft.rfft2(predicted.float() - clean, norm="ortho")
    return torch.view_as_real(difference).abs().mean()


def objective(
    network: CompactNetwork,
    batch: Batch,
    stage: int,
    time: Tensor,
    weights: ObjectiveWeights,
) -> Tensor:
    """Return the loss of one stage on a batch.

    Args:
        network: the network in training.
        batch: the pictures, see `Batch`.
        stage: 1, 2 or 3.
        time: (B,) in (0, 1]: where between the clean picture (0) and the stage's start (1) the estimate lies.
        weights: of the terms.
    """
    wavelet = Wavelet.named(network.config.wavelet)
    stages = CompactStages(network, network.task_table(batch.task), batch.thumbnail, batch.mask, wavelet)
    # Where only parts are missing, only they are learned: the rest is copied when restoring.
    counted = torch.where(batch.mask.amax((2, 3), keepdim=True) > 0, batch.mask, 1.0)
    time = time.view(-1, 1, 1, 1)
    with torch.no_grad():
        estimate = batch.degraded
        for earlier in range(1, stage):
            if earlier < 3:
                estimate = stages.restore(earlier, estimate, batch.degraded)
    if stage < 3:
        start = stages.start(stage, estimate)
        predicted = stages.predictor(stage, batch.degraded)(
            torch.lerp(batch.clean, start.detach() if stage > 1 else start, time), time.flatten()
        )
        loss = log_error(predicted, batch.clean, counted)
        if stage == 1:
            loss = loss + weights.tone * log_error(start, batch.clean, counted)
        return loss + weights.frequency * frequency_error(predicted * counted, batch.clean * counted)

    low, high = wavelet.split(estimate)
    degraded_low, degraded_high = wavelet.split(batch.degraded)
    clean_low, _ = wavelet.split(batch.clean)
    predicted_low = stages.predictor(3, degraded_low)(torch.lerp(clean_low, low, time), time.flatten())
    height, width = batch.clean.shape[2:]
    predicted = wavelet.join(predicted_low, stages.gain(high, degraded_high), (height, width))
    loss = log_error(predicted, batch.clean, counted)
    loss = loss + weights.low_band * log_error(predicted_low / 2, clean_low / 2, F.avg_pool2d(counted, 2))
    return loss + weights.frequency * frequency_error(predicted * counted, batch.clean * counted)
