"""What goes in and where it comes out: the contract's names, and the promises about them."""

import os
import string
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures.listing import Input, list_inputs
from cyclerdm_cli.pictures.naming import compare_name, plan_outputs
from cyclerdm_cli.pictures.searching import natural_key


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        Path(name).write_bytes(name.encode())


def listed(*arguments: str, recursive: bool = False) -> list[str]:
    return [entry.name for entry in list_inputs(arguments, recursive)]


def planned(arguments, output=None, task="denoise", recursive=False, **options) -> dict[str, str]:
    jobs = plan_outputs(list_inputs(arguments, recursive), output, task, **options)
    return {job.input.name: str(job.output) for job in jobs}


# ---- inputs


def test_a_folder_in_natural_order_without_what_is_no_picture(here):
    make("in/b10.png", "in/b2.PNG", "in/a.jpeg", "in/notes.txt", "in/.hidden.png", "in/deep/c.png")
    make("in/.cyclerdm-0011.part", "in/.thumbs/d.png", "in/Z1.tif")
    assert listed("in") == ["in/a.jpeg", "in/b2.PNG", "in/b10.png", "in/Z1.tif"]
    assert listed("in", recursive=True) == [*listed("in"), "in/deep/c.png"]


def test_names_that_others_trip_over(here):
    names = [
        "-r.png",
        " space .png",
        "naïve ☃.png",
        "a[1].png",
        "{stem}.png",
        "new\nline.png",
        "%d.png",
        "@x.png",
    ]
    make(*names)
    assert sorted(listed(".")) == sorted(names)
    for name in names[:-1]:
        assert listed(name) == [name]
    assert listed("./@x.png") == ["@x.png"]
    assert listed("a?1*.png") == ["a[1].png"]


def test_bytes_that_are_no_unicode(here):
    try:
        Path(os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (name,) = listed(".")
    assert os.fsencode(name) == b"caf\xe9.png"
    assert os.fsencode(planned(["."])[name]) == b"caf\xe9_denoise.png"


def test_globs_give_pictures_only_and_keep_the_tree(here):
    make("in/10.png", "in/9.png", "in/x.txt", "in/deep/1.png")
    assert listed("in/*") == ["in/9.png", "in/10.png"]
    assert listed("in/**/*.png") == ["in/9.png", "in/10.png", "in/deep/1.png"]
    assert planned(["in/**/*.png"], "out/", recursive=True)["in/deep/1.png"] == "out/deep/1.png"
    with pytest.raises(UsageError, match="matches no pictures"):
        listed("in/*.webp")


def test_a_folder_with_a_pictures_name_is_a_mistake_unless_pictures_are_in_it(here):
    make("in/a.png", "in/full.png/b.png", "in/deep/c.png")
    os.makedirs("in/x.png/empty")
    assert listed("in") == ["in/a.png", "in/full.png", "in/x.png"]
    assert listed("in", recursive=True) == ["in/a.png", "in/x.png", "in/deep/c.png", "in/full.png/b.png"]


def test_a_folder_without_pictures_fails_later_where_it_is_one_of_several(here):
    make("in/a.png")
    os.mkdir("none")
    entries = list_inputs(["none", "in"])
    assert [(entry.name, entry.folder) for entry in entries] == [("none", True), ("in/a.png", False)]
    assert planned(["none", "in"], "out/")["in/a.png"] == "out/a.png"
    with pytest.raises(UsageError, match="holds no pictures"):
        list_inputs(["none", "./none"])


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
@pytest.mark.parametrize("ended", [True, False])
def test_lists(here, separator, ended):
    make("a.png", "b c.png", "d/e.png")
    text = separator.join(["b c.png", "", "d", "a.png", "gone.png"]) + (separator if ended else "")
    Path("list.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert listed("@list.txt") == ["b c.png", "d/e.png", "a.png", "gone.png"]


def test_a_list_ended_by_nul_may_hold_line_breaks(here):
    make("new\nline.png", "a.png")
    Path("list").write_bytes(b"new\nline.png\0a.png\0")
    assert listed("@list") == ["new\nline.png", "a.png"]


def test_each_file_once(here):
    make("in/a.png", "in/b.png")
    assert listed("in/b.png", "in", "./in/../in/a.png", str(here / "in/a.png")) == ["in/b.png", "in/a.png"]
    assert listed("-", "-") == ["standard input"]


def test_a_missing_file_fails_later_and_alone(here):
    make("a.png")
    assert listed("gone.png", "a.png") == ["gone.png", "a.png"]


@pytest.mark.parametrize("arguments", [[], ["@no-list"], ["@empty"], ["empty"], ["*.png"], [""]])
def test_nothing_to_do_is_a_usage_error(here, arguments):
    os.mkdir("empty")
    Path("empty/words.txt").touch()
    Path("empty.txt").touch()
    Path("empty").joinpath(".a.png").touch()
    with pytest.raises(UsageError):
        list_inputs(arguments, True)


def test_pictures_further_down_are_hinted_at(here):
    make("in/deep/a.png")
    with pytest.raises(UsageError, match="-r"):
        list_inputs(["in"], False)


# ---- outputs


@pytest.mark.parametrize(
    ("output", "options", "expected"),
    [
        (None, {}, "in/a b_denoise.JPG"),
        (None, {"format": "png"}, "in/a b_denoise.png"),
        (None, {"task": "derain+dehaze"}, "in/a b_derain+dehaze.JPG"),
        ("out.jpg", {}, "out.jpg"),
        ("out/", {}, "out/a b.JPG"),
        ("out", {}, "out/a b.JPG"),
        ("there.d", {}, "there.d/a b.JPG"),
        ("out", {"format": "webp"}, "out/a b.webp"),
        ("out/{stem}_{task}{ext}", {}, "out/a b_denoise.JPG"),
        ("out/{dir}/{stem}_{task}{ext}", {}, "out/a b_denoise.JPG"),
        ("{dir}/{stem}-{index}.tif", {}, "in/a b-1.tif"),
        ("out/{task}/", {}, "out/denoise/a b.JPG"),
        ("{{{stem}}}.png", {}, "{a b}.png"),
    ],
)
def test_places(here, output, options, expected):
    make("in/a b.JPG", "there.d/x")
    assert planned(["in/a b.JPG"], output, **options) == {"in/a b.JPG": expected}


def test_the_tree_is_kept(here):
    make("in/a.png", "in/x/a.png", "in/x/y/b.png")
    tree = {"in/a.png": "out/a.png", "in/x/a.png": "out/x/a.png", "in/x/y/b.png": "out/x/y/b.png"}
    assert planned(["in"], "out/", recursive=True) == tree
    assert planned(["in/"], "out", recursive=True) == tree
    template = planned([str(here / "in")], "out/{dir}/{stem}_{task}{ext}", recursive=True)
    assert sorted(template.values()) == ["out/a_denoise.png", "out/x/a_denoise.png", "out/x/y/b_denoise.png"]
    make("elsewhere/q.png")
    os.chdir("in")
    assert planned(["."], "../out", recursive=True)["x/y/b.png"] == "../out/x/y/b.png"


def test_the_name_decides_the_format(here):
    make("a.jpg", "b.png", "odd.xyz")

    def formats(arguments, output=None, **options):
        return [job.format for job in plan_outputs(list_inputs(arguments), output, "denoise", **options)]

    assert formats(["a.jpg"]) == ["keep"]
    assert formats(["a.jpg"], "x.png") == ["png"]
    assert formats(["a.jpg"], "x.JPEG") == ["keep"]
    assert formats(["a.jpg"], "x.dat", format="avif") == ["avif"]
    assert formats(["a.jpg", "b.png"], "{stem}_x.tiff") == ["tiff", "tiff"]
    assert formats(["odd.xyz", "a.jpg"], "out/") == ["keep", "keep"]
    assert formats(["-"]) == ["keep"]
    assert formats(["-"], "out/x.webp") == ["webp"]
    with pytest.raises(UsageError, match=r"x\.jpg is the name of a JPEG file, but --format says png"):
        formats(["a.jpg"], "x.jpg", format="png")
    with pytest.raises(UsageError, match="no picture format"):
        formats(["a.jpg"], "x.dat")


def test_streams(here):
    make("a.png", "b.png")
    (job,) = plan_outputs(list_inputs(["a.png"]), "-", "denoise")
    assert job.output is None
    (job,) = plan_outputs(list_inputs(["-"]), None, "denoise")
    assert (job.input.path, job.output) == (None, None)
    assert planned(["-"], "out/") == {"standard input": "out/stdin.png"}
    with pytest.raises(UsageError, match="standard output"):
        planned(["a.png", "b.png"], "-")
    with pytest.raises(UsageError, match="--compare"):
        planned(["a.png"], "-", compare="side")


def test_one_file_for_many_inputs_is_refused(here):
    make("a.png", "b.png")
    with pytest.raises(UsageError, match=r"2 inputs cannot all go to the file out\.png"):
        planned(["a.png", "b.png"], "out.png")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("{stam}.png", "did you mean {stem}"),
        ("{name}.png", "unknown field {name}"),
        ("{}.png", "unknown field {}"),
        ("{stem:>9}.png", "unknown field {stem:>9}"),
        ("{stem.__class__}.png", "unknown field"),
        ("{stem.png", "expected '}'"),
        ("stem}.png", "'}'"),
        ("", "empty"),
    ],
)
def test_templates_that_mean_nothing(here, output, words):
    make("a.png")
    with pytest.raises(UsageError) as caught:
        planned(["a.png"], output)
    assert words in str(caught.value)


def test_two_results_of_one_name_are_refused(here):
    make("x/a.png", "y/a.png", "x/a.jpg")
    with pytest.raises(UsageError, match=r"x/a\.png and y/a\.png would both be written to out/a\.png"):
        planned(["x/a.png", "y/a.png"], "out/")
    with pytest.raises(UsageError, match="both"):
        planned(["x"], None, format="webp")
    with pytest.raises(UsageError, match="both"):
        planned(["x"], "{task}.png")
    assert len(set(planned(["x/a.png", "y/a.png"], "out/{index}{ext}").values())) == 2


def test_inputs_are_never_overwritten(here):
    make("in/a.png", "b.png")
    os.symlink("in", "link")
    os.symlink("a.png", "in/soft.png")
    os.link("in/a.png", "hard.png")
    for output in ("in/a.png", "./in/../in/a.png", "link/a.png", "in/soft.png", "hard.png", "in/", "link"):
        with pytest.raises(UsageError, match="the input"):
            planned(["in/a.png"], output)
    with pytest.raises(UsageError, match="the input"):
        planned(["in"], "{dir}/{stem}{ext}")
    with pytest.raises(UsageError, match="the input"):
        planned(["in/a.png", "b.png"], "{stem}.png")  # b.png, though a.png has another place
    make("b_denoise.png")
    with pytest.raises(UsageError, match=r"b_denoise\.png is the input b_denoise\.png itself"):
        planned(["b.png", "b_denoise.png"])


def test_earlier_results_in_the_folder_are_not_restored_again(here):
    make(
        "in/a.png",
        "in/a_denoise.png",
        "in/a_denoise_compare.png",
        "in/a_denoise_compare.webp",
        "in/b.png",
        "in/out/a.png",
    )
    assert planned(["in"]) == {"in/a.png": "in/a_denoise.png", "in/b.png": "in/b_denoise.png"}
    inside = planned(["in"], "in/out", recursive=True)
    assert inside["in/a.png"] == "in/out/a.png"
    assert "in/out/a.png" not in inside
    make("n/1.png", "n/2.png", "n/3.png")
    with pytest.raises(UsageError, match="the input"):
        planned(["n"], "{dir}/{index}.png")


def test_comparisons(here):
    make("a.png", "b.png")
    jobs = plan_outputs(list_inputs(["a.png", "b.png"]), None, "denoise", compare="side")
    assert [str(job.compare) for job in jobs] == ["a_denoise_compare.png", "b_denoise_compare.png"]
    assert compare_name("x.d/a.tar.png") == "x.d/a.tar_compare.png"
    assert compare_name("x.d/a.tar.png", "animated") == "x.d/a.tar_compare.webp"
    jobs = plan_outputs(list_inputs(["a.png"]), None, "denoise", compare="animated")
    assert [str(job.compare) for job in jobs] == ["a_denoise_compare.webp"]
    make("c_compare.png", "c.png")
    with pytest.raises(UsageError, match="both"):
        planned(["c.png", "c_compare.png"], "out/", compare="side")
    make("a_denoise_compare.png")
    with pytest.raises(UsageError, match="the input"):
        planned(["a.png", "a_denoise_compare.png"], compare="side")


# ---- properties

NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda name: name.strip(". ") and not name.startswith("."))


@given(
    st.lists(NAMES, min_size=1, max_size=8, unique_by=str.casefold),
    st.sampled_from([None, "out/", "o/{stem}{ext}"]),
)
@settings(max_examples=150, deadline=None)
def test_any_name_gets_a_place_of_its_own(names, output):
    folder = Path("/nowhere/at all")
    inputs = [Input(folder / f"{name}.png", folder) for name in names]
    jobs = plan_outputs(inputs, output, "denoise")
    assert len({job.output for job in jobs}) == len(names)
    for job, name in zip(jobs, names, strict=True):
        assert job.output.name == (f"{name}_denoise.png" if output is None else f"{name}.png")
        assert job.output.parent == (folder if output is None else Path(output.split("/")[0]))


@given(st.lists(st.text(string.ascii_letters + string.digits + "²٣_", max_size=12)))
def test_any_names_can_be_sorted(names):
    backwards = names[::-1]
    assert sorted(backwards, key=natural_key) == sorted(names, key=natural_key)


@given(st.text(string.ascii_letters, min_size=1), st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_sort_as_numbers(word, low, high):
    low, high = sorted((low, high))
    assert natural_key(f"{word}{low}x") <= natural_key(f"{word}{high}x")


def test_a_hundred_thousand_names_take_seconds_not_minutes(here):
    inputs = [
        Input(Path(f"in/{index // 1000}/{index}.png"), Path("in"), found=True) for index in range(100_000)
    ]
    start = time.process_time()
    jobs = plan_outputs(inputs, "out/", "denoise")
    assert time.process_time() - start < 15  # about 1.5 s; room for a slow machine
    assert len(jobs) == 100_000
