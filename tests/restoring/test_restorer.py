"""Any size, any depth, any tile: the same picture; broken tiles are repeated, memory that runs out is survived."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_network

from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork, CompactStages
from cyclerdm_cli.cycle.cycle import Findings, Place
from cyclerdm_cli.cycle.filling import fill
from cyclerdm_cli.cycle.view import view_of
from cyclerdm_cli.device import Engine
from cyclerdm_cli.errors import DeviceError, PictureError, UsageError
from cyclerdm_cli.restoring.planning import OVERLAP, Planner, RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer

CPU = Engine(torch.device("cpu"), torch.float32, "for the test")
LIT = replace(TINY, task="low-light", light=True, brightens=True)
FILLED = replace(TINY, task="inpaint", fills=True)


def still(*layers: torch.nn.Conv2d) -> None:
    """Let layers make nothing but 0."""
    for layer in layers:
        layer.weight.zero_()
        assert layer.bias is not None
        layer.bias.zero_()


def restorer(network: CompactNetwork | None = None, engine: Engine = CPU, **options: object) -> Restorer:
    return Restorer(network or tiny_network(), engine, RestoreOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 2), (31, 33), (64, 64), (97, 131)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_any_size_and_depth_comes_back_as_it_was(size: tuple[int, int], kind: type) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (*size, 3), dtype=kind)
    before = pixels.copy()
    result = restorer().restore(pixels)
    assert result.shape == pixels.shape
    assert result.dtype == kind
    np.testing.assert_array_equal(pixels, before)


def test_a_network_that_changes_nothing_gives_the_same_bytes(photograph: np.ndarray) -> None:
    network = tiny_network()
    still(network.detail.tail, network.calibration.tail)
    result = restorer(network, tile=64, overlap=32).restore(photograph)
    np.testing.assert_array_equal(result, photograph)


@pytest.mark.parametrize("size", [(1, 1), (20, 300), (300, 400), (600, 90)])
def test_a_picture_is_looked_at_once_as_a_whole(size: tuple[int, int]) -> None:
    network, seen = tiny_network(), []
    look = network.look
    network.look = lambda *given: (seen.append(given[0]), look(*given))[1]  # type: ignore[method-assign, func-returns-value]
    pixels = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    result = restorer(network, tile=128, overlap=32).restore(pixels)
    assert result.shape == pixels.shape
    (view,) = seen
    count = (1 if size[0] <= 256 else 2) * (1 if size[1] <= 256 else 2)
    assert view.windows.shape == (1, count, 3, min(size[0], 256), min(size[1], 256))
    assert torch.equal(view.small, view_of(pixels, torch.device("cpu")).small)


def test_a_look_that_a_device_cannot_do_is_done_on_the_processor(photograph: np.ndarray) -> None:
    network, plain = tiny_network(config=LIT), restorer(tiny_network(config=LIT))
    look, calls = network.look, []

    def lacking(*given: object) -> object:
        calls.append(given)
        if len(calls) == 1:
            raise NotImplementedError("aten::_fft_r2c")
        return look(*given)  # type: ignore[arg-type]

    network.look = lacking  # type: ignore[method-assign, assignment]
    result = restorer(network).restore(photograph)
    assert len(calls) == 2
    np.testing.assert_array_equal(result, plain.restore(photograph))


def test_stages_that_are_not_run_change_nothing(photograph: np.ndarray) -> None:
    network = tiny_network(config=LIT)
    whole, one = restorer(network), restorer(network, stages=1)
    assert (whole.restore(photograph) != one.restore(photograph)).any()
    still(network.detail.tail, network.calibration.tail)
    np.testing.assert_array_equal(whole.restore(photograph), one.restore(photograph))


def test_as_many_stages_are_run_as_the_weights_profit_from(photograph: np.ndarray) -> None:
    found = {
        (own, asked): restorer(tiny_network(config=replace(TINY, stages=own)), stages=asked).restore(
            photograph
        )
        for own, asked in ((2, 0), (3, 0), (3, 2), (2, 3))
    }
    np.testing.assert_array_equal(found[2, 0], found[3, 2])
    np.testing.assert_array_equal(found[3, 0], found[2, 3])
    assert (found[2, 0] != found[3, 0]).any()


def test_sixteen_bits_and_eight_bits_agree(photograph: np.ndarray) -> None:
    eight = restorer().restore(photograph)
    sixteen = restorer().restore(photograph.astype(np.uint16) * 257)
    assert np.abs(sixteen / 257 - eight.astype(float)).max() <= 0.51


@pytest.mark.parametrize("config", [TINY, LIT], ids=lambda config: config.task)
def test_tiles_give_the_same_as_the_whole_picture(photograph: np.ndarray, config: CompactConfig) -> None:
    picture = np.tile(photograph, (2, 2, 1))
    network = tiny_network(config=config)
    whole = restorer(network, tile=0).restore(picture).astype(int)
    tiled = restorer(network, tile=128, overlap=64).restore(picture).astype(int)
    assert np.abs(whole - picture).mean() > 2
    assert np.abs(whole - tiled).max() <= 1
    assert (whole != tiled).mean() < 0.01


def test_batching_tiles_does_not_change_the_bytes(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (2, 3, 1))
    one = restorer(tile=128, overlap=32).restore(picture)
    three = restorer(tile=128, overlap=32, batch=3).restore(picture)
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("masked", [False, True])
def test_pictures_that_share_a_batch_come_out_as_alone(
    photograph: np.ndarray, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [photograph, photograph[::-1].copy(), photograph // 2]
    mask = np.zeros(photograph.shape[:2], bool)
    mask[20:40, 30:60] = True
    masks = [mask, mask[::-1].copy(), mask] if masked else None
    network = tiny_network(config=FILLED if masked else LIT)
    alone = [restorer(network).restore(one, masks and masks[i]) for i, one in enumerate(pictures)]
    monkeypatch.setattr(Planner, "tiles_together", lambda self, grid: 4)  # as on a GPU
    assert restorer().planner.pictures_together(photograph.shape[:2]) == 4
    assert restorer(tile=64, overlap=32).planner.pictures_together(photograph.shape[:2]) == 1
    done = []
    together = restorer(network).restore_together(pictures, masks, lambda: done.append(1))
    assert len(done) == 3
    for one, other in zip(alone, together, strict=True):
        assert one.dtype == other.dtype
        assert np.abs(one.astype(int) - other).max() <= 1  # processors round otherwise for each size of batch


def test_a_batch_is_filled_up_so_that_a_tile_never_depends_on_what_shares_it(
    photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Planner, "tiles_together", lambda self, grid: 4)
    network = tiny_network(config=LIT)
    alone = restorer(network).restore(photograph)
    first, _ = restorer(network).restore_together([photograph, 255 - photograph])
    np.testing.assert_array_equal(first, alone)


def test_how_many_tiles_a_gpu_is_given_depends_on_their_size_alone() -> None:
    gpu = Engine(torch.device("meta"), torch.float32, "as if it were a GPU")
    planner = Planner(tiny_network(), gpu, RestoreOptions())
    assert [planner.pictures_together((side, side)) for side in (32, 256, 500, 1024, 5000)] == [
        16,
        16,
        4,
        1,
        1,
    ]
    assert Planner(tiny_network(), gpu, RestoreOptions(batch=3)).pictures_together((32, 32)) == 3


def test_the_whole_picture_steers_every_tile(photograph: np.ndarray) -> None:
    """The same tile in a dark and in a bright surround is not treated alike."""
    dark, bright = np.tile(photograph, (3, 3, 1)), np.tile(photograph, (3, 3, 1))
    dark[240:], bright[240:] = 0, 255
    network = tiny_network(config=LIT)
    first, second = (restorer(network, tile=128, overlap=32).restore(picture) for picture in (dark, bright))
    assert (first[:90, :90] != second[:90, :90]).any()


def test_strength_blends_with_the_input(photograph: np.ndarray) -> None:
    full = restorer().restore(photograph).astype(float)
    half = restorer(strength=0.5).restore(photograph).astype(float)
    np.testing.assert_allclose(half, (full + photograph) / 2, atol=1.01)
    np.testing.assert_array_equal(restorer(strength=0.0).restore(photograph), photograph)


@pytest.mark.parametrize("config", [TINY, FILLED], ids=lambda config: config.task)
def test_only_what_is_missing_is_painted(photograph: np.ndarray, config: CompactConfig) -> None:
    mask = np.zeros(photograph.shape[:2], bool)
    mask[20:40, 30:60] = True
    network = tiny_network(config=config)
    first = restorer(network).restore(photograph, mask)
    np.testing.assert_array_equal(first[~mask], photograph[~mask])
    assert (first[mask] != photograph[mask]).any()
    other = photograph.copy()
    other[mask] = 3
    np.testing.assert_array_equal(restorer(network).restore(other, mask), first)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_holes_are_filled_before_the_cycle(photograph: np.ndarray, kind: type) -> None:
    network, peak = tiny_network(config=FILLED), np.iinfo(kind).max
    still(network.detail.tail, network.calibration.tail)  # so that the result is what the cycle was given
    pixels = photograph.astype(kind) * (peak // 255)
    mask = np.zeros(photograph.shape[:2], bool)
    mask[20:40, 30:60] = True
    result = restorer(network, tile=64, overlap=32).restore(pixels, mask)
    floating = torch.from_numpy((pixels / peak).astype(np.float32)).permute(2, 0, 1)[None]
    filled = fill(floating, torch.from_numpy(mask)[None, None].float())[0].permute(1, 2, 0).numpy() * peak
    np.testing.assert_array_equal(result[~mask], pixels[~mask])
    assert np.abs(result[mask] - filled[mask]).max() <= 1


def test_holes_are_white_to_a_network_that_fills_none(photograph: np.ndarray) -> None:
    network = tiny_network()
    still(network.detail.tail, network.calibration.tail)
    mask = np.zeros(photograph.shape[:2], bool)
    mask[20:40, 30:60] = True
    result = restorer(network).restore(photograph, mask)
    assert (result[mask] == 255).all()


def test_more_steps_are_another_walk_to_a_result(photograph: np.ndarray) -> None:
    network = tiny_network(config=replace(LIT, most_steps=4))
    one, four, own = (restorer(network, steps=steps).restore(photograph) for steps in (1, 4, 0))
    assert (one != four).any()
    np.testing.assert_array_equal(four, own)


def test_more_steps_than_were_trained_are_refused() -> None:
    with pytest.raises(UsageError, match="--steps 5: these weights were trained for 4 at most"):
        restorer(tiny_network(config=replace(LIT, most_steps=4)), steps=5)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear does not follow"):
        restorer(torch.nn.Linear(3, 3))  # type: ignore[arg-type]


class BreaksIn(CompactNetwork):
    """A network that fails as told, then works."""

    def __init__(self, fault: BaseException | None, largest: int, half_is_nan: bool = False) -> None:
        network = tiny_network()
        super().__init__(network.config)
        self.load_state_dict(network.state_dict())
        self.eval().requires_grad_(False)
        self.fault, self.largest, self.half_is_nan = fault, largest, half_is_nan
        self.whole = self.detail.tail.weight.clone()

    def bind(
        self, findings: Findings, place: Place, mask: torch.Tensor, steps: int, generator: torch.Generator
    ) -> CompactStages:
        if self.fault and mask.shape[-1] > self.largest:
            raise self.fault
        broken = self.half_is_nan and torch.is_autocast_enabled("cpu")
        self.detail.tail.weight.copy_(self.whole * float("nan") if broken else self.whole)
        return super().bind(findings, place, mask, steps, generator)


def test_memory_that_runs_out_halves_the_tile(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (4, 4, 1))
    network = BreaksIn(torch.OutOfMemoryError("CUDA out of memory"), largest=256)
    with pytest.warns(UserWarning, match="tiles of 184 pixels"):  # as even as half of 392 allows
        result = restorer(network, tile=512).restore(picture)
    np.testing.assert_array_equal(result, restorer(tile=196).restore(picture))


def test_halved_tiles_share_no_more_than_their_half(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (4, 4, 1))
    network = BreaksIn(torch.OutOfMemoryError("CUDA out of memory"), largest=256)
    with pytest.warns(UserWarning, match="tiles of 184 pixels"):
        result = restorer(network, tile=512, overlap=112).restore(picture)
    np.testing.assert_array_equal(result, restorer(tile=196, overlap=96).restore(picture))


def test_memory_that_always_runs_out_is_one_clear_fault(photograph: np.ndarray) -> None:
    network = BreaksIn(RuntimeError("DefaultCPUAllocator: can't allocate memory"), largest=0)
    with pytest.warns(UserWarning, match="out of memory"), pytest.raises(DeviceError, match="out of memory"):
        restorer(network, tile=512).restore(np.tile(photograph, (6, 6, 1)))


def test_a_tile_that_breaks_in_half_precision_is_repeated_in_float32(photograph: np.ndarray) -> None:
    half = Engine(torch.device("cpu"), torch.bfloat16, "for the test")
    with pytest.warns(UserWarning, match="float32"):
        result = restorer(BreaksIn(None, 0, half_is_nan=True), half).restore(photograph)
    np.testing.assert_array_equal(result, restorer().restore(photograph))


class LacksHalf(BreaksIn):
    """A network with an operation that its device has in float32 alone, or nowhere."""

    def __init__(self, nowhere: bool = False) -> None:
        super().__init__(None, 0)
        self.nowhere = nowhere

    def bind(
        self, findings: Findings, place: Place, mask: torch.Tensor, steps: int, generator: torch.Generator
    ) -> CompactStages:
        if self.nowhere or torch.is_autocast_enabled("cpu"):
            raise NotImplementedError("the operator is not currently implemented for this device")
        return super().bind(findings, place, mask, steps, generator)


def test_a_tile_falls_back_where_an_operation_is_missing(photograph: np.ndarray) -> None:
    half = Engine(torch.device("cpu"), torch.bfloat16, "for the test")
    with pytest.warns(UserWarning, match="not currently implemented"):
        result = restorer(LacksHalf(), half).restore(photograph)
    np.testing.assert_array_equal(result, restorer().restore(photograph))
    with pytest.raises(NotImplementedError):
        restorer(LacksHalf(nowhere=True)).restore(photograph)


def test_a_gpu_gives_a_tile_to_the_processor_at_last() -> None:
    gpu = restorer()
    gpu.computer.engine = Engine(torch.device("mps"), torch.float16, "as if it were there")
    tried = [(place.type, precision) for place, precision in gpu.computer._attempts(1)]
    assert tried == [("mps", torch.float16), ("mps", torch.float32), ("cpu", torch.float32)]


def test_a_result_that_is_never_finite_is_refused(photograph: np.ndarray) -> None:
    network = tiny_network()
    network.detail.tail.bias.fill_(float("nan"))
    with pytest.raises(PictureError, match="not finite"):
        restorer(network).restore(photograph)


@pytest.mark.parametrize("masked", [False, True])
def test_a_result_may_take_its_pictures_place(photograph: np.ndarray, masked: bool) -> None:
    picture = np.tile(photograph, (4, 3, 1))
    mask = np.zeros(picture.shape[:2], bool) if masked else None
    if mask is not None:
        mask[50:250, 30:360] = True
    network = tiny_network(config=FILLED if masked else LIT)
    beside = restorer(network, tile=128, overlap=32, strength=0.7).restore(picture, mask)
    own = picture.copy()
    result = restorer(network, tile=128, overlap=32, strength=0.7).restore(own, mask, in_place=True)
    assert result is own
    np.testing.assert_array_equal(result, beside)


class RunsOutLater(CompactNetwork):
    """A network for which memory runs out after some tiles."""

    def __init__(self, calls: int) -> None:
        network = tiny_network()
        super().__init__(network.config)
        self.load_state_dict(network.state_dict())
        self.eval().requires_grad_(False)
        self.calls = calls

    def bind(
        self, findings: Findings, place: Place, mask: torch.Tensor, steps: int, generator: torch.Generator
    ) -> CompactStages:
        self.calls -= 1
        if self.calls < 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().bind(findings, place, mask, steps, generator)


def test_in_place_memory_that_runs_out_half_way_is_one_fault(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (4, 1, 1))
    with pytest.raises(DeviceError, match=r"after \d+ rows"):
        restorer(RunsOutLater(4), tile=128, overlap=32).restore(picture, in_place=True)


def test_tiles_share_half_of_small_ones_and_no_more_than_what_is_enough_of_large_ones() -> None:
    size = (2000, 3000)
    shared = [restorer(tile=tile).planner.plan(size).columns.overlap for tile in (96, 128, 256, 1024)]
    assert shared == [48, 64, 128, OVERLAP]
    assert restorer().planner.plan(size) == restorer(tile=768).planner.plan(size)
    assert restorer(overlap=30).planner.plan(size).columns.overlap == 32  # a multiple of the network's
