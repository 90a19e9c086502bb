"""Kernels are learned from what blurred the scenes, and from what is left once it is undone."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclerdm_cli.cycle.deconvolution import (
    NUMBER_OF_CLUES,
    SETTINGS,
    Blur,
    KernelReader,
    deconvolve_variants,
    frame_kernel,
    sharp_kernel,
)
from cyclerdm_cli.tasks.camera import convolve
from cyclerdm_cli.tasks.deblur import degrade, kernels_of
from cyclerdm_cli.tasks.light import to_linear, to_srgb
from cyclerdm_cli.training.kernels import KernelMemory, kernel_error, kernel_loss, remaining_error

CPU = torch.device("cpu")
SIDE = SETTINGS.kernel_side


def drawn_kernels(reach: float, count: int = 6) -> Tensor:
    return frame_kernel(kernels_of(torch.full((count,), reach), 17, torch.Generator().manual_seed(2)))


def test_the_kernel_of_a_degradation_is_what_blurred_the_picture() -> None:
    torch.manual_seed(0)
    clean = torch.nn.functional.interpolate(torch.rand(12, 3, 8, 8), scale_factor=8, mode="bilinear")
    clean = clean * 0.7  # below what highlights gain
    lq, _, kernel, *_ = degrade(clean, torch.full((12,), 0.35), torch.Generator().manual_seed(4))
    assert kernel is not None
    known = kernel.sum((1, 2)) > 0
    assert 3 <= int(known.sum()) < 12  # the others are blurred by more than one, or only in part
    torch.testing.assert_close(kernel[known].sum((1, 2)), torch.ones(int(known.sum())))
    again = [convolve(light, kernel.flip(1, 2)) for light in (clean, to_linear(clean))]
    nearest = torch.stack([(one - lq).abs().mean((1, 2, 3)) for one in (again[0], to_srgb(again[1]))]).amin(0)
    assert float(nearest[known].amax()) < 0.015  # noise up to 0.012, rounding and JPEG
    unblurred = (clean - lq).abs().mean((1, 2, 3))
    assert bool((nearest[known] < 0.9 * unblurred[known]).all())


def test_a_kernel_that_is_right_leaves_no_error_and_none_at_all_leaves_all_of_it() -> None:
    true = drawn_kernels(9)
    assert float(kernel_error(true, true)) < 0.01
    moved = torch.roll(true, 3, 1)
    assert float(kernel_error(moved, true)) < 0.02
    assert 0.8 < float(kernel_error(sharp_kernel(6, CPU), true)) <= 1
    assert float(kernel_error(drawn_kernels(5), torch.zeros_like(true))) == 0


def blurred_scenes() -> tuple[Tensor, Tensor, Tensor]:
    """Scenes, the same before they were blurred, (4, 3, 128, 128), and what blurred them, (4, SIDE, SIDE)."""
    clean = torch.rand((4, 3, 16, 16), generator=torch.Generator().manual_seed(6))
    clean = torch.nn.functional.interpolate(clean, size=(128, 128), mode="nearest")
    true = kernels_of(torch.full((4,), 8.0), 9, torch.Generator().manual_seed(1))
    blurred = convolve(clean**SETTINGS.gamma, true.flip(1, 2)).clamp(0, 1) ** (1 / SETTINGS.gamma)
    return blurred, clean, frame_kernel(true)


def test_what_is_left_is_bounded_and_least_where_the_kernel_is_right() -> None:
    scene, clean, true = blurred_scenes()
    calm = torch.zeros(4, 2)

    def after(kernel: Tensor, caution: Tensor) -> float:
        undone = deconvolve_variants(scene, Blur(kernel, caution, torch.ones(4, 1)))[:, :3]
        return float(remaining_error(undone, scene, clean))

    right, none = after(true, calm), after(sharp_kernel(4, CPU), calm)
    wild = after(drawn_kernels(16, 4), calm - 3)
    assert right < 0.8 < none < 1.1 < wild < 2


class Fixed(KernelReader):
    """Finds the same kernels whatever it is shown."""

    def __init__(self, kernel: Tensor, trust: float = 1.0) -> None:
        super().__init__()
        self.found = Blur(kernel, torch.zeros(len(kernel), 2), torch.full((len(kernel), 1), trust))

    def forward(self, maps: Tensor, strength: Tensor) -> Blur:
        return self.found


def test_the_loss_is_what_is_wrong_about_kernels_and_what_they_leave() -> None:
    scene, clean, true = blurred_scenes()
    sharp = Fixed(sharp_kernel(4, CPU))
    right, none = (float(kernel_loss(reader, scene, clean, true)) for reader in (Fixed(true), sharp))
    assert right < 0.8 < 1.6 < none
    left_as_it_is = remaining_error(scene, scene, clean)
    untrusted = kernel_loss(Fixed(true, trust=0.0), scene, clean, true)
    torch.testing.assert_close(untrusted, left_as_it_is + kernel_error(true, true))
    # Of pairs nobody knows the kernel: what is left counts alone.
    torch.testing.assert_close(kernel_loss(sharp, scene, clean, 0 * true), left_as_it_is, atol=0.01, rtol=0)


def test_scenes_are_learned_from_and_remembered_as_they_were_seen() -> None:
    scene, clean, true = blurred_scenes()
    memory, reader = KernelMemory(room=5), KernelReader()
    true[2] = 0
    kernel_loss(reader, scene, clean, true, memory).backward()  # type: ignore[no-untyped-call]
    assert all(one.grad is not None for one in reader.parameters())
    assert bool(reader.last.weight.grad.any())  # type: ignore[union-attr]
    assert len(memory) == 3
    torch.testing.assert_close(memory.kernel[:3].float(), true[[0, 1, 3]], atol=1e-3, rtol=0)


def test_without_a_blurred_scene_there_is_no_loss() -> None:
    memory, nothing = KernelMemory(), torch.zeros(0, 3, 64, 64)
    assert float(kernel_loss(KernelReader(), nothing, nothing, torch.zeros(0, SIDE, SIDE), memory)) == 0
    assert len(memory) == 0


def test_scenes_are_remembered_where_their_kernels_are_known_the_newest_last() -> None:
    memory = KernelMemory(room=5)
    assert float(memory.error(KernelReader(), 2)) == 0
    for number in range(3):
        kernels = drawn_kernels(9, 3)
        kernels[1] = 0
        memory.keep(torch.full((3, NUMBER_OF_CLUES, SIDE, SIDE), float(number)), torch.zeros(3, 1), kernels)
    assert (memory.count, len(memory)) == (6, 5)
    assert memory.maps[:, 0, 0, 0].tolist() == [2, 0, 1, 1, 2]
    assert bool((memory.kernel.sum((1, 2)) > 0.9).all())
    error = memory.error(KernelReader(), 8)
    assert error.requires_grad
    assert 0 < float(error.detach()) <= 2
