"""Metrics that need weights: absent with a reason, or used; NIQE by its own properties."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from skimage import data

from cyclerdm_cli.benchmark import learned
from cyclerdm_cli.benchmark.learned import find_judges
from cyclerdm_cli.benchmark.niqe import NaturalModel, _features, _normalised, niqe
from cyclerdm_cli.benchmark.scoring import score
from cyclerdm_cli.errors import PictureError, UsageError

WINDOW = np.outer(*[np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))] * 2)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """Fit a model to sharp photographs, in the form of BasicSR's file."""
    window = WINDOW / WINDOW.sum()
    features = []
    for picture in (data.astronaut(), data.coffee()[:384, :576]):
        plane = picture.astype(np.float64) @ (0.257, 0.504, 0.098) + 16
        scales = []
        for side in (96, 48):
            rows, columns = plane.shape[0] // side, plane.shape[1] // side
            normalised = _normalised(plane[: rows * side, : columns * side], window)
            blocks = normalised.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
            scales.append(_features(blocks))
            plane = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
            plane = plane.reshape(plane.shape[0] // 2, 2, -1, 2).mean((1, 3))
        count = min(len(scale) for scale in scales)
        features.append(np.concatenate([scale[:count] for scale in scales], axis=1))
    rows_ = np.concatenate(features)
    path = tmp_path / "niqe_pris_params.npz"
    np.savez(
        path,
        mu_pris_param=rows_.mean(0)[None],
        cov_pris_param=np.cov(rows_, rowvar=False),
        gaussian_window=window,
    )
    return path


def test_niqe_rises_with_blur_and_noise(model_file: Path) -> None:
    model = NaturalModel.read(model_file)
    sharp = data.chelsea()
    noise = np.random.default_rng(0).normal(0, 40, sharp.shape)
    noisy = np.clip(sharp + noise, 0, 255).astype(np.uint8)
    blurred = sharp.copy()
    for _ in range(6):
        blurred = ((blurred.astype(int) + np.roll(blurred, 1, 0) + np.roll(blurred, 1, 1)) // 3).astype(
            np.uint8
        )
    assert niqe(noisy, model) > niqe(sharp, model)
    assert niqe(blurred, model) > niqe(sharp, model)


def test_niqe_refuses_what_it_cannot_judge(model_file: Path) -> None:
    model = NaturalModel.read(model_file)
    with pytest.raises(PictureError, match="two blocks"):
        niqe(data.chelsea()[:100, :150], model)
    with pytest.raises(PictureError, match="too even"):
        niqe(np.full((200, 200, 3), 7, np.uint8), model)


def test_niqe_is_used_where_its_file_is_and_also_without_a_reference(model_file: Path) -> None:
    judges = find_judges(("niqe",), model_file.parent)
    assert judges.absent == {}
    assert set(score(data.chelsea(), None, "none", 0, judges)) == {"niqe", "noise", "sharpness"}
    small = data.chelsea()[:40, :40]
    assert set(score(small, small, "rgb", 0, judges)) == {"psnr", "ssim", "psnr_y", "ssim_y"}


def test_what_is_not_there_is_absent_with_a_line_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "find_spec", lambda name: None)
    judges = find_judges(("lpips", "niqe", "fid"), tmp_path)
    assert judges.names == []
    assert "pip install torchmetrics" in judges.absent["lpips"]
    assert str(tmp_path) in judges.absent["niqe"]
    assert all("\n" not in reason for reason in judges.absent.values())
    with pytest.raises(UsageError, match="unknown metric"):
        find_judges(("vmaf",), tmp_path)


def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in (learned.ALEXNET, learned.INCEPTION):
        (tmp_path / "checkpoints" / name).write_bytes(b"")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(learned, "find_spec", lambda name: ModuleType(name))


def test_a_library_that_breaks_on_import_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints(tmp_path, monkeypatch)

    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name.startswith("torchmetrics"):
                raise RuntimeError("operator torchvision::nms\ndoes not exist")

    for name in [name for name in sys.modules if name.startswith("torchmetrics")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    judges = find_judges(("lpips", "fid"), tmp_path)
    assert judges.absent["lpips"].endswith("operator torchvision::nms does not exist")
    assert set(judges.absent) == {"lpips", "fid"}


def test_pictures_reach_the_library_as_it_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints(tmp_path, monkeypatch)

    class Distance(torch.nn.Module):
        def __init__(self, net_type: str, normalize: bool) -> None:
            super().__init__()
            assert (net_type, normalize) == ("alex", True)

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            assert first.shape == (1, 3, 20, 30)
            assert 0 <= float(first.min()) <= float(first.max()) <= 1
            return (first - second).abs().mean()

    module = ModuleType("torchmetrics.image.lpip")
    module.LearnedPerceptualImagePatchSimilarity = Distance  # type: ignore[attr-defined]
    for name in ("torchmetrics", "torchmetrics.image"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "torchmetrics.image.lpip", module)
    judges = find_judges(("lpips",), tmp_path)
    white, black = np.full((20, 30, 3), 255, np.uint8), np.zeros((20, 30, 3), np.uint8)
    assert judges.with_reference["lpips"](white, black) == pytest.approx(1)
