"""Which file goes with which, in the layouts of the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyclerdm_cli.benchmark.datasets import find_dataset, read_datasets
from cyclerdm_cli.benchmark.pairing import pair_folders, pair_layout
from cyclerdm_cli.benchmark.sources import named_sets
from cyclerdm_cli.errors import DataError, UsageError
from cyclerdm_cli.tasks.catalogue import find_task


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_folders_pair_by_name_without_extension_as_people_count(tmp_path: Path) -> None:
    touch(tmp_path, "lq/2.png", "lq/10.jpg", "lq/alone.png", "lq/notes.txt", "lq/.hidden.png")
    touch(tmp_path, "gt/10.png", "gt/2.png", "gt/other.png")
    found = pair_folders(tmp_path / "lq", tmp_path / "gt")
    assert [(pair.lq.name, pair.gt.name) for pair in found.pairs] == [
        ("2.png", "2.png"),
        ("10.jpg", "10.png"),
    ]  # type: ignore[union-attr]
    assert [path.name for path in found.unpaired] == ["alone.png"]
    assert [path.name for path in found.unused] == ["other.png"]


def test_a_name_with_two_partners_is_no_pair(tmp_path: Path) -> None:
    touch(tmp_path, "lq/a.png", "gt/a.png", "gt/a.jpg", "lq/b.png", "lq/b.jpg", "gt/b.png")
    found = pair_folders(tmp_path / "lq", tmp_path / "gt")
    assert found.pairs == ()
    assert len(found.unpaired) == 3


@pytest.mark.parametrize(
    ("name", "lq", "gt"),
    [
        ("Rain100L", "rainy/rain-001.png", "norain-001.png"),
        ("Rain100L", "rain/X2/norain-001x2.png", "norain/norain-001.png"),
        ("Rain100H", "input/1.png", "target/1.png"),
        ("Rain1400", "rainy_image/901_14.jpg", "ground_truth/901.jpg"),
        ("SPA", "real_test_1000/rain/000.png", "real_test_1000/gt/000gt.png"),
        ("Snow100K-L", "synthetic/a.jpg", "gt/a.jpg"),
        ("SOTS-outdoor", "hazy/0001_0.8_0.2.jpg", "gt/0001.png"),
        ("NH-HAZE", "01_hazy.png", "01_GT.png"),
        ("PolyU", "CroppedImages/Sony_4_real.JPG", "CroppedImages/Sony_4_mean.JPG"),
        ("CC15", "d800_1_real.png", "d800_1_mean.png"),
        ("GoPro", "test/GOPR0384/blur/000001.png", "test/GOPR0384/sharp/000001.png"),
        ("HIDE", "test/test-long-shot/7.png", "GT/7.png"),
        ("RainDrop-a", "test_a/data/0_rain.png", "test_a/gt/0_clean.png"),
        ("LOLv2-real", "Real_captured/Test/Low/low00690.png", "Real_captured/Test/Normal/normal00690.png"),
        ("SICE", "Dataset_Part2/7/1.JPG", "Dataset_Part2/Label/7.JPG"),
        ("LOLv1", "lq/1.png", "gt/1.png"),
    ],
)
def test_sets_are_found_as_they_are_laid_out(name: str, lq: str, gt: str, tmp_path: Path) -> None:
    dataset = find_dataset(name).dataset
    touch(tmp_path / dataset.name, lq, gt)
    found = pair_layout(tmp_path / dataset.name, dataset.all_layouts)
    assert found is not None
    (pair,) = found[0].pairs
    assert pair.lq == tmp_path / dataset.name / lq
    assert pair.gt == tmp_path / dataset.name / gt


def test_two_scenes_with_the_same_frame_stay_apart(tmp_path: Path) -> None:
    touch(tmp_path, *(f"test/{scene}/{kind}/1.png" for scene in "ab" for kind in ("blur", "sharp")))
    found = pair_layout(tmp_path, find_dataset("GoPro").dataset.all_layouts)
    assert found is not None
    assert [pair.name for pair in found[0].pairs] == ["a/blur/1", "b/blur/1"]
    assert all(pair.lq and pair.gt and pair.lq.parts[-3] == pair.gt.parts[-3] for pair in found[0].pairs)


def test_masks_go_round_where_they_are_fewer(tmp_path: Path) -> None:
    touch(tmp_path, "gt/1.png", "gt/2.png", "gt/3.png", "masks/x.png", "masks/y.png")
    found = pair_layout(tmp_path, find_dataset("CelebA-HQ").dataset.all_layouts)
    assert found is not None
    assert [pair.mask.name for pair in found[0].pairs] == ["x.png", "y.png", "x.png"]  # type: ignore[union-attr]


def test_every_set_has_a_task_a_home_and_a_licence() -> None:
    sets = read_datasets()
    assert len(sets) >= 44
    for dataset in sets.values():
        find_task(dataset.task)
        assert dataset.home.startswith("http")
        assert dataset.licence
        if dataset.archive is not None and "github.com" in dataset.archive.url:
            commit = dataset.archive.url.rpartition("/")[2].removesuffix(".zip")
            assert len(commit) == 40, f"{dataset.name}: {dataset.archive.url} may change"


def test_an_absent_set_says_where_to_get_it_and_which_folders_to_make(tmp_path: Path) -> None:
    with pytest.raises(DataError) as fault:
        named_sets("rain100l", tmp_path)
    said = str(fault.value)
    assert fault.value.exit_status == 2
    assert "icst.pku.edu.cn" in said
    assert f"{tmp_path / 'Rain100L' / 'lq'}/" in said
    assert f"{tmp_path / 'Rain100L' / 'gt'}/" in said


def test_an_unknown_set_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'Kodak24'"):
        find_dataset("kodak")
