"""Restoring in 8-bit integers: close to float32, whatever the tiles, and only where it is known to be right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_network

from cyclerdm_cli.cycle.compact import PARTS, CompactNetwork
from cyclerdm_cli.cycle.cycle import Place, cycle
from cyclerdm_cli.cycle.integer_unet import watch_ranges
from cyclerdm_cli.cycle.view import view_of
from cyclerdm_cli.device import Engine
from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.integers import exact_steps
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.weights.checking import sha256_of
from cyclerdm_cli.weights.choosing import choose
from cyclerdm_cli.weights.file import Header, read_header, write_weights
from cyclerdm_cli.weights.loading import load_network
from cyclerdm_cli.weights.ranges import read_ranges, shipped_ranges
from cyclerdm_cli.weights.registry import PACKAGE, read_registry

needs_integers = pytest.mark.skipif(
    exact_steps() is None, reason="this processor, or this torch, convolves no integers exactly"
)
FLOATS = Engine(torch.device("cpu"), torch.float32, "for the test")
INTEGERS = Engine(torch.device("cpu"), torch.int8, "for the test", torch.float32)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rows, columns = np.mgrid[:200, :150]
    values = 110 + 60 * np.sin(rows / 17)[..., None] * np.cos(columns / 23)[..., None]
    noise = np.random.default_rng(0).normal(0, 12, (200, 150, 3))
    return np.clip(values + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def network(picture: np.ndarray) -> CompactNetwork:
    """Return a small network that knows its ranges."""
    made = tiny_network()
    x = torch.from_numpy(picture[:192, :128].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode(), watch_ranges(made.detail) as detail, watch_ranges(made.calibration) as last:
        found = made.look(view_of(picture, torch.device("cpu")))
        cycle(made.bind(found, Place.whole(x), torch.zeros_like(x[:, :1]), 0, torch.Generator()), x)
    made.know_ranges(dict(zip(PARTS, (detail, last), strict=True)))
    return made


def restored(network: CompactNetwork, engine: Engine, picture: np.ndarray, **options: object) -> np.ndarray:
    return Restorer(network, engine, RestoreOptions(**options)).restore(picture)  # type: ignore[arg-type]


@needs_integers
def test_integers_come_close_to_float32(network: CompactNetwork, picture: np.ndarray) -> None:
    exact, found = restored(network, FLOATS, picture), restored(network, INTEGERS, picture)
    assert not np.array_equal(exact, picture)
    off = exact.astype(float) - found
    assert 0 < np.abs(off).max() < 0.5 * np.abs(exact.astype(float) - picture).max()
    assert np.abs(off).mean() < 0.6


@needs_integers
def test_any_number_of_threads_makes_the_same_of_a_tile(network: CompactNetwork, picture: np.ndarray) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = restored(network, INTEGERS, picture, tile=64)
        torch.set_num_threads(2)
        assert np.array_equal(restored(network, INTEGERS, picture, tile=64), one)
    finally:
        torch.set_num_threads(before)


@needs_integers
def test_pictures_of_16_bits_are_restored_in_floats(network: CompactNetwork, picture: np.ndarray) -> None:
    deep = picture.astype(np.uint16) * 257
    assert np.array_equal(restored(network, INTEGERS, deep), restored(network, FLOATS, deep))


def test_a_network_without_ranges_stays_in_floats(picture: np.ndarray) -> None:
    network = tiny_network()
    assert np.array_equal(restored(network, INTEGERS, picture), restored(network, FLOATS, picture))


def test_ranges_travel_in_the_header_and_allow_integers(network: CompactNetwork, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    header = Header("compact", TINY.to_json(), ("denoise",), "CC0-1.0", "none", "2026-01-01", {})
    write_weights(path, network.state_dict(), header)
    assert "int8" not in choose(str(path), "denoise").precisions
    told = Header(**{**header.__dict__, "ranges": network.ranges})
    write_weights(path, network.state_dict(), told)
    assert "int8" in choose(str(path), "denoise").precisions
    loaded = load_network(path)[0]
    assert isinstance(loaded, CompactNetwork)
    assert loaded.ranges == network.ranges


@pytest.mark.parametrize(
    "ranges",
    [
        {"detail": {"level.0": [1, 0]}},
        {"detail": {"level.0": [0, float("inf")]}},
        {"detail": {"level.0": [0]}},
        {"detail": [1]},
        {"detail": {"level.0": [0, 1]}},
        {"another": {}},
    ],
)
def test_damaged_ranges_are_told(ranges: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    header = Header(
        "compact", TINY.to_json(), ("denoise",), "CC0-1.0", "none", "2026-01-01", {}, ranges=ranges
    )
    write_weights(path, tiny_network().state_dict(), header)
    with pytest.raises(WeightsError, match=r"own\.safetensors: the description inside is damaged: ranges"):
        load_network(path)


def test_all_weights_of_the_package_can_be_run_in_integers() -> None:
    for name, entry in read_registry().entries.items():
        if not entry.in_package:
            continue
        path = PACKAGE / entry.file
        known = read_ranges(read_header(path).ranges) or shipped_ranges(sha256_of(path))
        assert set(known) == set(PARTS), name
        assert "int8" in choose(name, entry.tasks[0]).precisions
