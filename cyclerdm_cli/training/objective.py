"""What training minimises.

One stage is trained at a time: the stages before it run without gradient, as they will when restoring, and the
stage learns to predict the clean picture from what they leave (the stage supervision of CycleRDM, section on
the loss, with the unrolling cut between the stages: a third of the memory and time). A time is drawn between
the clean end and the start of the stage, as in InDI (Delbracio and Milanfar, TMLR 2023).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclerdm_cli.cycle.compact import CompactNetwork, CompactStages
from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.training.configuration import ObjectiveWeights
from cyclerdm_cli.training.data import Batch


def relative_error(predicted: Tensor, clean: Tensor, given: Tensor, counted: Tensor) -> Tensor:
    """Return the mean over the batch of RMSE(predicted) / (RMSE(given) + 0.03), over the counted pixels.

    Relative to the error of what was given, so that a dark picture does not outweigh a noisy one. Not the
    logarithm of the error, which is the PSNR: it rewards leaving mild damage alone so much that nothing else
    is learned at first. Not L1: under rain and snow most pixels are whole, and its kink holds them there.

    Args:
        predicted, clean, given: (B, 3, H, W).
        counted: (B, 1, H, W), 1 where a pixel counts, 0 where not.
    """
    count = (3 * counted.sum((1, 2, 3))).clamp_min(1)
    error = ((predicted.float() - clean).square() * counted).sum((1, 2, 3)) / count
    before = ((given.float() - clean).square() * counted).sum((1, 2, 3)) / count
    return ((error + 1e-6).sqrt() / (before.sqrt() + 0.03)).mean()


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
    mixture = F.one_hot(batch.task, len(network.config.tasks)).float()
    stages = CompactStages(network, mixture, batch.thumbnail, batch.mask, wavelet)
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
            torch.lerp(batch.clean, start.detach(), time), time.flatten()
        )
        loss = relative_error(predicted, batch.clean, batch.degraded, counted)
        if stage == 1:
            loss = loss + weights.tone * relative_error(start, batch.clean, batch.degraded, counted)
        return loss + weights.frequency * frequency_error(predicted * counted, batch.clean * counted)

    low, high = wavelet.split(estimate)
    degraded_low, degraded_high = wavelet.split(batch.degraded)
    clean_low, _ = wavelet.split(batch.clean)
    predicted_low = stages.predictor(3, degraded_low)(torch.lerp(clean_low, low, time), time.flatten())
    height, width = batch.clean.shape[2:]
    predicted = wavelet.join(predicted_low, stages.gain(high, degraded_high), (height, width))
    loss = relative_error(predicted, batch.clean, batch.degraded, counted)
    counted_low = F.avg_pool2d(counted, 2)
    low_error = relative_error(predicted_low / 2, clean_low / 2, degraded_low / 2, counted_low)
    loss = loss + weights.low_band * low_error
    return loss + weights.frequency * frequency_error(predicted * counted, batch.clean * counted)
