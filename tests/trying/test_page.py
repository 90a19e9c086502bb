"""The page of `cyclerdm try`: whole, self-contained, safe with any name, and not too large."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.restoring.choosing import Choice
from cyclerdm_cli.tasks.catalogue import find_task
from cyclerdm_cli.trying.command import command_for, shell_word
from cyclerdm_cli.trying.page import LARGEST_PAGE, Tried, auto_says, build
from cyclerdm_cli.trying.trying import DETAIL, Subject, Trial

NAMES = (
    "denoise", "derain", "desnow", "raindrop", "deblur",
    "inpaint", "dehaze", "low-light", "underwater", "backlight",
)  # fmt: skip
VOID = {"meta", "img", "input", "br"}
EVIL = "a <script>alert(1)</script> & \"b\" 'c' $(touch x) `d`.jpg"


class Reader(HTMLParser):
    """Reads a page: its elements with their attributes, its visible text, and whether all that opens is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def tried(name: str = "photo.jpg", pixels: np.ndarray | None = None, count: int = 2) -> Tried:
    if pixels is None:
        rows, columns = np.mgrid[:60, :90]
        pixels = np.stack([rows, columns, rows + columns], 2).astype(np.uint8)
    subject = Subject.of(Picture(pixels=pixels))
    window = slice(0, min(DETAIL, pixels.shape[0])), slice(0, min(DETAIL, pixels.shape[1]))
    rows = [[find_task("derain"), find_task("dehaze")], *([find_task(name)] for name in NAMES)][:count]
    trials = [
        Trial(
            row,
            0.4 if len(row) == 1 else None,
            255 - subject.small,
            window,
            pixels[window],
            255 - pixels[window],
        )
        for row in rows
    ]
    choice = Choice(rows[0], {"derain": 0.4, "dehaze": 0.3, "clean": 0.1}, "")
    return Tried(Path(name), subject, choice, trials)


def test_nothing_is_loaded_from_anywhere() -> None:
    page = build(tried())
    assert "://" not in page
    read = Reader(page)
    assert not read.open
    assert not read.all("link")
    assert all((image["src"] or "").startswith("data:image/") for image in read.all("img"))
    assert [meta for meta in read.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]


def test_each_trial_has_its_pictures_its_sliders_and_its_command() -> None:
    read = Reader(build(tried("/photos/a b.jpg")))
    assert len(read.all("section")) == 2
    assert [code["data-command"] for code in read.all("code")] == [
        "cyclerdm restore '/photos/a b.jpg' --task derain+dehaze",
        "cyclerdm restore '/photos/a b.jpg' --task denoise",
    ]
    labels = [slider["aria-label"] for slider in read.all("input")]
    # Two tasks are blended one by one: a blend of the whole would be another picture than the command's.
    assert labels == [
        "derain+dehaze: where before and after meet",
        "denoise: where before and after meet",
        "strength of denoise",
    ]
    assert all(image["alt"] for image in read.all("img"))
    ids = {attributes["id"] for _, attributes in read.elements if "id" in attributes}
    assert {link["href"] for link in read.all("a")} == {"#trial0", "#trial1"} <= {f"#{one}" for one in ids}


def test_the_pictures_are_those_that_were_tried() -> None:
    what = tried()
    sources = [image["src"] or "" for image in Reader(build(what)).all("img")]
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))) for source in sources
    ]
    first = what.trials[0]
    for wanted, found in zip(
        (what.subject.small, first.small, first.before, first.after), shown, strict=False
    ):
        assert np.abs(found.astype(int) - wanted).mean() < 3


def test_names_are_shown_and_never_obeyed() -> None:
    page = build(tried(EVIL))
    read = Reader(page)
    assert len(read.all("script")) == 1
    assert EVIL.partition("/")[2] in read.text
    assert read.all("code")[0]["data-command"] == command_for(
        Path(EVIL), [find_task("derain"), find_task("dehaze")]
    )


@pytest.mark.parametrize("name", ["end\nof line.jpg", "\x1b[31mred.jpg", "\udcff.jpg", "\u202egpj.exe"])
def test_names_that_are_no_plain_text_make_a_page_that_can_be_written(name: str) -> None:
    page = build(tried(name))
    page.encode()
    assert name not in Reader(page).text


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    "word",
    [
        "plain.jpg",
        "a b.jpg",
        EVIL,
        "-x",
        "it's",
        "back\\slash",
        "end\nof line",
        "tab\there",
        "\x1b[31m'\\",
        "\udcff\udc80",
        "\u202egpj",
        "ä",
    ],
)
def test_a_shell_reads_the_same_word(word: str) -> None:
    written = shell_word(word)
    assert written.isprintable()
    script = b"printf %s " + written.encode()
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout == os.fsencode(word)


def test_a_page_stays_below_its_limit_whatever_the_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    page = build(tried(pixels=noise, count=11))
    assert len(Reader(page).all("section")) == 11
    assert len(page.encode()) <= LARGEST_PAGE


def test_what_changes_nothing_to_be_seen_is_named_and_not_shown() -> None:
    what = tried(count=3)
    trial = what.trials[1]
    same = Trial(trial.tasks, 0.4, what.subject.small, trial.window, trial.before, trial.before)
    read = Reader(build(Tried(what.path, what.subject, what.choice, [what.trials[0], same, what.trials[2]])))
    assert len(read.all("section")) == 2
    assert "Nothing to be seen is changed by denoise." in read.text


def test_a_picture_that_nothing_changes_makes_a_page_too() -> None:
    what = tried(count=1)
    trial = what.trials[0]
    same = Trial(trial.tasks, None, what.subject.small, trial.window, trial.before, trial.before)
    read = Reader(build(Tried(what.path, what.subject, what.choice, [same])))
    assert not read.all("section")
    assert "derain+dehaze" in read.text


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            Choice([find_task("derain"), find_task("dehaze")], {"derain": 0.9, "dehaze": 0.61}, ""),
            "Auto would run derain (rain streaks and their veil; 90% likely), and then dehaze "
            "(haze, mist, fog; 61% likely).",
        ),
        (
            Choice([], {"derain": 0.1, "clean": 0.9}, ""),
            "Auto would leave the picture as it is: it looks clean (90% likely).",
        ),
        (
            Choice([], {"derain": 0.2, "clean": 0.1}, ""),
            "Auto would leave the picture as it is: no damage is likely enough (likeliest: derain, 20%).",
        ),
        (
            Choice([], {"derain": 0.22, "clean": 0.02}, "", "not sure what is wrong"),
            "Auto is not sure whether anything is wrong, and would leave it to you (likeliest: derain, 22%).",
        ),
        (
            Choice([find_task("derain")], {"derain": 0.9, "clean": 0}, "", "sees what they do not know"),
            "Auto sees what they do not know.",
        ),
    ],
)
def test_what_auto_thinks_is_one_sentence(choice: Choice, said: str) -> None:
    assert auto_says(choice) == said


def test_the_script_and_the_page_name_the_same_things() -> None:
    page = build(tried())
    script = page.partition("<script>")[2].partition("</script>")[0]
    classes = set(re.findall(r'class="([^"]+)"', page.partition("<script>")[0]))
    for wanted in re.findall(r'querySelector(?:All)?\("\.([a-z]+)', script):
        assert wanted in " ".join(classes) or f'"{wanted}"' in script
