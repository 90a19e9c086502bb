"""No seams, with the package's weights: tiles give what the whole gives, even surfaces show no pattern."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
import torch

from cyclerdm_cli.benchmark.builtin import CLEAN
from cyclerdm_cli.device import Engine
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.weights.choosing import choose, tasks_of
from cyclerdm_cli.weights.loading import load_network

TILE = 192
NAMES = tasks_of("compact")


@cache
def restorer(tile: int, task: str) -> Restorer:
    network, _ = load_network(choose("compact", task).path)
    return Restorer(network, Engine(torch.device("cpu"), torch.float32, ""), RestoreOptions(tile))


def restored(pixels: np.ndarray, task: str, tile: int = TILE) -> np.ndarray:
    """Return the result as floats in levels of 255."""
    mask = None
    if task == "inpaint":
        mask = np.zeros(pixels.shape[:2], bool)
        mask[::16, 8::24] = True
    sixteen = pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * 257
    return restorer(tile, task).restore(sixteen, mask) / 257.0


def steps(result: np.ndarray, axis: int, within: np.ndarray) -> float:
    """Return the largest step between neighbours along an axis, where it is the steps of a place that count.

    A step is the mean over the other axis: grain has none, a seam runs through.
    """
    lines = np.abs(np.diff(result.mean(axis=1 - axis), axis=0)).max(axis=-1)
    return float(lines[within[:-1]].max())


def borders(length: int, axis: int, size: tuple[int, int]) -> np.ndarray:
    """Return (length,) True where two tiles are blended."""
    grid = restorer(TILE, NAMES[0]).planner.plan(size)
    along = (grid.rows, grid.columns)[axis]
    shared = np.zeros(length, bool)
    for index in range(1, along.count):
        shared[index * along.stride : index * along.stride + along.overlap] = True
    return shared


@pytest.mark.parametrize("task", NAMES)
def test_tiles_give_what_the_whole_picture_gives(task: str) -> None:
    photograph = read_picture(min(CLEAN.glob("*.webp"))).pixels
    picture = cv2.resize(photograph, (416, 320), interpolation=cv2.INTER_AREA)
    error = np.mean((restored(picture, task) - restored(picture, task, tile=0)) ** 2)
    assert 10 * np.log10(255**2 / max(error, 1e-12)) >= 45  # 50 dB in tiles of the default size


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("scene", ["gradient", "night", "sky"])
def test_even_surfaces_show_no_tiles(task: str, scene: str) -> None:
    height, width = 320, 416
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    slope = (across + down)[..., None] / 2
    low, high = {"gradient": ([40, 60, 90], [190, 200, 230]), "night": ([4, 5, 9], [14, 14, 20])}.get(
        scene, ([120, 165, 222], [128, 172, 226])
    )
    picture = np.rint(257 * (np.array(low) * (1 - slope) + np.array(high) * slope)).astype(np.uint16)
    result, whole = restored(picture, task), restored(picture, task, tile=0)
    for axis, length in enumerate((height, width)):
        shared = borders(length, axis, (height, width))
        inside = ~shared
        edge = 24  # there a picture ends, whatever the tiles
        shared[:edge], inside[:edge], shared[-edge:], inside[-edge:] = False, False, False, False
        assert shared.any()
        most = max(steps(result, axis, inside), steps(whole, axis, inside | shared))
        assert (
            steps(result, axis, shared) <= 1.05 * most + 1 / 257
        )  # the largest of many is a matter of chance
