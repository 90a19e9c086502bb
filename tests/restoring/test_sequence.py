"""Frames of a sequence: cuts are found, one decision for all, and a light that neighbours share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, tiny_network
from typer.testing import CliRunner

import cyclerdm_cli as cyclerdm
from cyclerdm_cli.app import app
from cyclerdm_cli.device import Engine
from cyclerdm_cli.errors import PictureError, UsageError
from cyclerdm_cli.pictures.listing import Input, as_frames
from cyclerdm_cli.pictures.naming import Job
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.restoring.choosing import Choice
from cyclerdm_cli.restoring.memory import LOOKS
from cyclerdm_cli.restoring.planning import Planner, RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.restoring.sequence import CUT, REACH, Frames, look_of, scene_of
from cyclerdm_cli.tasks.catalogue import Task, find_task
from cyclerdm_cli.weights.file import Header, write_weights

LIT = replace(TINY, task="low-light", light=True, brightens=True)
SIZE = (48, 64)


def scene(seed: int) -> np.ndarray:
    """Return a dark picture of blocks, (48, 64, 3) in [0, 1]."""
    blocks = np.random.default_rng(seed).random((6, 8, 3))
    return 0.2 * np.kron(blocks, np.ones((8, 8, 1)))


def frame(seed: int, exposure: float = 1.0, number: int = 0) -> np.ndarray:
    """Return a scene at some exposure with noise."""
    noise = np.random.default_rng(100 + number).normal(0, 2, (*SIZE, 3))
    return np.clip(np.rint(scene(seed) * exposure * 255 + noise), 0, 255).astype(np.uint8)


def places(frames: Sequence[np.ndarray], own: int) -> list[int]:
    return scene_of({number: look_of(one, {}) for number, one in enumerate(frames)}, own)


def test_a_change_of_exposure_is_no_cut_and_another_scene_is() -> None:
    exposures = (1, 0.8, 1.2, 0.9, 1.1, 1)
    one = [frame(1, exposure, number) for number, exposure in enumerate(exposures)]
    assert places(one, 2) == [0, 1, 2, 3, 4, 5]
    two = [*one[:3], *(frame(2, exposure, number) for number, exposure in enumerate(exposures[:3]))]
    assert places(two, 1) == [0, 1, 2]
    assert places(two, 3) == [3, 4, 5]
    assert places([one[0], two[3]], 0) == [0]


def test_pictures_that_have_nothing_in_common_are_each_alone() -> None:
    shots = [frame(seed) for seed in range(6)]
    assert all(places(shots, own) == [own] for own in range(6))


def test_a_lamp_that_is_switched_on_is_a_cut_and_so_is_another_size() -> None:
    dark, bright = [frame(1, 1, number) for number in range(3)], [frame(1, 4, number) for number in range(3)]
    assert places([*dark, *bright], 2) == [0, 1, 2]
    assert places([*dark, dark[0][:, :60]], 1) == [0, 1, 2]


class Told:
    """Frames of a folder that does not exist, and what was read of it."""

    def __init__(self, pictures: Sequence[np.ndarray | None]) -> None:
        self.jobs = [
            Job(Input(Path(f"film/{n}.png"), Path("film")), None, "keep") for n in range(len(pictures))
        ]
        self.pictures, self.read = pictures, [0] * len(pictures)
        network = tiny_network(config=LIT)
        self.restorer = Restorer(
            network, Engine(torch.device("cpu"), torch.float32, "test"), RestoreOptions()
        )

    def frames(self, choose: Callable[[Picture], Choice] | None = None) -> Frames:
        def read(job: Job) -> Any:
            number = self.jobs.index(job)
            self.read[number] += 1
            pixels = self.pictures[number]
            if pixels is None:
                raise PictureError("damaged")
            return Stub(pixels)

        return Frames(
            self.jobs, read, lambda pixels, tasks: {"low-light": self.restorer.see(pixels, pixels)}, choose
        )


class Stub:
    """What is needed of a picture."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels


def test_each_frame_is_looked_at_once_and_few_are_kept() -> None:
    told = Told([frame(1, 1, number) for number in range(2 * REACH + 5)])
    frames, tasks = told.frames(), [find_task("low-light")]
    for job in told.jobs:
        assert [*frames.light(job, tasks)] == ["low-light"]
        (shot,) = frames._shots.values()
        assert len(shot.looks) <= 2 * REACH + 1
        with_pixels = sum(
            look is not None and look.seen["low-light"].sample.size > 0 for look in shot.looks.values()
        )
        assert with_pixels <= REACH + 1
    assert told.read == [1] * len(told.jobs)


def test_a_damaged_frame_is_passed_over_and_a_cut_is_told() -> None:
    told = Told([frame(1), None, frame(1, 1, 2), frame(2), frame(2, 1, 4)])
    frames, tasks = told.frames(), [find_task("low-light")]
    lights = [frames.light(job, tasks) for job in told.jobs]
    assert lights[1] == {}
    assert [frames.notes(job) for job in told.jobs] == [(), (), (), (CUT,), ()]
    alone = told.restorer.see(frame(2), frame(2)).light
    assert not torch.equal(lights[3]["low-light"].grid, alone.grid), "the frame after it counts"


def test_the_commonest_choice_of_a_few_frames_is_that_of_all() -> None:
    told = Told([frame(1, 1, number) for number in range(20)])
    by_number = {0: "derain", 5: "denoise", 10: "denoise", 14: ""}
    asked = []

    def choose(picture: Any) -> Choice:
        number = next(n for n, pixels in enumerate(told.pictures) if pixels is picture.pixels)
        asked.append(number)
        name = by_number.get(number, "denoise")
        tasks: list[Task] = [find_task(name)] if name else []
        return Choice(tasks, {}, f"{name} (as seen)", "" if name else "not sure")

    frames = told.frames(choose)
    for job in told.jobs:
        choice = frames.choice(job, Stub(frame(3)))  # type: ignore[arg-type]
        assert [task.name for task in choice.tasks] == ["denoise"]
    assert choice.note == "denoise (as seen), as 3 of 5 frames looked at"
    assert asked == [0, 5, 10, 14, 19]


def test_frames_come_folder_by_folder_in_natural_order() -> None:
    names = ["b/f10.png", "a/2.png", "b/f2.png", "a/10.png", "a/1.png"]
    ordered = as_frames([Input(Path(name), Path(name).parent) for name in names])
    assert [str(one.path) for one in ordered] == ["b/f2.png", "b/f10.png", "a/1.png", "a/2.png", "a/10.png"]
    with pytest.raises(UsageError, match="standard input is no frame"):
        as_frames([Input(None, Path("."))])


@pytest.fixture
def film(tmp_path: Path) -> tuple[list[str], Path]:
    """Return a command, and a folder of nine frames of one dark scene, with a cut to another of three."""
    weights = tmp_path / "lit.safetensors"
    passive = replace(LIT, brightens=False)  # so that its results flicker as the frames do
    header = Header("compact", passive.to_json(), ("low-light",), "CC0-1.0", "none", "2026-01-01", {})
    write_weights(weights, tiny_network(config=passive).state_dict(), header)
    folder = tmp_path / "film"
    folder.mkdir()
    exposures = np.exp(np.random.default_rng(4).normal(0, 0.15, 12))
    for number, exposure in enumerate(exposures):
        Image.fromarray(frame(1 if number < 9 else 2, exposure, number)).save(folder / f"f{number}.png")
    return [
        "restore",
        str(folder),
        "--weights",
        str(weights),
        "--task",
        "low-light",
        "--device",
        "cpu",
    ], folder


def call(*words: str) -> tuple[int, str, str]:
    said = CliRunner().invoke(app, [*words])
    return said.exit_code, said.stdout, said.stderr


def test_a_film_flickers_less_and_goes_on_as_if_never_interrupted(
    film: tuple[list[str], Path], tmp_path: Path
) -> None:
    command, _ = film
    assert call(*command, "-o", f"{tmp_path}/each/")[0] == 0
    status, out, err = call(*command, "-o", f"{tmp_path}/steady/", "--sequence", "--json", "--jobs", "3")
    assert status == 0
    records = [json.loads(line) for line in out.splitlines()]
    names = [Path(record["output"]).name for record in records[:-1]]
    assert names == [f"f{number}.png" for number in range(12)]
    assert records[-1]["summary"]["ok"] == 12
    assert [line.partition(": ")[2] for line in err.splitlines() if CUT in line] == [CUT]
    assert "f9.png" in next(line for line in err.splitlines() if CUT in line)

    def flicker(folder: str, side: int) -> float:
        shots = [read_picture(tmp_path / folder / f"f{number}.png").pixels for number in range(9)]
        squares = np.reshape(shots, (9, SIZE[0] // side, side, SIZE[1] // side, side, 3)).mean((2, 4))
        return float(squares.std(0).mean())

    for side in (16, 8):
        assert flicker("steady", side) < 0.5 * flicker("each", side)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "steady").iterdir()}
    for number in (3, 4, 11):
        (tmp_path / "steady" / f"f{number}.png").unlink()
    assert call(*command, "-o", f"{tmp_path}/steady/", "--sequence", "--skip-existing")[0] == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "steady").iterdir()} == whole


def test_a_program_gets_the_same_frames(film: tuple[list[str], Path], tmp_path: Path) -> None:
    command, folder = film
    assert call(*command, "-o", f"{tmp_path}/command/", "--sequence", "--effort", "best")[0] == 0
    restorer = cyclerdm.Restorer("cpu", weights=command[3])
    outcomes = [
        *restorer.restore_files(folder, tmp_path / "program", "low-light", effort="best", sequence=True)
    ]
    names = [Path(one.output).name for one in outcomes]
    assert names == [f"f{number}.png" for number in range(12)]
    assert [CUT in one.notes for one in outcomes] == [number == 9 for number in range(12)]
    for name in names:
        assert (tmp_path / "program" / name).read_bytes() == (tmp_path / "command" / name).read_bytes()


@pytest.mark.usefixtures("small_program")
def test_a_limit_of_memory_changes_nothing_but_what_it_takes(
    film: tuple[list[str], Path], tmp_path: Path
) -> None:
    command, _ = film
    assert call(*command, "-o", f"{tmp_path}/free/", "--sequence")[0] == 0
    assert call(*command, "-o", f"{tmp_path}/bound/", "--sequence", "--memory", "450MB")[0] == 0
    for path in (tmp_path / "free").iterdir():
        assert path.read_bytes() == (tmp_path / "bound" / path.name).read_bytes()
    network, engine = tiny_network(config=LIT), Engine(torch.device("cpu"), torch.float32, "test")
    single, frames = (
        Planner(network, engine, RestoreOptions(memory=450_000_000, sequence=sequence))
        for sequence in (False, True)
    )
    size = (1500, 2000)
    assert frames.plan(size).rows.tile < single.plan(size).rows.tile
    assert frames.room.size == single.room.size - LOOKS  # type: ignore[operator]


def test_a_cluster_is_refused_in_one_line(film: tuple[list[str], Path]) -> None:
    command, _ = film
    status, _, err = call(*command, "--sequence", "--cluster", "local")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "--sequence and --cluster exclude each other" in err
