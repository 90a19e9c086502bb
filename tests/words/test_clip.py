"""The file of weights is open_clip's, and read as open_clip would read it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.recognising.openclip import import_open_clip
from cyclerdm_cli.recognising.recogniser import Recogniser
from cyclerdm_cli.weights.file import read_all, read_header, write_weights
from cyclerdm_cli.words.clip import VERDICT_PREFIX, load_clip, packaged
from cyclerdm_cli.words.eye import Eye
from cyclerdm_cli.words.towers import read_picture
from cyclerdm_cli.words.windows import SIDE
from cyclerdm_cli.words.wordings import NAMES

SENTENCES = ["remove the rain and brighten it", "a hazy photograph", "xyzzy"]


def test_both_towers_agree_with_open_clip(tiny_recogniser: Recogniser, tiny_clip: Path) -> None:
    clip, model = load_clip(tiny_clip), tiny_recogniser.model
    described = torch.randn((4, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model.encode_image(described)
        texts = model.encode_text(tiny_recogniser._tokens(SENTENCES))
        found = read_picture(clip.numbers, clip.vision_config, described)
        # The file holds half precision.
        torch.testing.assert_close(found, expected, atol=0.01, rtol=0.01)
        torch.testing.assert_close(clip.embed(SENTENCES), texts, atol=0.01, rtol=0.01)


def test_the_file_in_the_package_loads_into_open_clip_and_gives_the_same() -> None:
    header = read_header(packaged())
    numbers = {
        name: value for name, value in read_all(packaged()).items() if not name.startswith(VERDICT_PREFIX)
    }
    config = header.config
    model = import_open_clip().model.CLIP(
        config["embed_dim"], config["vision_cfg"], config["text_cfg"], init_logit_bias=0.0
    )
    model.load_state_dict(numbers)
    model.eval()
    clip = load_clip(packaged())
    described = torch.randn((2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(
            read_picture(clip.numbers, clip.vision_config, described), model.encode_image(described),
            atol=1e-4, rtol=1e-4,
        )  # fmt: skip
    assert packaged().stat().st_size < 6 * 2**20


def test_likelihoods_are_of_every_name_and_unknown_words_mean_nothing(tiny_clip: Path) -> None:
    clip = load_clip(tiny_clip)
    seen = Eye(clip).see(np.random.default_rng(0).integers(0, 256, (97, 131, 3), np.uint8))
    assert seen.shape == (len(NAMES),)
    assert ((seen > 0) & (seen < 1)).all()
    read = clip.read(["remove the rain", "entferne den Regen", ""])
    assert (read[0] > 0).all()
    assert (read[1:] == 0).all()


def test_a_file_that_is_older_than_a_task_says_the_same_of_the_others(
    tiny_clip: Path, tmp_path: Path
) -> None:
    header = read_header(tiny_clip)
    known = tuple(name for name in NAMES if name not in ("dejpeg", "dehaze"))
    older = tmp_path / "older.safetensors"
    write_weights(older, read_all(tiny_clip), replace(header, config={**header.config, "names": list(known)}))
    pixels = np.random.default_rng(0).integers(0, 256, (97, 131, 3), np.uint8)
    clips = [load_clip(file) for file in (tiny_clip, older)]
    for now, before in (
        [Eye(clip).see(pixels) for clip in clips],
        [clip.read(["remove the rain"])[0] for clip in clips],
    ):
        there = np.array([name in known for name in NAMES])
        np.testing.assert_allclose(before[there], now[there], rtol=1e-5)
        assert (before[~there] == 0).all()
        assert (now[~there] > 0).all()
    assert clips[1].names == known


@pytest.mark.parametrize(
    "names", [["denoise", "unheard-of", "clean"], ["denoise", "denoise", "clean"], ["denoise"]]
)
def test_a_file_with_names_that_cannot_be_is_refused(
    names: list[str], tiny_clip: Path, tmp_path: Path
) -> None:
    header = read_header(tiny_clip)
    odd = tmp_path / "odd.safetensors"
    write_weights(odd, read_all(tiny_clip), replace(header, config={**header.config, "names": names}))
    with pytest.raises(WeightsError, match="no CLIP of this program"):
        load_clip(odd)


def test_other_files_are_refused(tiny_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a CLIP"):
        load_clip(tiny_weights)
    with pytest.raises(WeightsError, match="no such file"):
        load_clip(tmp_path / "none.safetensors")


def test_without_auto_nothing_of_clip_is_imported(tiny_weights: Path, photograph_file: Path) -> None:
    code = (
        "import sys, json\n"
        "from typer.testing import CliRunner\n"
        "from cyclerdm_cli.app import app\n"
        "result = CliRunner().invoke(app, sys.argv[1:])\n"
        "assert result.exit_code == 0, result.output\n"
        "print(json.dumps([name for name in sys.modules if 'cyclerdm_cli.words' in name or 'open_clip' in name]))\n"
    )
    words = ["restore", photograph_file, "--task", "denoise", "--weights", tiny_weights, "--device", "cpu"]
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == []
