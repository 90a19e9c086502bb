"""Any size, any depth, any tile: the same picture; broken tiles are repeated, memory that runs out is survived."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import LOOKING, tiny_network
from torch import Tensor

from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.errors import DeviceError, PictureError, WeightsError
from cyclerdm_cli.restoring.device import Engine
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer

CPU = Engine(torch.device("cpu"), torch.float32, "for the test")


def restorer(network: torch.nn.Module | None = None, engine: Engine = CPU, **options: object) -> Restorer:
    return Restorer(network or tiny_network(), engine, RestoreOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 2), (31, 33), (64, 64), (97, 131)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_any_size_and_depth_comes_back_as_it_was(size: tuple[int, int], kind: type) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (*size, 3), dtype=kind)
    before = pixels.copy()
    result = restorer().restore(pixels, "denoise")
    assert result.shape == pixels.shape
    assert result.dtype == kind
    np.testing.assert_array_equal(pixels, before)


def test_a_network_that_changes_nothing_gives_the_same_bytes(photograph: np.ndarray) -> None:
    network = tiny_network()
    for layer in (*network.tails, network.gain.layers[-1], network.tone.parameters_of):
        layer.weight.zero_()
        layer.bias.zero_()
    result = restorer(network, tile=64, overlap=32).restore(photograph, "derain")
    np.testing.assert_array_equal(result, photograph)


@pytest.mark.parametrize("size", [(1, 1), (20, 300), (300, 400), (600, 90)])
def test_blur_is_looked_for_once_in_windows_of_the_whole_picture(size: tuple[int, int]) -> None:
    network, seen = tiny_network(config=LOOKING), []
    look = network.look
    network.look = lambda *given: (seen.append(given[2].shape), look(*given))[1]  # type: ignore[method-assign, func-returns-value]
    pixels = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    result = restorer(network, tile=128, overlap=32).restore(pixels, "deblur")
    assert result.shape == pixels.shape
    assert seen == [
        (
            1,
            (1 if size[0] <= 256 else 2) * (1 if size[1] <= 256 else 2),
            3,
            min(size[0], 256),
            min(size[1], 256),
        )
    ]


def test_a_search_that_a_device_cannot_do_is_done_on_the_processor(photograph: np.ndarray) -> None:
    network, plain = tiny_network(config=LOOKING), restorer(tiny_network(config=LOOKING))
    look, calls = network.look, []

    def lacking(*given: object) -> object:
        calls.append(given)
        if len(calls) == 1:
            raise NotImplementedError("aten::_fft_r2c")
        return look(*given)  # type: ignore[arg-type]

    network.look = lacking  # type: ignore[method-assign, assignment]
    result = restorer(network).restore(photograph, "deblur")
    assert len(calls) == 2
    np.testing.assert_array_equal(result, plain.restore(photograph, "deblur"))


def test_stages_that_are_not_run_change_nothing(photograph: np.ndarray) -> None:
    network = tiny_network()
    whole, one = restorer(network), restorer(network, stages=1)
    assert (whole.restore(photograph, "derain") != one.restore(photograph, "derain")).any()
    for layer in (*network.tails[1:], network.gain.layers[-1]):
        layer.weight.zero_()
        layer.bias.zero_()
    np.testing.assert_array_equal(whole.restore(photograph, "derain"), one.restore(photograph, "derain"))


def test_sixteen_bits_and_eight_bits_agree(photograph: np.ndarray) -> None:
    eight = restorer().restore(photograph, "dehaze")
    sixteen = restorer().restore(photograph.astype(np.uint16) * 257, "dehaze")
    assert np.abs(sixteen / 257 - eight.astype(float)).max() <= 0.51


def test_tiles_hardly_change_the_result(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (4, 3, 1))
    whole = restorer(tile=0).restore(picture, "low-light").astype(int)
    tiled = restorer(tile=192, overlap=64).restore(picture, "low-light").astype(int)
    assert np.abs(whole - tiled).mean() < 0.2


def test_batching_tiles_does_not_change_the_bytes(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (2, 3, 1))
    one = restorer(tile=128, overlap=32).restore(picture, "derain")
    three = restorer(tile=128, overlap=32, batch=3).restore(picture, "derain")
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("masked", [False, True])
def test_pictures_that_share_a_batch_come_out_as_alone(
    photograph: np.ndarray, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [photograph, photograph[::-1].copy(), photograph // 2]
    mask = np.zeros(photograph.shape[:2], bool)
    mask[20:40, 30:60] = True
    masks = [mask, mask[::-1].copy(), mask] if masked else None
    task = "inpaint" if masked else "low-light"
    alone = [restorer().restore(one, task, masks and masks[i]) for i, one in enumerate(pictures)]
    monkeypatch.setattr(Restorer, "_batch", lambda self, grid: 4)  # as on a GPU
    assert restorer().pictures_together(photograph.shape[:2]) == 4
    assert restorer(tile=64, overlap=32).pictures_together(photograph.shape[:2]) == 1
    done = []
    together = restorer().restore_together(pictures, task, masks, lambda: done.append(1))
    assert len(done) == 3
    for one, other in zip(alone, together, strict=True):
        assert one.dtype == other.dtype
        assert np.abs(one.astype(int) - other).max() <= 1  # processors round otherwise for each size of batch


def test_a_batch_is_filled_up_so_that_a_tile_never_depends_on_what_shares_it(
    photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Restorer, "_batch", lambda self, grid: 4)
    alone = restorer().restore(photograph, "denoise")
    first, _ = restorer().restore_together([photograph, 255 - photograph], "denoise")
    np.testing.assert_array_equal(first, alone)


def test_how_many_tiles_a_gpu_is_given_depends_on_their_size_alone() -> None:
    gpu = Restorer(tiny_network(), CPU, RestoreOptions())
    gpu.engine = Engine(torch.device("meta"), torch.float32, "as if it were a GPU")
    assert [gpu.pictures_together((side, side)) for side in (32, 256, 500, 1024, 5000)] == [16, 16, 4, 1, 1]
    gpu.options = RestoreOptions(batch=3)
    assert gpu.pictures_together((32, 32)) == 3


def test_the_whole_picture_steers_every_tile(photograph: np.ndarray) -> None:
    """The same tile in a dark and in a bright surround is not treated alike."""
    dark, bright = np.tile(photograph, (6, 6, 1)), np.tile(photograph, (6, 6, 1))
    dark[300:], bright[300:] = 0, 255
    first, second = (restorer(tile=192).restore(picture, "low-light") for picture in (dark, bright))
    assert (first[:90, :90] != second[:90, :90]).any()


def test_strength_blends_with_the_input(photograph: np.ndarray) -> None:
    full = restorer().restore(photograph, "dehaze").astype(float)
    half = restorer(strength=0.5).restore(photograph, "dehaze").astype(float)
    np.testing.assert_allclose(half, (full + photograph) / 2, atol=1.01)
    np.testing.assert_array_equal(restorer(strength=0.0).restore(photograph, "dehaze"), photograph)


def test_only_what_is_missing_is_painted(photograph: np.ndarray) -> None:
    mask = np.zeros(photograph.shape[:2], bool)
    mask[20:40, 30:60] = True
    first = restorer().restore(photograph, "inpaint", mask)
    np.testing.assert_array_equal(first[~mask], photograph[~mask])
    assert (first[mask] != photograph[mask]).any()
    other = photograph.copy()
    other[mask] = 3
    np.testing.assert_array_equal(restorer().restore(other, "inpaint", mask), first)


def test_more_steps_are_another_walk_to_a_result(photograph: np.ndarray) -> None:
    one, four = (restorer(steps=steps).restore(photograph, "denoise") for steps in (1, 4))
    assert (one != four).any()


class BreaksIn(CompactNetwork):
    """A network that fails as told, then works."""

    def __init__(self, fault: BaseException | None, largest: int, half_is_nan: bool = False) -> None:
        network = tiny_network()
        super().__init__(network.config)
        self.load_state_dict(network.state_dict())
        self.eval().requires_grad_(False)
        self.fault, self.largest, self.half_is_nan = fault, largest, half_is_nan

    def forward(self, stage: int, estimate: Tensor, *others: Tensor) -> Tensor:
        if self.fault and estimate.shape[-1] > self.largest:
            raise self.fault
        if self.half_is_nan and torch.is_autocast_enabled("cpu"):
            return estimate * float("nan")
        return super().forward(stage, estimate, *others)


def test_memory_that_runs_out_halves_the_tile(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (4, 4, 1))
    network = BreaksIn(torch.OutOfMemoryError("CUDA out of memory"), largest=256)
    with pytest.warns(UserWarning, match="tiles of 200 pixels"):  # half of the 400 that the picture needs
        result = restorer(network, tile=512).restore(picture, "denoise")
    np.testing.assert_array_equal(result, restorer(tile=200).restore(picture, "denoise"))


def test_halved_tiles_share_no_more_than_their_half(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (4, 4, 1))
    network = BreaksIn(torch.OutOfMemoryError("CUDA out of memory"), largest=256)
    with pytest.warns(UserWarning, match="tiles of 200 pixels"):
        result = restorer(network, tile=512, overlap=112).restore(picture, "denoise")
    np.testing.assert_array_equal(result, restorer(tile=200, overlap=96).restore(picture, "denoise"))


def test_memory_that_always_runs_out_is_one_clear_fault(photograph: np.ndarray) -> None:
    network = BreaksIn(RuntimeError("DefaultCPUAllocator: can't allocate memory"), largest=0)
    with pytest.warns(UserWarning, match="out of memory"), pytest.raises(DeviceError, match="out of memory"):
        restorer(network, tile=512).restore(np.tile(photograph, (6, 6, 1)), "denoise")


def test_a_tile_that_breaks_in_half_precision_is_repeated_in_float32(photograph: np.ndarray) -> None:
    half = Engine(torch.device("cpu"), torch.bfloat16, "for the test")
    with pytest.warns(UserWarning, match="float32"):
        result = restorer(BreaksIn(None, 0, half_is_nan=True), half).restore(photograph, "denoise")
    np.testing.assert_array_equal(result, restorer().restore(photograph, "denoise"))


class LacksHalf(BreaksIn):
    """A network with an operation that its device has in float32 alone, or nowhere."""

    def __init__(self, nowhere: bool = False) -> None:
        super().__init__(None, 0)
        self.nowhere = nowhere

    def forward(self, stage: int, estimate: Tensor, *others: Tensor) -> Tensor:
        if self.nowhere or torch.is_autocast_enabled("cpu"):
            raise NotImplementedError("the operator is not currently implemented for this device")
        return super().forward(stage, estimate, *others)


def test_a_tile_falls_back_where_an_operation_is_missing(photograph: np.ndarray) -> None:
    half = Engine(torch.device("cpu"), torch.bfloat16, "for the test")
    with pytest.warns(UserWarning, match="not currently implemented"):
        result = restorer(LacksHalf(), half).restore(photograph, "denoise")
    np.testing.assert_array_equal(result, restorer().restore(photograph, "denoise"))
    with pytest.raises(NotImplementedError):
        restorer(LacksHalf(nowhere=True)).restore(photograph, "denoise")


def test_a_gpu_gives_a_tile_to_the_processor_at_last() -> None:
    gpu = restorer()
    gpu.engine = Engine(torch.device("mps"), torch.float16, "as if it were there")
    tried = [(place.type, precision) for place, precision in gpu._attempts()]
    assert tried == [("mps", torch.float16), ("mps", torch.float32), ("cpu", torch.float32)]


def test_a_result_that_is_never_finite_is_refused(photograph: np.ndarray) -> None:
    network = tiny_network()
    network.tails[0].bias.fill_(float("nan"))
    with pytest.raises(PictureError, match="not finite"):
        restorer(network).restore(photograph, "denoise")


def test_weights_that_do_not_know_the_task_say_so(photograph: np.ndarray) -> None:
    with pytest.raises(WeightsError, match="colourise"):
        restorer().restore(photograph, "colourise")


@pytest.mark.parametrize("masked", [False, True])
def test_a_result_may_take_its_pictures_place(photograph: np.ndarray, masked: bool) -> None:
    picture = np.tile(photograph, (4, 3, 1))
    mask = np.zeros(picture.shape[:2], bool) if masked else None
    if mask is not None:
        mask[50:250, 30:360] = True
    task = "inpaint" if masked else "low-light"
    beside = restorer(tile=128, overlap=32, strength=0.7).restore(picture, task, mask)
    own = picture.copy()
    result = restorer(tile=128, overlap=32, strength=0.7).restore(own, task, mask, in_place=True)
    assert result is own
    np.testing.assert_array_equal(result, beside)


class RunsOutLater(CompactNetwork):
    """A network for which memory runs out after some calls."""

    def __init__(self, calls: int) -> None:
        network = tiny_network()
        super().__init__(network.config)
        self.load_state_dict(network.state_dict())
        self.eval().requires_grad_(False)
        self.calls = calls

    def forward(self, stage: int, estimate: Tensor, *others: Tensor) -> Tensor:
        self.calls -= 1
        if self.calls < 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(stage, estimate, *others)


def test_in_place_memory_that_runs_out_half_way_is_one_fault(photograph: np.ndarray) -> None:
    picture = np.tile(photograph, (4, 1, 1))
    with pytest.raises(DeviceError, match=r"after \d+ rows"):
        restorer(RunsOutLater(14), tile=128, overlap=32).restore(picture, "denoise", in_place=True)


def test_tiles_share_half_of_small_ones_and_no_more_than_what_is_enough_of_large_ones() -> None:
    size = (2000, 3000)
    shared = [restorer(tile=tile).plan(size).columns.overlap for tile in (96, 128, 256, 1024)]
    assert shared == [48, 64, 128, 128]
    assert restorer().plan(size) == restorer(tile=1024).plan(size)
    assert restorer(overlap=32).plan(size).columns.overlap == 32
