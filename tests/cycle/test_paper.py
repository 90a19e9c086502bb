"""The authors' network: its keys, its numbers, and parity with a recorded run of their computation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from cyclerdm_cli.cycle.cycle import CycleResult, NoFindings, Place, cycle
from cyclerdm_cli.cycle.paper import PaperConfig, PaperNetwork, PaperStages, SelfAttention, noise_from
from cyclerdm_cli.cycle.wavelet import Wavelet
from cyclerdm_cli.errors import UsageError

PARITY = Path(__file__).parents[3] / "shared" / "reference" / "parity"
recorded = pytest.mark.skipif(not PARITY.is_dir(), reason=f"no recorded runs at {PARITY}")

Case = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tiny() -> PaperNetwork:
    torch.manual_seed(0)
    config = PaperConfig(channels=32, multipliers=(1, 1, 1, 1), blocks=1, gain_width=4)
    return PaperNetwork(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def full() -> PaperNetwork:
    """The authors' size, with the weights that the recorded runs were made with."""
    network = PaperNetwork().eval().requires_grad_(False)
    network.load_state_dict({key: rule(key, tuple(t.shape)) for key, t in network.state_dict().items()})
    return network


def rule(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    values = np.random.default_rng(crc32(key.encode())).standard_normal(shape)
    matrix = len(shape) >= 2
    values = values / np.sqrt(np.prod(shape[1:])) if matrix else 0.05 * values + key.endswith("weight")
    return torch.from_numpy(values.astype(np.float32))


def case_of(name: str) -> Case:
    with np.load(PARITY / name) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def run(network: PaperNetwork, case: Case) -> CycleResult:
    noises = iter([case["noise1"], case["noise2"], case["noise3"]])
    with torch.inference_mode():
        return cycle(PaperStages(network, lambda shape: next(noises)), case["input"])


def bound(
    network: PaperNetwork, pictures: torch.Tensor, steps: int, generator: torch.Generator | None = None
) -> PaperStages:
    mask = torch.zeros_like(pictures[:, :1])
    return network.bind(
        NoFindings(),
        Place.whole(pictures),
        mask,
        steps,
        torch.Generator() if generator is None else generator,
    )


def restored(network: PaperNetwork, pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    with torch.inference_mode():
        return cycle(bound(network, pictures, 2, generator), pictures).restored


def largest_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    assert first.shape == second.shape
    return (first - second).abs().max().item()


@recorded
def test_keys_and_shapes_are_the_authors(full: PaperNetwork) -> None:
    listed = json.loads((PARITY / "state_dict_shapes.json").read_text())
    expected = {key.removeprefix("module."): tuple(shape) for key, shape in listed.items()}
    assert {key: tuple(tensor.shape) for key, tensor in full.state_dict().items()} == expected


def test_the_size_of_the_authors_checkpoints() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in PaperNetwork().state_dict().items()}
    assert len(shapes) == 358
    assert sum(map(math.prod, shapes.values())) == 22_147_590
    assert shapes["Unet.temb.dense.0.weight"] == (256, 64)
    assert shapes["Unet.down.2.attn.1.proj_out.weight"] == (192, 192, 1, 1)
    assert shapes["Unet.up.3.block.2.nin_shortcut.weight"] == (256, 448, 1, 1)
    assert shapes["high_enhance0.RDB_2.0.conv1.weight"] == (64, 3, 5, 5)  # in the checkpoints, though unused


@recorded
def test_one_evaluation_matches_the_recorded_one(full: PaperNetwork) -> None:
    case = case_of("case_a.npz")
    with torch.inference_mode():
        noise = full(case["input"], case["noise1"], torch.tensor([100]))
    assert largest_difference(noise, case["unet_t100"]) < 1e-4


@recorded
def test_every_stage_matches_the_recorded_run(full: PaperNetwork) -> None:
    case = case_of("case_a.npz")
    result = run(full, case)
    low, high = Wavelet.named("haar").split(result.normal)
    found = {
        "stage1": result.rough,
        "stage2": result.normal,
        "LL": low,
        "H": high.flatten(0, 1),
        "LL_calibrated": result.calibrated_low,
        "H_gained": result.gained_high.flatten(0, 1),
        "output": result.restored,
    }
    differences = {name: largest_difference(tensor, case[name]) for name, tensor in found.items()}
    assert max(differences.values()) < 1e-3, differences


@recorded
def test_a_padded_batch_matches_the_recorded_run(full: PaperNetwork) -> None:
    case = case_of("case_b.npz")
    assert largest_difference(run(full, case).restored, case["output"]) < 1e-3


@pytest.mark.parametrize("size", [(1, 1), (5, 33), (32, 32)])
def test_any_size_comes_back_at_its_size(tiny: PaperNetwork, size: tuple[int, int]) -> None:
    pictures = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
    result = restored(tiny, pictures, torch.Generator().manual_seed(0))
    assert result.shape == pictures.shape
    assert bool(result.isfinite().all())


def test_one_seed_means_one_result_however_the_pictures_are_batched(tiny: PaperNetwork) -> None:
    pictures = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    together = restored(tiny, pictures, torch.Generator().manual_seed(7))
    again = restored(tiny, pictures, torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(7)
    singly = torch.cat([restored(tiny, picture[None], generator) for picture in pictures])
    other = restored(tiny, pictures, torch.Generator().manual_seed(8))
    assert torch.equal(again, together)
    torch.testing.assert_close(singly, together, atol=1e-4, rtol=1e-4)
    assert largest_difference(other, together) > 0.01


def test_starting_noise_is_standard_normal_and_differs_between_pictures_and_stages() -> None:
    draw = noise_from(torch.Generator().manual_seed(0), 2)
    first, second = draw(torch.Size((2, 3, 64, 64))), draw(torch.Size((2, 3, 64, 64)))
    assert first.std().item() == pytest.approx(1, abs=0.02)
    assert first.mean().item() == pytest.approx(0, abs=0.02)
    for one, another in ((first[0], first[1]), (first[0], second[0])):
        assert abs((one * another).mean().item()) < 0.05


@pytest.mark.parametrize(("steps", "expected"), [(0, 30), (4, 12)])
def test_the_network_is_evaluated_ten_times_a_stage_or_as_often_as_asked(
    tiny: PaperNetwork, steps: int, expected: int
) -> None:
    pictures, evaluations = torch.rand((1, 3, 32, 32)), []
    hook = tiny.Unet.register_forward_hook(lambda *_: evaluations.append(1))
    with torch.inference_mode():
        cycle(bound(tiny, pictures, steps), pictures)
    hook.remove()
    assert len(evaluations) == expected


def test_more_steps_than_noise_levels_are_refused(tiny: PaperNetwork) -> None:
    pictures = torch.rand((1, 3, 32, 32))
    stages = bound(tiny, pictures, 201)
    with pytest.raises(UsageError, match="201"):
        stages.restore(1, pictures, pictures)


def test_attention_is_the_papers_and_never_builds_the_whole_matrix() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(64).eval().requires_grad_(False)
    x = torch.randn(2, 64, 6, 5)
    normed = attention.norm(x)
    q, k, v = (project(normed).flatten(2) for project in (attention.q, attention.k, attention.v))
    weights = torch.softmax(torch.einsum("bci,bcj->bij", q, k) / 8, 2)
    expected = x + attention.proj_out(torch.einsum("bij,bcj->bci", weights, v).view_as(x))
    for layout in (torch.contiguous_format, torch.channels_last):
        # Only this way of computing has no (HW, HW) matrix; where it is impossible, torch raises.
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            found = attention(x.contiguous(memory_format=layout))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_gain_module_works_on_each_band_of_each_picture_alone(tiny: PaperNetwork) -> None:
    high = torch.randn((3, 2, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    stages = PaperStages(tiny, noise_from(torch.Generator(), 2))
    low = torch.rand((2, 3, 8, 8))
    _, gained = stages.calibrate(low, high, torch.zeros_like(low), torch.zeros_like(high))
    alone = high[2, 1] - tiny.high_enhance0(high[2, 1][None])[0]
    torch.testing.assert_close(gained[2, 1], alone, atol=1e-5, rtol=1e-5)


def test_bfloat16_comes_close_to_float32(tiny: PaperNetwork) -> None:
    pictures = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    exact = restored(tiny, pictures, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        rough = restored(tiny, pictures, torch.Generator().manual_seed(0))
    relative = (rough.float() - exact).norm() / exact.norm()
    assert 0 < relative.item() < 0.05
