"""Defaults of one's own: which file decides, what a stranger's file cannot do, what is said of mistakes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from odd_folder import saved, scene
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.commands.defaults import ANYONE_MAY_SET, Asked, ask, own_defaults, read_file
from cyclerdm_cli.commands.restore_request import RestoreRequest
from cyclerdm_cli.errors import UsageError


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a folder `photos` of one picture, and have a configuration folder that is empty."""
    monkeypatch.setattr("cyclerdm_cli.commands.defaults.config_folder", lambda: tmp_path / "config")
    for name in ("config", "work", "work/photos"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("photos/a.png").write_bytes(saved(scene(32, 40), "PNG"))


def write_own(text: str) -> Path:
    own_defaults().write_text(text, encoding="utf-8")
    return own_defaults()


def write_beside(text: str, folder: str = "photos") -> Path:
    path = Path(folder, "cyclerdm.toml")
    path.write_text(text, encoding="utf-8")
    return path


def asked(**typed: Any) -> RestoreRequest:
    return ask({"inputs": ["photos/a.png"], **typed}).request


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*words], env={"NO_COLOR": "1"})
    return result.exit_code, result.stdout, result.stderr


def fault_of(path: Path, own: bool = True) -> str:
    with pytest.raises(UsageError) as fault:
        read_file(path, own)
    return str(fault.value)


def test_without_files_nothing_changes() -> None:
    assert ask({"inputs": ("a.png",)}) == Asked(RestoreRequest(inputs=("a.png",)), [])


def test_the_nearer_goes_before_the_farther() -> None:
    write_own("steps = 2\nseed = 2\nstages = 2\nframe = 2\njobs = 4\n[night]\nquality = 60\nstages = 1")
    write_beside("steps = 3\nseed = 3\nquality = 70\nstages = 3", folder=".")
    write_beside("steps = 4\n[night]\nframe = 9")
    made = asked(preset="night", steps=0)
    assert made.steps == 0  # as it was typed
    assert (made.frame, made.quality, made.stages) == (9, 60, 1)  # by the preset, of either file
    assert (made.seed, made.jobs) == (3, 4)
    made = asked()
    assert (made.steps, made.seed, made.quality, made.stages, made.frame) == (4, 3, 70, 3, 2)


def test_names_as_flags_numbers_as_texts_and_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("USERPROFILE", "/home/someone")
    write_own(
        'strength = 0.6\ntile = 512\ndepth = 16\nskip-existing = true\noutput = "~/out/"\nmask = "~/m.png"'
    )
    made = asked()
    assert (made.strength, made.tile, made.depth, made.skip_existing) == ("0.6", "512", "16", True)
    assert (made.output, made.mask) == ("/home/someone/out/", Path("/home/someone/m.png"))


def test_a_default_gives_way_to_what_excludes_it() -> None:
    write_own('task = "derain"\nskip_existing = true\nverbose = true\nactors = 2\nclip = "ViT-B-32:a.pt"')
    made = asked(prompt="remove the rain", overwrite=True, quiet=True)
    assert (made.task, made.skip_existing, made.verbose, made.actors) == (None, False, False, None)
    assert made.clip == "ViT-B-32:a.pt"
    assert asked().clip is None
    asked(overwrite=True).check()


def test_a_preset_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"--preset night: no such preset \(.*config.cyclerdm.toml"):
        asked(preset="night")
    write_own("[nigth]\nsteps = 2")
    with pytest.raises(UsageError, match=r"--preset night: no such preset \(one of: nigth\)"):
        asked(preset="night")


def test_a_comparison_may_be_switched_on_or_off_or_be_of_a_kind() -> None:
    for said, meant in (("true", "side"), ("false", None), ("'detail'", "detail")):
        write_own(f"compare = {said}")
        assert asked().compare == meant
    assert asked(compare="side").compare == "side"


def test_the_preset_none_reads_no_file() -> None:
    write_own("no TOML")
    assert asked(preset="none").steps == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = 1\nstrenght = 1", "line 2: --strenght: no such option (did you mean --strength?)"),
        ("seed = 1\n\n[night]\n# dark\nsteps = 2000", "line 5: --steps 2000 (allowed: 0 to 1000)"),
        ("[a]\nsteps = 1\n[b]\nsteps = 'many'", "line 4: --steps 'many' (allowed: int)"),
        ("night = { seeds = 1 }", "line 1: --seeds: no such option (did you mean --seed?)"),
        ("strip-metadata = 1", "line 1: --strip-metadata 1 (allowed: bool)"),
        (
            "compare = 'spilt'",
            "line 1: --compare spilt (allowed: side, split, diagonal, detail, animated)",
        ),
        ("mask-from = 'luma'\nmask_from = 'luma'", "line 2: --mask-from is set twice"),
        ("inputs = ['a.png']", "line 1: inputs can only be typed"),
        ("[none]\nseed = 1", "line 1: no preset can be called none (it stands for no file)"),
    ],
)
def test_mistakes_are_named_with_file_and_line(text: str, said: str) -> None:
    path = write_own(text)
    assert fault_of(path) == f"{path}, {said}"


@pytest.mark.parametrize("data", [b"seed = ", b"\xff\xfe", b"a = " + b"[" * 100_000, b"#" * (2 << 20)])
def test_what_is_no_toml_is_refused_in_one_line(data: bytes) -> None:
    path = own_defaults()
    path.write_bytes(data)
    said = fault_of(path)
    assert said.startswith(f"{path}: ")
    assert said.endswith("(--preset none reads no cyclerdm.toml)")


@pytest.mark.parametrize(
    "line",
    [
        'output = "/etc/"', "overwrite = true", 'weights = "w.safetensors"', 'cluster = "evil.example:6379"',
        'clip = "ViT-B-32:/tmp/x.pt"', 'mask = "/etc/passwd"', "limit_pixels = 99_999_999_999", "jobs = 5000",
        "memory = '900GB'", "quiet = true", "dry_run = true",
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["photos", "."])
def test_a_file_beside_pictures_can_do_no_harm(line: str, folder: str) -> None:
    path = write_beside(f"seed = 1\n[night]\n{line}", folder)
    name = line.partition(" ")[0].replace("_", "-")
    with pytest.raises(UsageError) as fault:
        asked()
    assert f"{path}, line 3: --{name} is not taken from here" in str(fault.value)
    assert asked(preset="none").seed == 0


def test_what_anyone_may_set_names_no_file_and_no_place() -> None:
    harmful = {
        "output",
        "overwrite",
        "mask",
        "weights",
        "clip",
        "cluster",
        "actors",
        "memory",
        "limit_pixels",
    }
    assert not harmful & {*ANYONE_MAY_SET}
    assert {*ANYONE_MAY_SET} <= {*RestoreRequest.__dataclass_fields__}


def test_the_user_s_own_folder_stays_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    write_own("overwrite = true")
    monkeypatch.chdir(own_defaults().parent)
    assert ask({"inputs": ("a.png",)}).request.overwrite


@pytest.mark.parametrize(
    "inputs", [["photos"], ["photos/*.png"], ["photos/a.png", "photos/b.png"], ["photos/", "./photos/a.png"]]
)
def test_beside_the_pictures_is_the_folder_that_all_of_them_lie_in(inputs: list[str]) -> None:
    write_beside("seed = 7")
    assert ask({"inputs": inputs}).request.seed == 7
    assert ask({"inputs": [*inputs, "other/c.png"]}).request.seed == 0
    assert ask({"inputs": [*inputs, "-"]}).request.seed == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_of_that_name_is_left_alone() -> None:
    os.mkfifo("photos/cyclerdm.toml")
    assert asked().seed == 0


def test_the_command_says_which_file_sets_what(tiny_weights: Path) -> None:
    write_beside('task = "derain"\nstages = 1')
    done = call("restore", "photos", "--weights", str(tiny_weights), "--device", "cpu")
    assert done[0] == 0, done
    assert f"{Path('photos/cyclerdm.toml')} sets --task, --stages" in done[2]
    assert done[1].strip() == str(Path("photos/a_derain.png"))


def test_a_fault_that_shows_later_is_traced_to_its_line() -> None:
    path = write_own('seed = 1\ntask = "derian"')
    status, _, said = call("restore", "photos/a.png")
    assert status == 2
    assert f"{path}, line 2: unknown task 'derian' (did you mean 'derain'?)" in " ".join(said.split())
    assert "line" not in call("restore", "photos/a.png", "--task", "derian")[2]


def test_the_file_is_an_input_and_stays(tiny_weights: Path) -> None:
    path = write_own('overwrite = true\ntask = "denoise"')
    before = path.read_bytes()
    link = Path("photos/out.png")
    link.symlink_to(path)
    status, _, said = call("restore", "photos/a.png", "-o", str(link), "--weights", str(tiny_weights))
    assert status == 2, said
    assert "never overwritten" in said
    assert path.read_bytes() == before


def test_patterns_are_taken_from_files_and_files_of_patterns_stay(tiny_weights: Path) -> None:
    for name in ("b_old.png", "c.png"):
        Path("photos", name).write_bytes(Path("photos/a.png").read_bytes())
    write_beside('exclude = ["*_old.*"]')
    Path("photos/.cyclerdmignore").write_text("c.png")
    assert asked(exclude=["x"]).exclude == ("x",)
    Path("out.png").symlink_to("photos/.cyclerdmignore")
    words = ("restore", "photos", "--task", "denoise", "--weights", str(tiny_weights), "--device", "cpu")
    status, _, said = call(*words, "-o", "out.png", "--overwrite")
    assert status == 2
    assert "never overwritten" in said
    status, out, said = call(*words)
    assert (status, out.split()) == (0, [str(Path("photos/a_denoise.png"))])
    assert "passed over: 1 left out by --include or --exclude, 1 left out by .cyclerdmignore" in said


def test_env_says_which_file_decides() -> None:
    assert "no defaults of your own" in call("env")[1]
    path = write_own('task = "derain"\nseed = 1\n[night]\nstrength = 0.5')
    write_beside("seed = 2", folder=".")
    said = call("env")[1]
    assert f"default: --task derain, from {path}, line 1\n" in said
    assert "default: --seed 2, from cyclerdm.toml, line 1\n" in said
    assert f"preset night: --strength 0.5, from {path}\n" in said


def test_the_page_names_every_option_that_a_file_beside_pictures_sets_or_does_not() -> None:
    page = (Path(__file__).parents[2] / "docs" / "defaults.md").read_text(encoding="utf-8")
    _, _, strangers = page.partition("## What a file beside pictures cannot do")
    allowed, _, refused = strangers.partition("| option |")
    options = {*RestoreRequest.__dataclass_fields__} - {"inputs", "preset"}
    assert {name for name in options if f"`{name.replace('_', '-')}`" in allowed} == {*ANYONE_MAY_SET}
    assert {name for name in options if f"`{name.replace('_', '-')}`" in refused} == options - {
        *ANYONE_MAY_SET
    }
