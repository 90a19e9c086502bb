"""The page that shows what tasks make of a picture: one HTML file with everything inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from cyclerdm_cli.escapes import shown_name
from cyclerdm_cli.restoring.choosing import Choice
from cyclerdm_cli.trying.command import command_for
from cyclerdm_cli.trying.trying import Pixels, Subject, Trial

HERE = Path(__file__).parent
LARGEST_PAGE = 3_000_000
"""Bytes."""
QUALITIES = (94, 88, 80, 70, 55, 35, 15, 1)
"""Of the pictures; the first at which the page stays below LARGEST_PAGE is taken."""
ROOM_FOR_WORDS = 100_000
"""Bytes of a page that are not pictures, at most."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What the browser may load: nothing from anywhere."""


@dataclass(frozen=True)
class Tried:
    """All that the page tells."""

    path: Path
    """Of the picture."""
    subject: Subject
    choice: Choice
    """What `auto` thinks of it."""
    trials: Sequence[Trial]
    """In the order in which they are shown."""
    options: Sequence[str] = ()
    """Words of the command that go with every trial."""


def build(tried: Tried) -> str:
    """Return the page, of at most LARGEST_PAGE bytes."""
    subject, name = tried.subject, escape(shown_name(tried.path.name))
    shown = [trial for trial in tried.trials if trial.visible]
    wholes, details = [subject.shown(subject.small)], []
    for trial in shown:
        whole, before, after = trial.small, trial.before, trial.after
        if not any(task.masked for task in trial.tasks):
            whole, after = subject.shown(whole), subject.shown(after, trial.window)
        wholes.append(whole)
        details += [subject.shown(before, trial.window), after]
    addresses = as_addresses(wholes, details, LARGEST_PAGE - ROOM_FOR_WORDS)
    original, addresses, pairs = addresses[0], addresses[1 : len(wholes)], addresses[len(wholes) :]
    sections = "".join(
        _section(tried, trial, place, [addresses[place], *pairs[2 * place : 2 * place + 2]])
        for place, trial in enumerate(shown)
    )
    links = "".join(
        f'<a href="#trial{place}">{escape(trial.name)}{_percent(trial)}</a>'
        for place, trial in enumerate(shown)
    )
    navigation = f'<nav aria-label="What was tried">{links}</nav>' if shown else ""
    height, width = subject.small.shape[:2]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>cyclerdm try: {name}</title><style>{_own('page.css')}</style></head><body><main>"
        f"<h1>{name}</h1>"
        f'<p class="verdict">{escape(auto_says(tried.choice))}</p>'
        f'<p class="faint">{escape(_remarks(tried, len(shown)))}</p>'
        f"{navigation}"
        f'<figure class="original"><img id="before" alt="{name}, before" width="{width}" height="{height}"'
        f' src="{original}"><figcaption>before</figcaption></figure>'
        f"{sections}</main><script>{_own('page.js')}</script></body></html>\n"
    )


def auto_says(choice: Choice) -> str:
    """Return what `auto` thinks of a picture, in a sentence."""
    if choice.doubt and choice.tasks:
        return f"Auto {choice.doubt}."
    likeliest = max((name for name in choice.likely if name != "clean"), key=choice.likely.__getitem__)
    chance = f"{likeliest}, {choice.likely[likeliest]:.0%}"
    if choice.doubt:
        return f"Auto is not sure whether anything is wrong, and would leave it to you (likeliest: {chance})."
    if not choice.tasks and choice.likely["clean"] >= choice.likely[likeliest]:
        return f"Auto would leave the picture as it is: it looks clean ({choice.likely['clean']:.0%} likely)."
    if not choice.tasks:
        return f"Auto would leave the picture as it is: no damage is likely enough (likeliest: {chance})."
    parts = [
        f"{task.name} ({task.summary}; {choice.likely.get(task.name, 0.0):.0%} likely)"
        for task in choice.tasks
    ]
    return f"Auto would run {', and then '.join(parts)}."


def as_addresses(wholes: Sequence[Pixels], details: Sequence[Pixels], most: int) -> list[str]:
    """Return pictures as addresses that hold them, as good as `most` bytes allow altogether.

    Args:
        wholes: are written as WebP.
        details: are written as JPEG without shrinking the colours, which WebP shrinks to half.
        most: bytes.
    """
    for quality in QUALITIES:
        found = [_data_uri(pixels, "webp", quality=quality, method=2) for pixels in wholes]
        found += [_data_uri(pixels, "jpeg", quality=quality, subsampling=0) for pixels in details]
        if sum(map(len, found)) <= most:
            break
    return found


def _data_uri(pixels: Pixels, kind: str, **options: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode()


def _own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _percent(trial: Trial) -> str:
    return "" if trial.likely is None else f" <span>{trial.likely:.0%}</span>"


def _remarks(tried: Tried, shown: int) -> str:
    """Return in a few sentences what is shown at which size, and what is left out."""
    height, width = tried.subject.pixels.shape[:2]
    lines = [f"{width} x {height} pixels."]
    if tried.subject.small.shape != tried.subject.pixels.shape:
        lines.append(
            f"The whole picture is tried at {max(tried.subject.small.shape[:2])} pixels, where noise and fine rain "
            "are hardly seen; the detail is at full size, as the command leaves it."
        )
    if shown:
        lines.append("Auto misjudges about one real picture in four: what you see counts.")
    if tried.subject.has_holes:
        lines.append("Parts are transparent, or white with hard edges: filling them in comes first.")
    left_out = [trial.name for trial in tried.trials if not trial.visible]
    if left_out:
        lines.append(f"Nothing to be seen is changed by {', '.join(left_out)}.")
    return " ".join(lines)


def _section(tried: Tried, trial: Trial, place: int, addresses: Sequence[str]) -> str:
    """Return what the page shows of one trial; the script makes the sliders work, and without it all is seen."""
    name, what = escape(shown_name(tried.path.name)), escape(trial.name)
    whole, before, after = addresses
    summary = ", then ".join(task.summary for task in trial.tasks)
    likely = "what auto would do" if trial.likely is None else f"auto: {trial.likely:.0%} likely"
    command = escape(command_for(tried.path, trial.tasks, tried.options))
    strength = (
        ""  # several tasks are each blended with what they were given, which no page can show
        if len(trial.tasks) > 1
        else f'<label class="strength">strength <output>1</output><input type="range" min="0" max="100" step="5"'
        f' value="100" aria-label="strength of {what}"></label>'
    )
    return (
        f'<section class="trial" id="trial{place}" aria-labelledby="title{place}">'
        f'<h2 id="title{place}">{what} <small>{escape(summary)}; {escape(likely)}</small></h2>'
        '<div class="views">'
        f"{_view('whole', f'{name}, after {what}', whole, trial.small)}"
        f"{_view('detail', f'detail of {name}, after {what}', after, trial.after, before)}"
        "</div>"
        f'<div class="tools"><label>before | after<input class="cut" type="range" min="0" max="100" value="50"'
        f' aria-label="{what}: where before and after meet"></label>{strength}</div>'
        f'<div class="command"><code tabindex="0" data-command="{command}">{command}</code>'
        '<button type="button">Copy</button><span role="status"></span></div></section>'
    )


def _view(kind: str, words: str, address: str, pixels: Pixels, before: str = "") -> str:
    """Return one picture, with what it was before where that is not the picture on top of the page."""
    height, width = pixels.shape[:2]
    caption = "the whole picture" if kind == "whole" else "the spot that changes most, at full size"
    given = f'<img class="was" alt="{words.replace(", after", ", before")}" src="{before}">' if before else ""
    return (
        f'<figure class="{kind}"><div class="stage" style="--width:{width};--height:{height}">{given}'
        f'<img class="now" alt="{words}" src="{address}" width="{width}" height="{height}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
