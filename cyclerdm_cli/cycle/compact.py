"""The default network: one small model a task, whose three stages have roles of their own.

1. Degraded to rough normal: the whole picture, small (`light`), and for blur the deconvolution with one kernel.
2. Rough normal to normal: detail, at full resolution, behind a pixel-unshuffle (FFDNet: Zhang et al., IEEE TIP
2018). 3. Calibration of both bands in the wavelet domain, which sees the features of stage 2.

Each stage starts from what the one before left instead of noise, and predicts the clean picture (InDI:
Delbracio and
Milanfar, TMLR 2023). What depends on the picture as a whole enters as a bias of the first convolution, so that what
runs on tiles is convolution, rectifier and addition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.cycle.compact_configuration import CompactConfig
from cyclerdm_cli.cycle.cycle import STAGES, Findings, Network, Place, Stages, View
from cyclerdm_cli.cycle.deconvolution import (
    NUMBER_OF_VARIANTS,
    Blur,
    KernelReader,
    deconvolve_variants,
    find_blur,
)
from cyclerdm_cli.cycle.integer_unet import IntegerUNet, Ranges, range_names
from cyclerdm_cli.cycle.light import Light, LightNetwork, apply_light
from cyclerdm_cli.cycle.unet import UNet
from cyclerdm_cli.cycle.wavelet import Wavelet

PARTS = ("detail", "calibration")
"""What can be run in integers: the networks of stages 2 and 3."""


@dataclass(frozen=True)
class CompactFindings(Findings):
    """What stage 1 found in whole pictures."""

    light: Light | None = None
    blur: Blur | None = None

    def to(self, device: torch.device) -> CompactFindings:
        """Return the same on another device."""
        light = self.light and Light(*(part.to(device) for part in self.light))
        return CompactFindings(light, self.blur and self.blur.to(device))

    def expand(self, batch: int) -> CompactFindings:
        """Repeat those of the last picture until there are `batch`."""

        def repeat(part: Tensor) -> Tensor:
            return torch.cat([part, part[-1:].expand(batch - len(part), *part.shape[1:])])

        light = self.light and Light(*map(repeat, self.light))
        return CompactFindings(light, self.blur and Blur(*map(repeat, self.blur)))

    @staticmethod
    def join(parts: Sequence[Findings]) -> CompactFindings:
        """Return the findings of several batches as those of one."""
        found = cast(Sequence[CompactFindings], parts)
        lights = [part.light for part in found if part.light is not None]
        blurs = [part.blur for part in found if part.blur is not None]
        return CompactFindings(
            Light(*map(torch.cat, zip(*lights, strict=True))) if lights else None,
            Blur(*map(torch.cat, zip(*blurs, strict=True))) if blurs else None,
        )


class CompactNetwork(Network):
    """The three stages' networks."""

    draws_noise = False

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.multiple, self.tile = config.multiple, config.tile
        self.fills_holes, self.deconvolves = config.fills, config.deblurs
        self.sees_light = config.light
        self.stages_by_default = min(config.stages, STAGES)
        self.most_steps = config.most_steps
        self.light: LightNetwork | None = None
        self.steering: nn.Linear | None = None
        if config.light:
            self.light = LightNetwork(config.light_widths, config.brightens)  # type: ignore[arg-type]
            self.steering = nn.Linear(self.light.length, config.widths[0])
            nn.init.zeros_(self.steering.weight)
            nn.init.zeros_(self.steering.bias)
        self.reader = KernelReader() if config.deblurs else None
        seen = 3 + 3 * config.sees_degraded + 3 * NUMBER_OF_VARIANTS * config.deblurs + config.fills
        self.detail = UNet(4 * seen, 12, config.widths, config.down_blocks, config.up_blocks)
        self.ranges: dict[str, Ranges] = {}
        """Of what flows in `detail` and `calibration`; without them these cannot be run in integers."""
        self.integers: dict[str, IntegerUNet] = {}
        """The parts that have been packed into integers, by name."""
        self.handed_on = nn.Conv2d(config.widths[0], config.calibration_widths[0], 1)
        self.calibration = UNet(
            24, 12, config.calibration_widths, config.calibration_down_blocks, config.calibration_up_blocks
        )

    def look(self, view: View, steps: int = 0) -> CompactFindings:
        """Look at whole pictures; see `Network`."""
        light = None if self.light is None else self.light(view.small, steps or self.most_steps)[-1]
        blur = None if self.reader is None else find_blur(self.reader, view.windows)
        return CompactFindings(light, blur)

    def know_ranges(self, ranges: Mapping[str, Ranges]) -> None:
        """Take the ranges of what flows in `detail` and `calibration`, so that they can be run in integers.

        Raises:
            ValueError: they are not those of this network.
        """
        for name, found in ranges.items():
            if name not in PARTS or set(found) != range_names(getattr(self, name)):
                raise ValueError("ranges: they are of another network")
        self.ranges, self.integers = dict(ranges), {}

    def part(self, name: str, integers: bool) -> UNet | IntegerUNet:
        """Return `detail` or `calibration`, in integers where that is asked for and their ranges are known."""
        whole = cast(UNet, getattr(self, name))
        if not integers or name not in self.ranges:
            return whole
        if name not in self.integers:
            self.integers[name] = IntegerUNet(whole, self.ranges[name])
        return self.integers[name]

    def bind(
        self, findings: Findings, place: Place, mask: Tensor, steps: int, generator: torch.Generator
    ) -> CompactStages:
        """Return the stages for a batch of tiles; see `Network`. Nothing is drawn: the generator stays unused."""
        return CompactStages(self, cast(CompactFindings, findings), place, mask)


class CompactStages(Stages):
    """The compact network bound to one batch of tiles: what `cycle` calls for each stage."""

    def __init__(
        self, network: CompactNetwork, findings: CompactFindings, place: Place, mask: Tensor
    ) -> None:
        self.network, self.findings, self.place, self.mask = network, findings, place, mask
        self.wavelet = Wavelet.named(network.config.wavelet)
        self.variants: Tensor | None = None
        """What stage 1 hands on to stage 2: the blur undone with more and with less caution."""
        self.features: Tensor | None = None
        """What stage 2 hands on to stage 3."""
        self.integers = False
        """Whether stages 2 and 3 are run in integers."""

    def in_integers(self) -> CompactStages:
        """Run stages 2 and 3 in 8-bit integers from now on; see `Stages`."""
        self.integers = True
        return self

    def restore(self, stage: int, estimate: Tensor, degraded: Tensor) -> Tensor:
        """Run stage 1 or 2; see `Stages`."""
        return self._transform(estimate) if stage == 1 else self._add_detail(estimate, degraded)

    def _transform(self, picture: Tensor) -> Tensor:
        light, blur = self.findings.light, self.findings.blur
        if blur is not None:
            self.variants = deconvolve_variants(picture, blur)
            picture = torch.unflatten(self.variants, 1, (NUMBER_OF_VARIANTS, 3)).mean(1).clamp(0, 1)
        if light is not None:
            with torch.autocast(picture.device.type, enabled=False):
                picture = apply_light(picture.float(), light, self.place)
        return picture

    def _add_detail(self, rough: Tensor, degraded: Tensor) -> Tensor:
        network, added = self.network, None
        seen = [rough.clamp(-0.2, 1.2) - 0.5]
        if network.config.sees_degraded:
            seen.append(degraded - 0.5)
        if self.variants is not None:
            seen.append(self.variants - 0.5)
        if network.config.fills:
            seen.append(self.mask)
        if network.steering is not None and self.findings.light is not None:
            added = network.steering(self.findings.light.description)[:, :, None, None]
        detail = network.part("detail", self.integers)
        change, self.features = detail(F.pixel_unshuffle(torch.cat(seen, 1), 2), added)
        return rough + F.pixel_shuffle(change, 2).float()

    def calibrate(
        self, low: Tensor, high: Tensor, degraded_low: Tensor, degraded_high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run stage 3; see `Stages`."""
        assert self.features is not None, "stage 2 comes before stage 3"
        # The low band in the range of a picture; the high ones about zero anyway.
        bands = [low / 2 - 0.5, *high, degraded_low / 2 - 0.5, *degraded_high]
        handed_on, self.features = self.network.handed_on(self.features), None
        change, _ = self.network.part("calibration", self.integers)(torch.cat(bands, 1), handed_on)
        low_change, *high_change = change.float().split(3, 1)
        return low + 2 * low_change, high + torch.stack(high_change)
