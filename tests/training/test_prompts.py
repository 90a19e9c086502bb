"""The CLIP prompt loss, for real, with a small open_clip model of random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.data import BatchSource, pictures_in, read_photographs
from cyclerdm_cli.training.openclip import import_open_clip
from cyclerdm_cli.training.ordinary import ordinary_reader
from cyclerdm_cli.training.prompts import PromptLoss, learn_prompts, load_clip
from cyclerdm_cli.words.wordings import NAMES

if find_spec("open_clip") is None:
    pytest.skip("open_clip is not installed", allow_module_level=True)
open_clip = import_open_clip()
CPU = torch.device("cpu")
CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return MODEL:WEIGHTS of a tiny CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-clip.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / "tiny-clip.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-clip").state_dict(), folder / "tiny.pt")
    return f"{folder / 'tiny-clip.json'}:{folder / 'tiny.pt'}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photographs")
    rows, columns = np.mgrid[:80, :90]
    for number in range(4):
        waves = [np.sin(rows / (7 + number + c)) * np.cos(columns / (9 + c)) for c in range(3)]
        Image.fromarray((120 + 110 * np.stack(waves, 2)).astype(np.uint8)).save(place / f"{number}.png")
    return place


def source(folder: Path) -> tuple[BatchSource, TrainingConfig]:
    tasks = (find_task("low-light"), find_task("dehaze"))
    config = TrainingConfig(
        tuple(task.name for task in tasks), 1, scene=64, patches=(64,), scenes=4, tasks_per_batch=2,
        clean_share=0.0, mixture_share=0.0, prompt_iterations=120,
    )  # fmt: skip
    return BatchSource(tasks, config, read_photographs(pictures_in(folder), 64, CPU)), config


def test_learned_prompts_tell_damage_and_the_loss_leads_out_of_it(clip: str, folder: Path) -> None:
    batches, config = source(folder)
    prompts, right = learn_prompts(load_clip(clip, CPU), "tiny-clip", batches, config)
    assert right > 0.75
    loss = PromptLoss(prompts, prompts.sentences())
    batch = batches.draw(1000, 1.0)
    assert loss(batch.degraded, batch.mixture) > loss(batch.clean, batch.mixture) + 0.1
    picture = batch.degraded.clone().requires_grad_()
    loss(picture, batch.mixture).backward()
    assert picture.grad is not None
    step = picture.detach() - 0.02 * picture.grad.sign()
    assert loss(step.clamp(0, 1), batch.mixture) < loss(batch.degraded, batch.mixture)


def test_a_run_with_prompts_keeps_them_for_resuming(clip: str, folder: Path, tmp_path: Path) -> None:
    words = [
        "train", "--data", folder, "--task", "low-light,denoise", "--iterations", 2, "--scene", 64, "--patches", 32,
        "--scenes", 4, "--device", "cpu", "--out", tmp_path / "run", "--clip", clip,
        "--weight-prompts", "0.1", "--prompt-iterations", "3", "--validations", "0",
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    assert "prompts learned" in result.stderr
    before = (tmp_path / "run" / "prompts.pt").read_bytes()
    words[words.index("--iterations") + 1] = 3
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--resume")])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "run" / "prompts.pt").read_bytes() == before


def test_a_model_that_is_not_there_is_one_clear_line(clip: str, folder: Path, tmp_path: Path) -> None:
    model, weights = clip.split(":")
    for wanted, kind, reason in (
        ("ViT-B-32", UsageError, "not of the form"),
        ("ViT-B-33:x.pt", WeightsError, "knows no such model"),
        (f"{model}:{tmp_path}/none.pt", WeightsError, "no such weights"),
        (f"{tmp_path}/none.json:{weights}", WeightsError, "no such model configuration"),
    ):
        with pytest.raises(kind, match=reason):
            load_clip(wanted, CPU)
    words = ["train", "--data", folder, "--task", "denoise", "--scene", 64, "--patches", 32, "--device", "cpu",
             "--tasks-per-batch", "1", "--weight-prompts", "0.1", "--out", tmp_path / "run"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2
    assert "weights.prompts needs a model" in result.stderr


def test_an_ordinary_clip_reads_prompts(clip: str) -> None:
    reader = ordinary_reader(clip)
    read = reader.read(["remove the rain", "a dark photograph"])
    assert read.shape == (2, len(NAMES))
    assert ((read >= 0) & (read <= 1)).all()
    # Of random numbers little is to be hoped; but a sentence is most like itself.
    examples = reader.examples.clone()
    own = reader.model.encode_text(reader.tokenizer(["remove the rain"]))
    examples[1] = torch.nn.functional.normalize(own, dim=-1)
    assert replace(reader, examples=examples).read(["remove the rain"])[0].argmax() == 1
