"""Noise as defined, masks, the built-in set, and real pictures where they are there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclerdm_cli.benchmark.builtin import CLEAN, builtin_sets
from cyclerdm_cli.benchmark.candidates import Setting
from cyclerdm_cli.benchmark.datasets import find_dataset
from cyclerdm_cli.benchmark.reference import published_for
from cyclerdm_cli.benchmark.results import PictureScore, Result
from cyclerdm_cli.benchmark.sources import folder_set, named_sets
from cyclerdm_cli.metrics import psnr
from cyclerdm_cli.tasks.catalogue import TASKS

BENCH = Path(__file__).parents[3] / "shared" / "data" / "bench"
needs_bench = pytest.mark.skipif(not BENCH.is_dir(), reason="needs ../shared/data/bench")


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_noise_is_drawn_by_the_place_among_the_sorted_names(tmp_path: Path) -> None:
    grey = np.full((40, 50, 3), 128, np.uint8)
    for name in ("b", "a", "10"):
        save(tmp_path / "Kodak24" / f"{name}.png", grey)
    (testset,) = named_sets("Kodak24-s25", tmp_path)
    assert testset.name == "Kodak24-s25"
    assert "default_rng(i)" in testset.note
    for place, name in enumerate(("10", "a", "b")):
        case = testset.cases[place]
        assert case.name == name
        loaded = case.load()
        wanted = np.round(
            np.clip(grey + np.random.default_rng(place).standard_normal((40, 50, 3)) * 25, 0, 255)
        )
        np.testing.assert_array_equal(loaded.lq, wanted)
    assert [one.name for one in named_sets("kodak24", tmp_path)] == [
        "Kodak24-s15",
        "Kodak24-s25",
        "Kodak24-s50",
    ]


def test_a_mask_takes_parts_away(tmp_path: Path) -> None:
    save(tmp_path / "CelebA-HQ" / "gt" / "1.png", np.full((20, 20, 3), 100, np.uint8))
    mask = np.zeros((20, 20), np.uint8)
    mask[5:9] = 255
    save(tmp_path / "CelebA-HQ" / "masks" / "m.png", mask)
    (testset,) = named_sets("CelebA-HQ", tmp_path)
    loaded = testset.cases[0].load()
    assert loaded.mask is not None
    assert loaded.mask.sum() == 4 * 20
    assert (loaded.lq[5:9] == 255).all()
    assert (loaded.lq[9:] == 100).all()


def test_the_builtin_set_is_small_covers_all_tasks_and_never_changes() -> None:
    assert sum(path.stat().st_size for path in CLEAN.iterdir()) < 600_000
    licences = (CLEAN / "LICENCES.md").read_text(encoding="utf-8")
    assert all(path.name in licences for path in CLEAN.glob("*.webp"))
    sets, again = builtin_sets(), builtin_sets()
    assert [one.task for one in sets] == [task.name for task in TASKS]
    for first, second in zip(sets, again, strict=True):
        loaded = first.cases[1].load()
        np.testing.assert_array_equal(loaded.lq, second.cases[1].load().lq)
        assert loaded.gt is not None
        assert psnr(loaded.lq, loaded.gt) < 45
        assert (loaded.mask is not None) == (first.task == "inpaint")


@needs_bench
@pytest.mark.parametrize(
    ("name", "wanted"), [("Rain12", 28.82), ("EUVP", 17.23), ("PolyU", 35.67), ("SICE", 8.36)]
)
def test_real_pairs_give_the_known_numbers(name: str, wanted: float) -> None:
    cases = folder_set(BENCH / name / "lq", BENCH / name / "gt", "derain").cases
    found = [
        psnr(loaded.lq, loaded.gt) for loaded in (case.load() for case in cases) if loaded.gt is not None
    ]
    assert len(found) == len(os.listdir(BENCH / name / "lq"))
    assert round(float(np.mean(found)), 2) == wanted


def result(name: str, images: int, input_psnr: float) -> Result:
    dataset = find_dataset(name).dataset
    score = {"psnr": input_psnr, "psnr_y": input_psnr}
    pictures = tuple(PictureScore(str(place), 9, 9, score, score) for place in range(images))
    return Result(name, dataset.task, Setting("own", "own"), pictures, dataset.measured, "")


@pytest.mark.parametrize(
    ("found", "count", "reason"),
    [
        (("Rain100L", 100, 26.92), 3, "by count and by the input's PSNR"),
        (("Rain100L", 99, 26.90), 0, "99 pictures here, 100 in the test"),
        (("Rain100L", 100, 28.10), 0, "so these are others"),
        (("Kodak24", 24, 20.44), 0, "the noise was made here"),
        (("Test100", 100, 22.0), 0, "no published numbers are kept"),
    ],
)
def test_published_numbers_stand_beside_the_same_files_alone(
    found: tuple[str, int, float], count: int, reason: str
) -> None:
    published, said = published_for(result(*found), find_dataset(found[0]).dataset)
    assert len(published) == count
    assert reason in said
