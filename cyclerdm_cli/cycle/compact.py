"""The default network: one small U-Net for all three stages and all tasks, under 15 GMAC for the whole cycle.

It differs from the authors' in what is known to give more quality for the cost: it starts from the degraded
picture instead of noise (InDI: Delbracio and Milanfar, TMLR 2023), sees the degraded picture beside the current
estimate in every stage, works at half resolution behind a pixel-unshuffle (FFDNet: Zhang et al., IEEE TIP 2018),
and has neither normalisation nor attention, so that a tile is restored as it would be inside the picture. What
must be known of the whole picture comes from its thumbnail: a tone curve, and a scale and shift in each block
(FiLM: Perez et al., AAAI 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.blur import Blend, Blur, KernelReader, attempts, find_blur, known
from cyclerdm_cli.cycle.configuration import configuration_from_json
from cyclerdm_cli.cycle.cycle import STAGES, THUMBNAIL, Whole
from cyclerdm_cli.cycle.sampler import restoring_steps
from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.errors import WeightsError

LEAK = 0.1
"""Slope of the rectifier below 0."""


@dataclass(frozen=True)
class CompactConfig:
    """All that shapes the network."""

    tasks: tuple[str, ...]
    """Names of the tasks, in the order of the rows of the task table."""
    tone_tasks: tuple[str, ...] = ()
    """Those of the tasks whose damage changes the tone of the whole picture; the others leave it exactly."""
    blur_tasks: tuple[str, ...] = ()
    """Those of the tasks whose damage is a blur, which is undone as far as its kernel is found before stage 1."""
    widths: tuple[int, ...] = (32, 64, 128, 192)
    """Channels at 1/2, 1/4, 1/8, ... of the picture's resolution."""
    encoder_blocks: tuple[int, ...] = (2, 2, 2)
    """Residual blocks a level on the way down, one number fewer than widths."""
    middle_blocks: int = 3
    """Residual blocks at the lowest resolution."""
    decoder_blocks: tuple[int, ...] = (2, 2, 2)
    """Residual blocks a level on the way up, in the order of widths."""
    condition: int = 128
    """Length of the vector that steers the blocks."""
    own_levels: int = 2
    """How many of the finest levels have convolutions of each task's own; the coarser ones are shared by all."""
    gain_width: int = 24
    """Channels of the feature gain module."""
    wavelet: str = "haar"
    """Orthogonal wavelet of the third stage, by its PyWavelets name."""

    def __post_init__(self) -> None:
        levels = len(self.widths) - 1
        if not self.tasks or levels < 1 or {len(self.encoder_blocks), len(self.decoder_blocks)} != {levels}:
            raise WeightsError(
                f"compact network: {len(self.tasks)} tasks, {len(self.widths)} widths, {len(self.encoder_blocks)} "
                f"encoder and {len(self.decoder_blocks)} decoder levels do not fit together",
                hint="one task or more, two widths or more, one level fewer than widths",
            )

    @property
    def multiple(self) -> int:
        """Sides of what the network is given are padded to this multiple: twice its coarsest grid, for stage 3."""
        return int(2 ** (len(self.widths) + 1))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CompactConfig:
        """Rebuild from `to_json`'s result. Raises WeightsError for unknown or missing fields."""
        if "tasks" not in values:
            raise WeightsError("compact network: the configuration names no tasks")
        return configuration_from_json(cls, values, "compact")


CALM = 0.3
"""Length of the condition's elements: an optimiser step changes what they steer by the sum of them all, so that
at full length the steering would jump about faster than the convolutions can follow."""


class SharedConvolution(nn.Module):
    """A 3x3 convolution without bias that all tasks share."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(made, given, 3, 3) / (9 * given) ** 0.5)

    def forward(self, x: Tensor, mixture: Tensor) -> Tensor:
        """Map (B, given, H, W) to (B, made, H, W), whatever the mixture."""
        return F.conv2d(x, self.weight, padding=1)


class TaskConvolution(nn.Module):
    """A 3x3 convolution of which every task has its own, blended by a picture's mixture of tasks.

    Where all tasks share the fine levels, those that pull them apart (denoising smooths, deblurring sharpens) hold
    each other back all through the training, and the network learns of each but a part of what it could.
    """

    def __init__(self, tasks: int, given: int, made: int, bias: bool = False) -> None:
        super().__init__()
        self.shape = (tasks, made, given, 3, 3)
        # All begin alike, so that a blend of two is a network as good as either.
        alike = torch.randn(made, given, 3, 3) / (9 * given) ** 0.5
        self.weight = nn.Parameter(torch.empty(tasks * made, given, 3, 3))
        with torch.no_grad():
            self.weight.view(self.shape).copy_(alike)
        self.bias = nn.Parameter(torch.zeros(tasks, made)) if bias else None

    def forward(self, x: Tensor, mixture: Tensor) -> Tensor:
        """Map (B, given, H, W) to (B, made, H, W); mixture (G, K), see `CompactNetwork.forward`."""
        weights = torch.einsum("gk,koihw->goihw", mixture, self.weight.view(self.shape)).unbind()
        biases = [None] * len(mixture) if self.bias is None else (mixture @ self.bias).unbind()
        # One after the other: as a grouped convolution this takes three times as long.
        turns = zip(torch.split(x, len(x) // len(mixture)), weights, biases, strict=True)
        made = [F.conv2d(pictures, weight, bias, padding=1) for pictures, weight, bias in turns]
        return made[0] if len(made) == 1 else torch.cat(made)


class ResidualBlock(nn.Module):
    """x + conv(rectify(scale * conv(x) + shift)); scale and shift come from the condition (FiLM).

    The rectifier leaks: with plain ReLU the large, even corrections of the tone tasks shut whole levels off for
    good, and what needs detail (noise, rain, blur) is never learned.
    """

    def __init__(self, width: int, condition: int, tasks: int) -> None:
        """Build a block of which each of `tasks` tasks has convolutions of its own; for 0, all share them."""
        super().__init__()
        # No biases: the steering has them. Constants that all tasks share only shut rectifiers off.
        self.conv1, self.conv2 = (
            TaskConvolution(tasks, width, width) if tasks else SharedConvolution(width, width)
            for _ in range(2)
        )
        self.film = nn.Linear(condition, 2 * width)
        # Each task begins with channels of its own: tasks that pull the shared weights apart (denoising smooths,
        # deblurring sharpens) otherwise hold each other at zero.
        nn.init.normal_(self.film.weight, std=0.5 / (CALM * condition**0.5))
        nn.init.zeros_(self.film.bias)
        with torch.no_grad():
            gain = nn.init.calculate_gain("leaky_relu", LEAK)
            self.conv1.weight.mul_(gain)
            self.conv2.weight.mul_(0.2 * gain)  # without normalisation, a deep chain starts near identity

    def forward(self, x: Tensor, mixture: Tensor, condition: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; mixture (G, K), condition (B, D)."""
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, 1)
        steered = self.conv1(x, mixture) * (1 + scale) + shift
        return x + self.conv2(F.leaky_relu(steered, LEAK), mixture)


class Level(nn.ModuleList):
    """Residual blocks one after the other, at one resolution."""

    def __init__(self, blocks: int, width: int, condition: int, tasks: int) -> None:
        super().__init__(ResidualBlock(width, condition, tasks) for _ in range(blocks))

    def forward(self, x: Tensor, mixture: Tensor, condition: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; mixture (G, K), condition (B, D)."""
        for block in self:
            x = block(x, mixture, condition)
        return x


class Summary(nn.Module):
    """The whole degraded picture's thumbnail as one vector: its tone, cast and mood, whatever the tile."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(64, 96, 3, 2, 1),
        )
        self.out = nn.Linear(2 * 96 + 6, length)

    def forward(self, thumbnail: Tensor) -> Tensor:
        """Map (B, 3, THUMBNAIL, THUMBNAIL) in [0, 1] to (B, length)."""
        features = torch.relu(self.convolutions(thumbnail * 2 - 1)).flatten(2)
        tone = torch.cat([thumbnail.mean((2, 3)), thumbnail.std((2, 3))], 1)
        return self.out(torch.cat([features.mean(2), features.amax(2), tone], 1))


class Tone(nn.Module):
    """A colour matrix, an offset and a curve for the whole picture: u = M y + b, then 1 - (1 - u)^k.

    The curve is monotone, keeps 0 and 1, and has slope k in the shadows. Starts as identity.
    """

    def __init__(self, condition: int) -> None:
        super().__init__()
        self.parameters_of = nn.Linear(condition, 9 + 3 + 3)
        nn.init.zeros_(self.parameters_of.weight)
        nn.init.zeros_(self.parameters_of.bias)

    def forward(self, picture: Tensor, condition: Tensor) -> Tensor:
        """Map (B, 3, H, W) in [0, 1] to the same shape and range; condition (B, D)."""
        # A tenth: the curve must move slowly, since everything after it has to follow.
        parameters = 0.1 * self.parameters_of(condition).float()
        matrix = parameters[:, :9].view(-1, 3, 3) + torch.eye(3, device=picture.device)
        offset, bend = parameters[:, 9:12, None, None], parameters[:, 12:, None, None]
        mixed = torch.einsum("bdc,bchw->bdhw", matrix, picture.float()) + offset
        lit = 1 - (1 - mixed.clamp(0, 1)).clamp_min(1e-4) ** torch.exp(bend.clamp(-3, 3))
        # Beyond [0, 1] the line goes on, faintly, so that training finds the way back.
        return (lit + 0.01 * (mixed - mixed.clamp(0, 1))).to(picture.dtype)


class FeatureGain(nn.Module):
    """F of the feature gain module: the redundancy in the three high bands (paper, section on calibration).

    The authors' is 1.4 M numbers of 5x5 convolutions on each band alone; this one sees the bands together and
    those of the degraded picture beside them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, 9, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.layers = nn.Sequential(
            nn.Conv2d(18, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), last
        )  # fmt: skip

    def forward(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Map the bands (3, B, 3, h, w), and those of the degraded picture, to the redundancy in them."""
        bands, _, channels = high.shape[:3]
        together = torch.cat([high, degraded_high]).transpose(0, 1).flatten(1, 2)  # (B, 18, h, w)
        redundancy = self.layers(together.contiguous(memory_format=torch.channels_last))
        return redundancy.unflatten(1, (bands, channels)).transpose(0, 1)


class CompactNetwork(nn.Module):
    """One U-Net for three stages and all tasks."""

    draws_noise = False
    tile = 1024

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.multiple = config.multiple
        widths, condition = config.widths, config.condition
        self.task_table = nn.Embedding(len(config.tasks), condition)
        self.stage_table = nn.Embedding(STAGES, condition)
        self.time = nn.Linear(16, condition)
        self.summary = Summary(condition)
        self.mixing = nn.Sequential(nn.LayerNorm(condition), nn.Linear(condition, condition), nn.SiLU())
        self.level_out = nn.LayerNorm(condition)
        self.tone = Tone(condition)
        self.gain = FeatureGain(config.gain_width)
        self.reader = KernelReader() if config.blur_tasks else None
        self.blend = Blend() if config.blur_tasks else None

        # Every stage sees and changes the picture through convolutions of its own; between them all is shared.
        tasks = len(config.tasks)
        own = [tasks if level < config.own_levels else 0 for level in range(len(widths))]
        self.heads = nn.ModuleList(TaskConvolution(tasks, 4 * 7, widths[0], bias=True) for _ in range(STAGES))
        self.down_levels = nn.ModuleList(
            Level(n, w, condition, t) for n, w, t in zip(config.encoder_blocks, widths, own, strict=False)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(widths))
        self.middle = Level(config.middle_blocks, widths[-1], condition, own[-1])
        self.up = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairwise(widths))
        self.up_levels = nn.ModuleList(
            Level(n, w, condition, t) for n, w, t in zip(config.decoder_blocks, widths, own, strict=False)
        )
        tails = [TaskConvolution(tasks, widths[0], 4 * 3, bias=True) for _ in range(STAGES)]
        for tail in tails:
            nn.init.zeros_(tail.weight)  # every stage starts as identity
        self.tails = nn.ModuleList(tails)

    def condition(self, mixture: Tensor, thumbnail: Tensor, stage: int, time: Tensor) -> Tensor:
        """Return what steers the blocks, (B, D).

        Args:
            mixture: (G, K), see `forward`.
            thumbnail: (B, 3, THUMBNAIL, THUMBNAIL) of the whole degraded picture, in [0, 1].
            stage: 1, 2 or 3.
            time: (B,) in (0, 1]; 1 is the start of a stage.
        """
        octaves = time[:, None] * 2.0 ** torch.arange(8, device=time.device) * math.pi
        waves = self.time(torch.cat([octaves.sin(), octaves.cos()], 1))
        place = self.stage_table.weight[stage - 1]
        task = mixture @ self.task_table.weight  # (G, D)
        together = (
            task.repeat_interleave(len(thumbnail) // len(task), 0) + self.summary(thumbnail) + place + waves
        )
        condition: Tensor = CALM * self.level_out(together + self.mixing(together))
        return condition

    def look(self, task: str, thumbnail: Tensor, windows: Tensor) -> Whole:
        """Find the kernel of pictures that are blurred; see `Network`."""
        if self.reader is None or not set(task.split("+")) & set(self.config.blur_tasks):
            return Whole(thumbnail, torch.zeros((len(thumbnail), 0), device=thumbnail.device))
        return Whole(thumbnail, find_blur(self.reader, windows).packed())

    def bind(
        self, task: str, whole: Whole, mask: Tensor, steps: int, generator: torch.Generator
    ) -> CompactStages:
        """Return the stages for a batch of tiles; see `Network`. Nothing is drawn: the generator stays unused."""
        mixture = torch.zeros((1, len(self.config.tasks)), device=mask.device)
        names = task.split("+")  # several are undone in one pass, in equal parts
        for name in names:
            if name not in self.config.tasks:
                raise WeightsError(
                    f"these weights do not know {name}", hint=f"they know {', '.join(self.config.tasks)}"
                )
            mixture[0, self.config.tasks.index(name)] = 1 / len(names)
        sharper = None
        if whole.findings.shape[1]:
            sharper = partial(self.deblurred, blur=Blur.unpacked(whole.findings))
        wavelet = Wavelet.named(self.config.wavelet)
        return CompactStages(self, mixture, whole.thumbnail, mask, wavelet, steps or 1, sharper)

    def deblurred(self, picture: Tensor, blur: Blur) -> Tensor:
        """Undo a blur as well as each place of the picture allows: (B, 3, H, W) in [0, 1] to the same shape."""
        assert self.blend is not None
        blended: Tensor = self.blend(picture, attempts(picture, blur), known(blur))
        return blended

    def forward(
        self,
        stage: int,
        estimate: Tensor,
        degraded: Tensor,
        mask: Tensor,
        mixture: Tensor,
        condition: Tensor,
        centre: Tensor,
    ) -> Tensor:
        """Predict the clean picture from the estimate at a time of a stage.

        Args:
            stage: 1, 2 or 3.
            estimate, degraded: (B, 3, H, W), H and W multiples of half of `config.multiple`.
            mask: (B, 1, H, W), 1 where the picture is missing.
            mixture: (G, K): how much of each task, of sum 1; G divides B, and each row is that of the next B / G
                pictures.
            condition: (B, D), see `condition`.
            centre: (B, 3, 1, 1), the mean colour of the whole degraded picture.
        """
        # About zero: the network works on what differs from the picture's mean colour.
        seen = torch.cat([estimate - centre, degraded - centre, mask], 1)
        x = F.pixel_unshuffle(seen, 2)  # (B, 28, H/2, W/2)
        x = self.heads[stage - 1](x, mixture).contiguous(memory_format=torch.channels_last)
        skips = []
        for level, down in zip(self.down_levels, self.down, strict=True):
            x = level(x, mixture, condition)
            skips.append(x)
            x = down(x)
        x = self.middle(x, mixture, condition)
        for up, level in zip(reversed(self.up), reversed(self.up_levels), strict=True):
            x = level(F.pixel_shuffle(up(x), 2) + skips.pop(), mixture, condition)
        return estimate + F.pixel_shuffle(self.tails[stage - 1](x, mixture), 2)


def thumbnail_of(picture: Tensor) -> Tensor:
    """Shrink whole pictures, (B, 3, H, W) in [0, 1], to (B, 3, THUMBNAIL, THUMBNAIL) by averaging."""
    return F.adaptive_avg_pool2d(picture.float(), THUMBNAIL)


@dataclass(frozen=True)
class CompactStages:
    """The compact network bound to one batch of pictures: what `cycle` calls for each stage."""

    network: CompactNetwork
    mixture: Tensor
    """(G, K): how much of each task, of sum 1; G divides B, and each row is that of the next B / G pictures."""
    thumbnail: Tensor
    """(B, 3, THUMBNAIL, THUMBNAIL) of the whole degraded pictures, of which the tensors may be tiles."""
    mask: Tensor
    """(B, 1, H, W), 1 where the picture is missing."""
    wavelet: Wavelet
    steps: int = 1
    """Network evaluations a stage."""
    sharper: Callable[[Tensor], Tensor] | None = None
    """Undoes the blur of the pictures, in [0, 1], where it was looked for."""

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run one stage to its end; see `Stages`."""
        return restoring_steps(self.start(stage, estimate), self.predictor(stage, degraded), self.steps)

    def start(self, stage: int, estimate: Tensor) -> Tensor:
        """Return the estimate that a stage sets out from: in stage 1, the picture with blur and tone set right."""
        if stage > 1:
            return estimate
        if self.sharper is not None:
            blurred = self._share(self.network.config.blur_tasks, len(estimate))
            estimate = torch.lerp(estimate, self.sharper(estimate).clamp(0, 1), blurred)
        toned = self._share(self.network.config.tone_tasks, len(estimate))
        if not bool(toned.any()):
            return estimate
        begun = torch.ones(len(estimate), device=estimate.device)
        return torch.lerp(estimate, self.network.tone(estimate, self._condition(1, begun)), toned)

    def _share(self, names: tuple[str, ...], batch: int) -> Tensor:
        """Return how much of each picture's damage the tasks of those names are, (B, 1, 1, 1)."""
        chosen = [name in names for name in self.network.config.tasks]
        share = (self.mixture * torch.tensor(chosen, device=self.mixture.device)).sum(1)
        return share.repeat_interleave(batch // len(share)).view(-1, 1, 1, 1)

    def predictor(self, stage: int, degraded: Tensor) -> Callable[[Tensor, float | Tensor], Tensor]:
        """Return the function (estimate, time) -> predicted clean picture of one stage.

        In stage 3 both are low-frequency bands, in [0, 2].
        """
        level = 2 if stage == 3 else 1
        mask = F.avg_pool2d(self.mask, level) if level > 1 else self.mask

        def predict(estimate: Tensor, time: float | Tensor) -> Tensor:
            times = torch.as_tensor(time, dtype=torch.float32, device=self.thumbnail.device)
            times = times.expand(len(self.thumbnail))
            condition = self._condition(stage, times)
            centre = self.thumbnail.mean((2, 3), keepdim=True)
            seen = (stage, estimate / level, degraded / level, mask, self.mixture, condition, centre)
            restored: Tensor = self.network(*seen) * level
            return restored

        return predict

    def gain(self, high: Tensor, degraded_high: Tensor) -> Tensor:
        """Remove the redundancy from the high bands, (3, B, 3, h, w)."""
        return high - self.network.gain(high, degraded_high)

    def _condition(self, stage: int, time: Tensor) -> Tensor:
        return self.network.condition(self.mixture, self.thumbnail, stage, time)
