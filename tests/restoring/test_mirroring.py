"""The best effort: what comes out is the mean of what the network makes of a picture and its mirror images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_network

from cyclerdm_cli.cycle.compact import CompactConfig, CompactNetwork
from cyclerdm_cli.cycle.cycle import Place, cycle
from cyclerdm_cli.cycle.view import to_tensor, view_of
from cyclerdm_cli.device import Engine
from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.restoring.mirroring import mirrors_of
from cyclerdm_cli.restoring.planning import Planner, RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer

CPU = torch.device("cpu")
LIT = replace(TINY, task="low-light", light=True, brightens=True)
FILLED = replace(TINY, task="inpaint", fills=True)
FLIPS: list[tuple[int, ...]] = [(), (1,), (0,), (0, 1)]
"""The axes along which the picture is mirrored, for each image."""


def restorer(network: CompactNetwork | None = None, **options: object) -> Restorer:
    engine = Engine(CPU, torch.float32, "for the test")
    return Restorer(network or tiny_network(), engine, RestoreOptions(**options))  # type: ignore[arg-type]


def sixteen_bits(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint16) * 257


def hole(pixels: np.ndarray) -> np.ndarray:
    """Return a mask with a hole on one side of the middle."""
    mask = np.zeros(pixels.shape[:2], bool)
    mask[10:30, 20:60] = True
    return mask


def network_alone(network: CompactNetwork, pixels: np.ndarray) -> np.ndarray:
    """Return what a network makes of a picture whose sides suit it, without a Restorer: (H, W, 3) float64."""
    whole = to_tensor(pixels[None], float(np.iinfo(pixels.dtype).max), CPU)
    findings, missing = network.look(view_of(pixels, CPU), 0), torch.zeros_like(whole[:, :1])
    stages = network.bind(findings, Place.whole(whole), missing, 0, torch.Generator())
    with torch.inference_mode():
        return cycle(stages, whole).restored[0].permute(1, 2, 0).double().numpy()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("effort", "count"), [("normal", 1), ("best", 4)])
@pytest.mark.parametrize("config", [TINY, LIT], ids=lambda config: config.task)
def test_the_mean_of_the_images_comes_out_rounded_once(
    photograph: np.ndarray, config: CompactConfig, effort: str, count: int, kind: type
) -> None:
    pixels = photograph[:96, :128] if kind is np.uint8 else sixteen_bits(photograph[:96, :128])
    one = restorer(tiny_network(config=config), tile=0, effort=effort)
    assert isinstance(one.network, CompactNetwork)
    images = [
        np.flip(network_alone(one.network, np.flip(pixels, axes).copy()), axes) for axes in FLIPS[:count]
    ]
    peak = np.iinfo(kind).max
    by_hand = np.clip(np.mean(images, axis=0), 0, 1) * peak
    result = one.restore(pixels)
    assert result.dtype == kind
    assert np.abs(result - by_hand).max() < 0.5 + peak * 1e-6
    assert np.abs(images[0] - np.mean(images, axis=0)).max() * peak > 2 or count == 1


@pytest.mark.parametrize(("config", "masked"), [(TINY, False), (FILLED, False), (FILLED, True)])
def test_tiles_and_masks_are_mirrored_as_the_picture_is(
    photograph: np.ndarray, config: CompactConfig, masked: bool
) -> None:
    pixels = sixteen_bits(photograph) // 2 + 16000  # so that nothing is clipped
    mask = hole(pixels) if masked else None
    network, tiles = tiny_network(config=config), {"tile": 64, "overlap": 32}
    normal, done = restorer(network, **tiles), []
    images = [
        np.flip(
            normal.restore(
                np.flip(pixels, axes).copy(), None if mask is None else np.flip(mask, axes).copy()
            ),
            axes,
        )
        for axes in FLIPS
    ]
    best = restorer(network, effort="best", **tiles).restore(pixels, mask, lambda: done.append(1))
    assert np.abs(best - np.mean(images, axis=0)).max() <= 1
    assert (best != images[0]).any()
    assert len(done) == 4 * len(normal.planner.plan(pixels.shape[:2]))
    if mask is not None:
        np.testing.assert_array_equal(best[~mask], pixels[~mask])
        assert (best[mask] != pixels[mask]).any()


def test_a_picture_and_its_mirror_image_come_out_alike(photograph: np.ndarray) -> None:
    network, pixels = tiny_network(config=LIT), sixteen_bits(photograph)
    for axes in FLIPS[1:]:
        normal, best = (
            np.flip(one.restore(np.flip(pixels, axes).copy()), axes).astype(int) - one.restore(pixels)
            for one in (restorer(network), restorer(network, effort="best"))
        )
        assert np.abs(best).max() <= 1 < np.abs(normal).max()


@pytest.mark.parametrize("masked", [False, True])
def test_the_mean_may_take_its_pictures_place(photograph: np.ndarray, masked: bool) -> None:
    picture = np.tile(photograph, (3, 2, 1))
    mask = hole(picture) if masked else None
    one = restorer(
        tiny_network(config=FILLED if masked else LIT), tile=128, overlap=32, strength=0.7, effort="best"
    )
    before = picture.copy()
    beside = one.restore(picture, mask)
    np.testing.assert_array_equal(picture, before)
    assert one.restore(picture, mask, in_place=True) is picture
    np.testing.assert_array_equal(picture, beside)


def test_strength_blends_the_mean(photograph: np.ndarray) -> None:
    full = restorer(effort="best").restore(photograph).astype(float)
    half = restorer(effort="best", strength=0.5).restore(photograph)
    np.testing.assert_allclose(half, (full + photograph) / 2, atol=1.01)
    np.testing.assert_array_equal(restorer(effort="best", strength=0.0).restore(photograph), photograph)


@pytest.mark.parametrize("masked", [False, True])
def test_pictures_that_share_a_batch_come_out_as_alone(
    photograph: np.ndarray, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [photograph, 255 - photograph]
    masks = [hole(photograph), hole(photograph)[:, ::-1].copy()] if masked else None
    one, done = restorer(tiny_network(config=FILLED if masked else LIT), effort="best"), []
    alone = [one.restore(picture, masks and masks[i]) for i, picture in enumerate(pictures)]
    monkeypatch.setattr(Planner, "tiles_together", lambda self, grid: 2)  # as on a GPU
    together = one.restore_together(pictures, masks, lambda: done.append(1))
    assert len(done) == 4 * 2
    for this, other in zip(alone, together, strict=True):
        assert this.dtype == other.dtype
        assert (
            np.abs(this.astype(int) - other).max() <= 1
        )  # processors round otherwise for each size of batch


def test_an_effort_that_is_unknown_is_named() -> None:
    with pytest.raises(UsageError, match="--effort most: is none of normal, best"):
        mirrors_of("most")
    with pytest.raises(UsageError, match="--effort most"):
        restorer(effort="most")
