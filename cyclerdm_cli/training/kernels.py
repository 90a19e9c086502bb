"""How kernels are learned: from the scenes of a batch that were blurred, and what blurred them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from cyclerdm_cli.cycle.blur import (
    CLUES,
    SIDE,
    WAYS,
    Blur,
    KernelReader,
    attempts,
    clues,
    clues_mirrored,
    known,
    mirrored,
    natural,
    power,
    read_blur,
    spectrum_of,
)
from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.cycle.cycle import WINDOW
from cyclerdm_cli.training.data import Batch
from cyclerdm_cli.training.terms import EASE

GRID = 128
"""Side of the spectra of which kernels are compared."""


@dataclass
class KernelMemory:
    """Scenes as the reader sees them, and what blurred them: to blur a scene costs more than to learn from it."""

    room: int = 12_000
    """Scenes, the newest in the place of the oldest once it is full; each takes 152 kB."""
    count: int = 0
    maps: Tensor = field(default_factory=lambda: torch.empty(0, CLUES, SIDE, SIDE, dtype=torch.half))
    strength: Tensor = field(default_factory=lambda: torch.empty(0, 1))
    kernel: Tensor = field(default_factory=lambda: torch.empty(0, SIDE, SIDE, dtype=torch.half))
    chance: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))
    """Draws the scenes; on the CPU."""

    def __len__(self) -> int:
        return min(self.count, self.room)

    def keep(self, maps: Tensor, strength: Tensor, kernel: Tensor) -> None:
        """Add scenes, where their kernels, (B, SIDE, SIDE), are known; see `clues`."""
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
        way = int(torch.randint(WAYS, (), generator=self.chance))
        found: Blur = reader(clues_mirrored(self.maps[picks].float(), way), self.strength[picks])
        return kernel_error(found.kernel, mirrored(self.kernel[picks].float(), way))


@dataclass(frozen=True)
class Begun:
    """The patches of a batch with the blur found undone, in all ways."""

    attempts: Tensor
    """(B, 3 len(ATTEMPTS), P, P), without gradient."""
    known: Tensor
    """(B, KNOWN), the same."""


def learned_blur(
    network: CompactNetwork, batch: Batch, memory: KernelMemory | None = None
) -> tuple[Begun | None, Tensor]:
    """Look for the kernels of a batch.

    Args:
        network: whose reader looks for them.
        batch: of any tasks.
        memory: is given what there is to learn from once more.

    Returns:
        The patches with the blur found undone, None where no task of the batch is a blur; and the error of what was
        found.
    """
    chosen = [name in network.config.blur_tasks for name in network.config.tasks]
    turns = batch.mixture[:, chosen].sum(1) > 0
    if network.reader is None or network.blend is None or not bool(turns.any()):
        return None, batch.clean.new_zeros(())
    which = turns.repeat_interleave(len(batch.scene) // len(turns))
    scene, clean = batch.scene[which], batch.clean_scene[which]
    maps, strength = clues(scene[:, None, :, :WINDOW, :WINDOW])
    if memory is not None:
        memory.keep(maps, strength, batch.kernel[which])
    # Where the reader rests it is asked as when restoring.
    found: Blur = (network.reader if torch.is_grad_enabled() else partial(read_blur, network.reader))(
        maps, strength
    )
    with torch.autocast(scene.device.type, enabled=False):
        made, about = attempts(scene, found), known(found)
        undone = network.blend(scene, made, about)
        error = left(undone, scene, clean) + kernel_error(found.kernel, batch.kernel[which])
    whole = batch.scene.repeat(1, made.shape[1] // 3, 1, 1)
    whole[which] = made.detach()
    told = about.new_zeros((len(which), about.shape[1], *whole.shape[2:]))
    told[which] = about.detach()[:, :, None, None]
    return Begun(batch.patches_of(whole), batch.patches_of(told)[:, :, 0, 0]), error


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
    weight = natural(frequency)
    wrong = (power(spectrum - target) * weight).sum((1, 2))
    blurring = (power(1 - target) * weight).sum((1, 2))
    return (wrong / (blurring + 1e-2 * weight.sum())).clamp_min(1e-8).sqrt().mean()


def left(undone: Tensor, scene: Tensor, clean: Tensor) -> Tensor:
    """Return the error that is left once the blur found is undone, over itself and the one before: from 0 to 2.

    Bounded, so that a wrong kernel, which does much harm, does not outweigh all others.
    """
    error = ((undone - clean).square().mean((1, 2, 3)) + 1e-6).sqrt()
    before = (scene - clean).square().mean((1, 2, 3)).sqrt() + EASE
    return (2 * error / (error + before)).mean()
