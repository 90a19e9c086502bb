"""Training learns, resumes exactly, and says what is wrong with what it is given."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.cycle.compact import CompactNetwork
from cyclerdm_cli.cycle.filling import fill
from cyclerdm_cli.errors import CycleRDMError, DataError, UsageError, WeightsError
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.training.batches import BatchSource
from cyclerdm_cli.training.beginning import network_config, start_network
from cyclerdm_cli.training.configuration import Phase, TrainingConfig
from cyclerdm_cli.training.objective import Objective
from cyclerdm_cli.training.photographs import Photographs, pictures_in, read_photographs
from cyclerdm_cli.training.recipe import kind_of, read_recipe
from cyclerdm_cli.training.trainer import learning_rate, train
from cyclerdm_cli.training.validation import Held, psnr, validate
from cyclerdm_cli.weights.file import Header, read_all, read_header, write_weights

CPU = torch.device("cpu")
NETWORK: dict[str, Any] = {
    "widths": [8, 8], "down_blocks": [1, 0], "up_blocks": [0], "light_widths": [8, 8, 8, 8],
    "calibration_widths": [8, 8], "calibration_down_blocks": [0, 0], "calibration_up_blocks": [0],
}  # fmt: skip
PHASE = Phase(scenes=2, scene=64, patch=32, warm_up=2)
SMALL = TrainingConfig(
    task="denoise", iterations=6, precision="fp32", log_every=2, network=NETWORK, phases=(PHASE,)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of four bright, clear pictures of 150x170 and a file that is none."""
    place = tmp_path_factory.mktemp("photographs")
    rows, columns = np.mgrid[:150, :170]
    for number in range(4):
        waves = [
            np.sin(rows / (9 + number + channel)) * np.cos(columns / (11 + channel)) for channel in range(3)
        ]
        picture = 120 + 110 * np.stack(waves, 2)
        Image.fromarray(picture.astype(np.uint8)).save(place / f"{number}.png")
    (place / "notes.txt").write_text("no picture")
    return place


@pytest.fixture(scope="module")
def photographs(folder: Path) -> Photographs:
    return read_photographs(pictures_in(folder), 64, CPU)


def source(photographs: Photographs, config: TrainingConfig) -> BatchSource:
    return BatchSource(find_task(config.task), config, photographs)


def network_for(config: TrainingConfig, seed: int = 0) -> CompactNetwork:
    torch.manual_seed(seed)
    return CompactNetwork(network_config(find_task(config.task), config.network))


def test_every_photograph_is_seen_at_several_sizes(photographs: Photographs) -> None:
    assert len(photographs.files) == 4
    assert sorted(set(photographs.sides[:, 0].tolist())) == [75, 105, 150]


def test_a_cut_is_a_part_of_its_photograph(photographs: Photographs) -> None:
    scene = photographs.cut(torch.tensor([3]), 64, torch.Generator().manual_seed(4))[0]
    height, width = photographs.sides[3].tolist()
    start = int(photographs.starts[3])
    whole = photographs.pixels[start : start + height * width].view(height, width, 3).permute(2, 0, 1) / 255
    windows = whole.unfold(1, 64, 1).unfold(2, 64, 1).permute(1, 2, 0, 3, 4)
    found = [(windows == candidate).all(dim=(2, 3, 4)).any() for candidate in (scene, scene.flip(2))]
    assert any(bool(one) for one in found)


def test_the_same_iteration_gives_the_same_batch(photographs: Photographs) -> None:
    first, again, other = (source(photographs, SMALL).draw(iteration, PHASE) for iteration in (3, 3, 4))
    assert torch.equal(first.degraded, again.degraded)
    assert not torch.equal(first.degraded, other.degraded)
    assert first.clean.shape == (2, 3, 32, 32)
    assert first.scene.shape == (2, 3, 64, 64)


def test_patches_are_pieces_of_their_scenes(photographs: Photographs) -> None:
    batch = source(photographs, SMALL).draw(1, replace(PHASE, patches_per_scene=3))
    assert len(batch.clean) == 6
    scenes, clean_scenes = batch.for_patches(batch.scene), batch.for_patches(batch.clean_scene)
    assert batch.place.size == (64, 64)
    for number, (top, left) in enumerate(batch.place.corners.int().tolist()):
        square = (slice(None), slice(top, top + 32), slice(left, left + 32))
        assert torch.equal(batch.degraded[number], scenes[number][square])
        assert torch.equal(batch.clean[number], clean_scenes[number][square])


def test_processes_draw_other_batches(photographs: Photographs) -> None:
    drawn = [
        replace(source(photographs, SMALL), rank=rank, world=2).draw(iteration, PHASE).clean
        for rank in (0, 1)
        for iteration in (0, 1)
    ]
    assert not any(torch.equal(one, other) for place, one in enumerate(drawn) for other in drawn[:place])


def test_holes_are_filled_before_they_are_learned(photographs: Photographs) -> None:
    config = replace(SMALL, task="inpaint")
    batch = source(photographs, config).draw(2, replace(PHASE, patch=64))
    assert bool(batch.mask.any())
    known = batch.mask == 0
    assert torch.equal(
        batch.degraded[known.expand_as(batch.clean)], batch.clean[known.expand_as(batch.clean)]
    )
    again = fill(batch.degraded, batch.mask)  # from what is known alone
    torch.testing.assert_close(batch.degraded, again, atol=1e-5, rtol=0)


def test_a_share_of_the_scenes_stays_clean(photographs: Photographs) -> None:
    for share in (0.0, 0.9):
        drawn = source(photographs, replace(SMALL, clean_share=share))
        clean = sum(
            int((batch.degraded == batch.clean).flatten(1).all(1).sum())
            for batch in (drawn.draw(iteration, PHASE) for iteration in range(20))
        )
        assert clean == 0 if share == 0 else 28 <= clean <= 40


def test_training_lowers_the_error_of_what_it_trains(photographs: Photographs, tmp_path: Path) -> None:
    """Light first, then all: better than the power curve alone, which is known without learning."""
    phases = (
        replace(PHASE, stages=(1,), share=0.6, learning_rate=1e-2),
        replace(PHASE, share=0.4, learning_rate=1e-2),
    )
    config = replace(SMALL, task="backlight", iterations=40, ema=0.8, phases=phases)
    network, held = network_for(config), Held(photographs)
    task = find_task("backlight")
    before = validate(network, held, task, side=64, count=4)
    network.load_state_dict(train(network, source(photographs, config), config, tmp_path))
    after = validate(network, held, task, side=64, count=4)
    first = validate(network, held, task, side=64, count=4, stages=1)
    assert before is not None
    assert after is not None
    assert first is not None
    assert after.degraded == before.degraded
    assert after.restored > before.restored + 1
    assert first.restored > before.restored + 1


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_every_task_is_learned_from_photographs(task: str, photographs: Photographs, tmp_path: Path) -> None:
    phases = (
        replace(PHASE, stages=(0, 1) if find_task(task).blur else (1,), share=0.5),
        replace(PHASE, share=0.5),
    )
    config = replace(SMALL, task=task, iterations=2, phases=phases, ema=0.0)
    network = network_for(config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    records: list[dict[str, Any]] = []
    config = replace(config, log_every=1)
    values = train(network, source(photographs, config), config, tmp_path, report=records.append)
    assert [record["phase"] for record in records] == [0, 1]
    assert all(value.isfinite().all() for value in values.values())
    moved = {name.partition(".")[0] for name, value in values.items() if not torch.equal(value, before[name])}
    assert {"detail", "calibration"} <= moved
    assert ("light" in moved, "reader" in moved) == (find_task(task).tone, find_task(task).blur)


def test_a_network_of_another_stage_is_not_moved(photographs: Photographs, tmp_path: Path) -> None:
    config = replace(SMALL, task="dehaze", phases=(replace(PHASE, stages=(1,)),))
    network = network_for(config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    values = train(network, source(photographs, config), config, tmp_path)
    moved = {name for name, value in values.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("light.") for name in moved)


@pytest.mark.parametrize("stages", [(1,), (2,), (3,), (1, 2), (2, 3), (1, 2, 3)])
def test_a_loss_moves_the_stages_that_are_learned(stages: tuple[int, ...], photographs: Photographs) -> None:
    config = replace(SMALL, task="backlight")
    network = network_for(config)
    for layer in (network.detail.tail, network.calibration.tail):
        torch.nn.init.normal_(layer.weight, std=0.01)
    loss = Objective(config)(network, source(photographs, config).draw(0, PHASE), stages)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() > 0
    assert network.light is not None
    moved = {
        1: network.light.tail.weight.grad is not None,
        2: network.detail.head.weight.grad is not None,
        3: network.calibration.head.weight.grad is not None,
    }
    assert moved[1] == (1 in stages)
    assert moved[3] == (3 in stages)
    assert moved[2] or 2 not in stages


PHASES = (
    replace(PHASE, stages=(2,), share=0.4),
    replace(PHASE, stages=(2, 3), share=0.6, scenes=1, patches_per_scene=2),
)


@pytest.mark.parametrize("stop", [1, 3, 7])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    photographs: Photographs, tmp_path: Path, stop: int
) -> None:
    """Stopped in the first of two phases, and in the second."""
    config = replace(SMALL, iterations=10, phases=PHASES)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = train(network_for(config), source(photographs, config), config, whole)
    turns = iter(range(100))
    train(
        network_for(config), source(photographs, config), config, parts, stopped=lambda: next(turns) >= stop
    )
    kept = torch.load(parts / "checkpoint.pt", weights_only=True)["progress"]
    assert (kept["iteration"], kept["phase"]) == (stop, 0 if stop <= 4 else 1)
    found = train(network_for(config, 9), source(photographs, config), config, parts, resume=True)
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_phases_follow_one_another_by_their_shares() -> None:
    shares = (0.25, 0.0, 0.5, 0.25, 0.0)
    config = replace(SMALL, phases=tuple(replace(PHASE, share=3 * share) for share in shares))
    found = [config.phase_at(share) for share in (0.0, 0.125, 0.25, 0.5, 0.75, 0.9999, 1.0)]
    assert [phase for phase, _ in found] == [0, 0, 2, 2, 3, 3, 3]
    assert [done for _, done in found] == pytest.approx([0, 0.5, 0, 0.5, 0, 0.9996, 1])


def test_one_phase_is_the_whole_run() -> None:
    assert [SMALL.phase_at(share) for share in (0.0, 0.3, 1.0)] == [(0, 0.0), (0, 0.3), (0, 1.0)]


def test_the_rate_warms_up_and_falls_in_each_phase() -> None:
    phase = replace(PHASE, warm_up=10, learning_rate=1e-2)
    assert learning_rate(phase, 0, 0.0) == pytest.approx(1e-3)
    assert learning_rate(phase, 9, 0.0) == pytest.approx(1e-2)
    falling = [learning_rate(phase, 50, share) for share in (0.1, 0.5, 0.9, 1.0)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(1e-4)


def test_a_loss_that_is_not_finite_stops_the_run(photographs: Photographs, tmp_path: Path) -> None:
    network = network_for(SMALL)
    with torch.no_grad():
        network.detail.tail.weight.fill_(float("nan"))
    with pytest.raises(CycleRDMError, match="not finite"):
        train(network, source(photographs, SMALL), SMALL, tmp_path)


def test_bad_data_is_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        pictures_in(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no pictures"):
        pictures_in(tmp_path)
    with pytest.raises(DataError, match="at least 700x700"):
        read_photographs(pictures_in(folder), 700, CPU)


def test_dark_photographs_teach_no_low_light(tmp_path: Path) -> None:
    Image.fromarray(np.full((70, 70, 3), 12, np.uint8)).save(tmp_path / "dark.png")
    photographs = read_photographs(pictures_in(tmp_path), 64, CPU)
    with pytest.raises(DataError, match="low-light"):
        photographs.suitable(find_task("low-light"))
    assert photographs.suitable(find_task("denoise")).tolist() == [0]


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        (SMALL, "ema", 1.0),
        (SMALL, "precision", "int4"),
        (SMALL, "iterations", -1),
        (SMALL, "clean_share", 1.0),
        (SMALL, "momentum", 1.0),
        (SMALL, "seed", "three"),
        (SMALL, "compile", 1),
        (PHASE, "patch", 40),
        (PHASE, "scene", 16),
        (PHASE, "scenes", 0),
        (PHASE, "stages", ()),
        (PHASE, "stages", (2, 2)),
        (PHASE, "stages", (4,)),
        (PHASE, "stages", 2),
        (PHASE, "warm_up", 1.5),
        (PHASE, "learning_rate", 1.0),
        (PHASE, "share", -0.1),
    ],
)
def test_a_recipe_names_the_field_and_what_is_allowed(make: Any, field: str, value: object) -> None:
    said = "|".join(re.escape(f"{field} is {words}") for words in (value, repr(value)))
    with pytest.raises(UsageError, match=said) as raised:
        replace(make, **{field: value})
    assert "allowed: " in str(raised.value)


def test_a_run_without_an_end_or_a_phase_is_refused() -> None:
    with pytest.raises(UsageError, match="no end"):
        replace(SMALL, iterations=0)
    with pytest.raises(UsageError, match="phases"):
        replace(SMALL, phases=(replace(PHASE, share=0.0),))


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_the_recipe_of_the_package_suits_every_task(task: str) -> None:
    found = find_task(task)
    recipe = read_recipe(found, "cpu", "package", {})
    config = network_config(found, recipe.network)
    assert config.task == recipe.task == task
    assert (config.light, config.deblurs, config.fills) == (found.tone, found.blur, found.masked)
    learned = {stage for phase in recipe.phases for stage in phase.stages}
    assert {2, 3} <= learned
    assert (1 in learned) == found.tone
    assert recipe.iterations > 0
    assert all(phase.patch % config.multiple == 0 for phase in recipe.phases)


def test_the_kinds_of_tasks() -> None:
    assert {task.name: kind_of(task) for task in TASKS} == {
        "dejpeg": "detail",
        "denoise": "detail", "derain": "detail", "desnow": "detail", "raindrop": "detail", "deblur": "deblur",
        "inpaint": "inpaint", "dehaze": "light", "low-light": "light", "underwater": "light", "backlight": "light",
    }  # fmt: skip


def test_what_a_recipe_says_of_a_task_goes_before_what_it_says_of_its_kind(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        "ema = 0.5\nmomentum = 0.5\niterations = 9\n[[phases]]\nscene = 256\npatch = 64\n"
        "[kinds.light]\nema = 0.6\nmomentum = 0.6\n[tasks.dehaze]\nmomentum = 0.7\nminutes = 3.0\n"
    )

    def read(task: str, **flags: Any) -> TrainingConfig:
        return read_recipe(find_task(task), "cpu", str(recipe), flags)

    assert [(one.ema, one.momentum) for one in map(read, ("denoise", "low-light", "dehaze"))] == [
        (0.5, 0.5), (0.6, 0.6), (0.6, 0.7),
    ]  # fmt: skip
    asked = read("dehaze", minutes=1.0, patch=32, ema=0.8)
    assert (asked.iterations, asked.minutes, asked.ema) == (0, 1.0, 0.8)
    assert [(phase.scene, phase.patch) for phase in asked.phases] == [(256, 32)]


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"condition": 128}, WeightsError, "unknown configuration condition"),
        ({"widths": [8, 8, 8]}, WeightsError, "do not fit together"),
    ],
)
def test_a_network_that_a_recipe_cannot_mean_is_refused(
    given: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        network_config(find_task("denoise"), given)


def test_psnr_is_that_of_eight_bit_pictures() -> None:
    zero, one = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 1.3 / 255)
    assert abs(float(psnr(zero, one)) - 48.1308) < 1e-3


def test_validation_keeps_what_is_not_missing(photographs: Photographs) -> None:
    shown: list[torch.Tensor] = []

    def show(task: object, degraded: torch.Tensor, restored: torch.Tensor, clean: torch.Tensor) -> None:
        shown.extend((degraded, restored, clean))

    config = replace(SMALL, task="inpaint")
    network = network_for(config).eval()
    score = validate(network, Held(photographs), find_task("inpaint"), side=64, count=3, show=show)
    assert score is not None
    assert score.restored > score.degraded + 3  # they are filled before anything is learned
    degraded, restored, clean = shown
    missing = (degraded != clean).any(0)
    assert torch.equal(restored[:, ~missing], clean[:, ~missing])


def run_words(folder: Path, out: Path, *more: object) -> list[str]:
    words = ["train", "--data", folder, "--out", out, "--scene", 64, "--patch", 32, "--scenes", 2,
             "--device", "cpu", "--precision", "fp32", "--validations", 0, "--iterations", 2, *more]  # fmt: skip
    return [str(word) for word in words]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Return a recipe of a small network."""
    path = tmp_path / "small.toml"
    rows = "\n".join(f"{name} = {value}" for name, value in NETWORK.items())
    path.write_text(f"[network]\n{rows}\n")
    return path


def invoke(words: list[str]) -> Any:
    return CliRunner().invoke(app, words)


def test_the_command_makes_weights_that_restore_takes(folder: Path, recipe: Path, tmp_path: Path) -> None:
    words = run_words(
        folder, tmp_path / "run", "--task", "dehaze", "--recipe", recipe, "--licence", "CC0-1.0"
    )
    result = invoke(words)
    assert result.exit_code == 0, result.stderr
    weights = Path(result.stdout.strip())
    header = read_header(weights)
    assert (header.tasks, header.licence, header.config["task"]) == (("dehaze",), "CC0-1.0", "dehaze")
    assert header.config["light"]
    assert set(header.ranges) == {"detail", "calibration"}
    assert "4 photographs" in header.training_data
    out = tmp_path / "out.png"
    restore = ["restore", folder / "0.png", "--task", "dehaze", "--weights", weights, "-o", out]
    result = invoke([str(word) for word in restore])
    assert result.exit_code == 0, result.stderr
    assert Image.open(out).size == (170, 150)
    restore[3] = "derain"
    refused = invoke([str(word) for word in restore])
    assert refused.exit_code == 2
    assert "no weights for derain" in refused.stderr


def test_several_tasks_are_trained_one_after_the_other_in_folders_of_their_own(
    folder: Path, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = invoke(run_words(folder, out, "--task", "denoise, dehaze", "--config", recipe))
    assert result.exit_code == 0, result.stderr
    made = [out / task / "weights.safetensors" for task in ("denoise", "dehaze")]
    assert result.stdout.split() == [str(path) for path in made]
    assert [read_header(path).tasks for path in made] == [("denoise",), ("dehaze",)]
    assert [read_header(path).config["light"] for path in made] == [False, True]


def test_weights_say_what_they_came_from(folder: Path, recipe: Path, tmp_path: Path) -> None:
    first = invoke(
        run_words(folder, tmp_path / "one", "--task", "denoise", "--recipe", recipe, "--data-note", "waves")
    )
    assert first.exit_code == 0, first.stderr
    parent = Path(first.stdout.strip())
    words = run_words(
        folder, tmp_path / "two", "--task", "denoise", "--recipe", recipe, "--init", parent, "--seed", 7
    )
    second = invoke([*words, "--learning-rate", "1e-9", "--weight-decay", "0"])
    assert second.exit_code == 0, second.stderr
    lineage = read_header(Path(second.stdout.strip())).lineage
    assert [(one["task"], one["recipe"], one["seed"], one["iterations"]) for one in lineage] == [
        ("denoise", "small.toml", 0, 2), ("denoise", "small.toml", 7, 2),
    ]  # fmt: skip
    assert [one["parent"] for one in lineage] == [None, sha256(parent.read_bytes()).hexdigest()]
    assert [one["data"] for one in lineage] == ["waves", "4 photographs"]
    # What was learned before is where the second run began; with a rate of next to nothing it is where it ends.
    before, after = read_all(parent), read_all(Path(second.stdout.strip()))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-3, rtol=1e-2)


def test_a_network_has_the_shape_of_the_weights_that_it_begins_with(tmp_path: Path) -> None:
    path = tmp_path / "parent.safetensors"
    parent = CompactNetwork(replace(TINY, task="denoise", stages=2))
    write_weights(
        path, parent.state_dict(), Header("compact", parent.config.to_json(), ("denoise",), "", "", "", {})
    )
    same, other = (
        start_network(find_task(name), replace(SMALL, network={}), str(path))
        for name in ("denoise", "dehaze")
    )
    assert same.config == parent.config
    assert other.config == replace(TINY, task="dehaze", light=True, stages=3)
    wide = replace(SMALL, network={"widths": [8, 12, 24], "down_blocks": [1, 1, 1], "up_blocks": [1, 1]})
    assert start_network(find_task("denoise"), wide, str(path)).config.widths == (8, 12, 24)


def test_weights_of_which_nothing_fits_are_refused(folder: Path, recipe: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    header = Header("compact", TINY.to_json(), ("denoise",), "CC0-1.0", "nothing", "2026-01-01", {})
    write_weights(path, {"nothing.like.it": torch.zeros(3)}, header)
    words = run_words(folder, tmp_path / "run", "--task", "denoise", "--recipe", recipe, "--init", path)
    result = invoke(words)
    assert result.exit_code == 4
    assert "nothing of these weights fits" in result.stderr


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (None, "train needs --task"),
        ("denoize", "did you mean 'denoise'?"),
        ("denoise,denoise", "named twice"),
        ("denoise,nothing", "unknown task 'nothing'"),
    ],
)
def test_tasks_that_cannot_be_meant_are_refused(
    folder: Path, tmp_path: Path, task: str | None, reason: str
) -> None:
    result = invoke(run_words(folder, tmp_path / "run", *(() if task is None else ("--task", task))))
    assert result.exit_code == 2
    assert reason in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_dry_run_says_what_it_would_do(folder: Path, recipe: Path, tmp_path: Path) -> None:
    words = run_words(folder, tmp_path / "run", "--task", "underwater", "--recipe", recipe, "--dry-run")
    result = invoke(words)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["task"], told["data"], told["iterations"]) == ("underwater", "4 photographs", 2)
    assert told["network"]["widths"] == [8, 8]
    assert len(told["patches_per_second"]) == len(told["phases"]) == 1
    assert told["minutes"] >= 0
    assert not (tmp_path / "run").exists()
