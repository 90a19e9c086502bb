"""How kernels are learned: from blurred scenes, and what blurred them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cyclerdm_cli.cycle.deconvolution import (
    NUMBER_OF_CLUES,
    NUMBER_OF_SYMMETRIES,
    NUMBER_OF_VARIANTS,
    SETTINGS,
    Blur,
    KernelReader,
    clues,
    clues_mirrored,
    deconvolve_variants,
    mirror,
    natural_power_spectrum,
    power_spectrum,
    transfer_function,
)

LEAST_ERROR = 0.01
"""Added to the error before, so that damage too faint to see does not decide."""
SPECTRUM_SIDE = 128
"""Side of the spectra by which kernels are compared, in pixels."""


def _empty(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.empty((0, *shape), dtype=dtype)


@dataclass
class KernelMemory:
    """Scenes as the reader sees them, and what blurred them: to blur a scene costs more than to learn from it."""

    room: int = 12_000
    """Scenes, the newest in the place of the oldest once it is full; each takes 152 kB."""
    count: int = 0
    """Scenes that were ever kept."""
    maps: Tensor = field(
        default_factory=lambda: _empty(
            NUMBER_OF_CLUES, SETTINGS.kernel_side, SETTINGS.kernel_side, dtype=torch.half
        )
    )
    """(room, NUMBER_OF_CLUES, kernel_side, kernel_side), see `clues`; of no rows before the first scene."""
    strength: Tensor = field(default_factory=lambda: _empty(1, dtype=torch.float))
    """(room, 1), the same."""
    kernel: Tensor = field(
        default_factory=lambda: _empty(SETTINGS.kernel_side, SETTINGS.kernel_side, dtype=torch.half)
    )
    """(room, kernel_side, kernel_side), what blurred the scenes."""
    chance: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))
    """Draws the scenes; on the CPU."""

    def __len__(self) -> int:
        return min(self.count, self.room)

    def keep(self, maps: Tensor, strength: Tensor, kernel: Tensor) -> None:
        """Add those of the scenes whose kernels are known.

        Args:
            maps, strength: see `clues`.
            kernel: (B, kernel_side, kernel_side), all 0 where it is not known.
        """
        known = kernel.sum((1, 2)) > 0
        places = (torch.arange(self.count, self.count + int(known.sum())) % self.room).to(maps.device)
        for name, values in (("maps", maps), ("strength", strength), ("kernel", kernel)):
            kept: Tensor = getattr(self, name)
            if not len(kept):
                kept = torch.empty((self.room, *kept.shape[1:]), dtype=kept.dtype, device=maps.device)
                setattr(self, name, kept)
            kept[places] = values[known].to(kept.dtype)
        self.count += len(places)

    def error(self, reader: KernelReader, scenes: int) -> Tensor:
        """Return the error of the kernels of scenes drawn from those kept; 0 where there are none."""
        if not len(self):
            return self.strength.new_zeros(())
        picks = torch.randint(len(self), (scenes,), generator=self.chance).to(self.maps.device)
        symmetry = int(torch.randint(NUMBER_OF_SYMMETRIES, (), generator=self.chance))
        found: Blur = reader(clues_mirrored(self.maps[picks].float(), symmetry), self.strength[picks])
        return kernel_error(found.kernel, mirror(self.kernel[picks].float(), symmetry))


def kernel_loss(
    reader: KernelReader,
    scene: Tensor,
    clean_scene: Tensor,
    kernel: Tensor,
    memory: KernelMemory | None = None,
) -> Tensor:
    """Return the error of the kernels found in scenes, and the error that is left once these are undone.

    Args:
        reader: looks for the kernels.
        scene: (S, 3, H, W) in [0, 1], blurred; where S is 0 the loss is, too.
        clean_scene: the same before they were.
        kernel: (S, kernel_side, kernel_side): what blurred them, all 0 where it was not one kernel.
        memory: is given what there is to learn from once more.

    Returns:
        A scalar.
    """
    if not len(scene):
        return clean_scene.new_zeros(())
    side = SETTINGS.window_side
    maps, strength = clues(scene[:, None, :, :side, :side])
    if memory is not None:
        memory.keep(maps, strength, kernel)
    found: Blur = reader(maps, strength)
    with torch.autocast(scene.device.type, enabled=False):
        variants = deconvolve_variants(scene, found)
        undone = variants.view(len(scene), NUMBER_OF_VARIANTS, *scene.shape[1:]).mean(1)
        return remaining_error(undone, scene, clean_scene) + kernel_error(found.kernel, kernel)


def kernel_error(found: Tensor, true: Tensor) -> Tensor:
    """Return how far the found kernels blur as the true ones do not, over how far these blur at all.

    Of pictures whose spectrum falls as natural ones do: what both leave of low frequencies counts most.

    Args:
        found, true: (B, kernel_side, kernel_side); true ones that are all 0 do not count.
    """
    known = true.sum((1, 2)) > 0
    if not bool(known.any()):
        return found.new_zeros(())
    transfer, squared_frequency = transfer_function(found[known], SPECTRUM_SIDE, SPECTRUM_SIDE)
    target, _ = transfer_function(true[known], SPECTRUM_SIDE, SPECTRUM_SIDE)
    weight = natural_power_spectrum(squared_frequency)
    wrong = (power_spectrum(transfer - target) * weight).sum((1, 2))
    blurring = (power_spectrum(1 - target) * weight).sum((1, 2))
    return (wrong / (blurring + 1e-2 * weight.sum())).clamp_min(1e-8).sqrt().mean()


def remaining_error(undone: Tensor, scene: Tensor, clean: Tensor) -> Tensor:
    """Return the error that is left once the blur found is undone, over itself and the one before: from 0 to 2.

    Bounded, so that a wrong kernel, which does much harm, does not outweigh all others.

    Args:
        undone, scene, clean: (B, 3, H, W), the scenes deconvolved, blurred, and before.
    """
    error = ((undone - clean).square().mean((1, 2, 3)) + 1e-6).sqrt()
    before = (scene - clean).square().mean((1, 2, 3)).sqrt() + LEAST_ERROR
    return (2 * error / (error + before)).mean()
