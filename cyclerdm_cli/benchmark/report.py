"""The report: one HTML file with everything inside, to be opened without a server or a network."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cyclerdm_cli.benchmark.pagetables import Cell, Line, badness, html_table, leading_number
from cyclerdm_cli.benchmark.plots import (
    NARROW,
    Axis,
    Dot,
    Series,
    counting_axis,
    linear_axis,
    logarithmic_axis,
    scatter,
)
from cyclerdm_cli.benchmark.results import PictureScore, Result
from cyclerdm_cli.benchmark.scoring import SMALLER_IS_BETTER
from cyclerdm_cli.benchmark.tables import TITLES, UNITS, Table, changed_by, difference, number, with_unit
from cyclerdm_cli.benchmark.testsets import Pixels, few

HERE = Path(__file__).parent
LONGEST = 1000
"""Side to which pictures are scaled down, in pixels."""
QUALITY = 88
COLOURS = 6
"""Beside the input's grey; more candidates begin again."""
MOST_LINES = 400
"""Pictures that a table has room for."""
FEW_LINES = 40
"""Pictures up to which the table is open from the beginning."""
WORST_FIRST = {"worst": 0, "median": 1, "best": 2}
"""In which order pictures are shown."""


@dataclass(frozen=True)
class Shot:
    """One picture in all its versions, to be looked at."""

    word: str
    """Why it was chosen: best, median, worst; or its place."""
    scores: tuple[tuple[str, PictureScore], ...]
    """What each candidate made of it, by the candidate's name."""
    versions: tuple[tuple[str, Pixels], ...]
    """Input first, then each candidate's result, then the reference, with their names; each `scaled`."""


@dataclass(frozen=True)
class Section:
    """One set."""

    results: tuple[Result, ...]
    table: Table
    shots: tuple[Shot, ...]


def build(sections: Sequence[Section], facts: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        sections: set by set.
        facts: what it was measured with, by title: version, date, machine.
    """
    results = [result for section in sections for result in section.results]
    names = list(dict.fromkeys(result.setting.name for result in results))
    links = "".join(f'<a href="#set{i}">{escape(_title(one))}</a>' for i, one in enumerate(sections))
    listed = "".join(f"<li>{escape(title)}: {escape(words)}</li>" for title, words in facts.items())
    timed = _quality_against_time(results, names)
    body = "".join(_section(section, number, names) for number, section in enumerate(sections))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>cyclerdm bench: {escape(', '.join(names))}</title>"
        f"<style>{_own('report.css')}</style></head><body><main>"
        f"<h1>{escape(' · '.join(names))}</h1>"
        f'<ul class="notes">{listed}</ul><nav>{links}</nav>'
        f"{_overview(sections)}{timed}{body}"
        f"</main><script>{_own('report.js')}</script></body></html>\n"
    )


def _own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _title(section: Section) -> str:
    first = section.results[0]
    return f"{first.dataset}, {first.task}"


def _overview(sections: Sequence[Section]) -> str:
    """Return a table with a line a set and candidate: what came in, what came out; the least gain first."""
    lines = []
    for number_, section in enumerate(sections):
        for result in section.results:
            metric = result.leading
            gain = result.gains().get(metric)
            come_in, came_out = (
                Cell(number(metric, side[metric]), side[metric]) if metric in side else Cell("")
                for side in (result.input, result.output)
            )
            cells = (
                Cell(_title(section), link=f"set{number_}"),
                Cell(result.setting.name),
                Cell(str(len(result.pictures)), len(result.pictures)),
                Cell(with_unit(metric) if metric in result.output else ""),
                come_in,
                came_out,
                Cell(difference(metric, gain), gain.mean) if gain else Cell(""),
            )
            lines.append((badness(metric, gain.mean if gain else None), Line(cells)))
    columns = ("set", "with", "pictures", "measure", "input", "result", "change [95 %]")
    return html_table(columns, [line for _, line in sorted(lines, key=lambda one: one[0])], sorted_by=6)


def _section(section: Section, place: int, names: Sequence[str]) -> str:
    table, first = section.table, section.results[0]
    failed = list(dict.fromkeys(line for result in section.results for line in result.failed))
    lines = [*table.notes, *few([f"left out: {line}" for line in failed])]
    shots = "".join(
        _shot(shot, first, f"shot{place}-{i}")
        for i, shot in sorted(enumerate(section.shots), key=lambda one: WORST_FIRST.get(one[1].word, 0))
    )
    return (
        f'<h2 id="set{place}">{escape(table.title)}</h2>{_table(table)}'
        f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'
        f"{_by_picture(section.results, names)}"
        f'<div class="shots">{shots}</div>{_pictures(section, place)}'
    )


def _table(table: Table) -> str:
    lines = [
        Line((Cell(row.what), *(Cell(cell, leading_number(cell)) for cell in row.cells)), row.kind)
        for row in table.rows
    ]
    return html_table(("", *table.columns), lines)


def _pictures(section: Section, place: int) -> str:
    """Return a table with a line a picture, the worst of the first candidate's first, linked to what is shown."""
    first = section.results[0]
    metric, shown = first.leading, {shot.scores[0][1].name: i for i, shot in enumerate(section.shots)}
    outputs = [{one.name: one.output for one in result.pictures} for result in section.results]
    lines = []
    for picture in first.pictures:
        before, after = picture.input.get(metric), picture.output.get(metric)
        change = after - before if after is not None and before is not None else None
        link = f"shot{place}-{shown[picture.name]}" if picture.name in shown else ""
        cells = (
            Cell(picture.name, link=link),
            _measured(metric, before),
            *(_measured(metric, output.get(picture.name, {}).get(metric)) for output in outputs),
            Cell("" if change is None else changed_by(metric, change), change),
        )
        lines.append((badness(metric, change), Line(cells)))
    lines.sort(key=lambda one: one[0])
    names = [result.setting.name for result in section.results]
    changed = "change" if len(names) == 1 else f"change, {names[0]}"
    table = html_table(
        ("picture", "input", *names, changed),
        [line for _, line in lines[:MOST_LINES]],
        sorted_by=len(names) + 2,
    )
    more = f", the first {MOST_LINES} of {len(lines)}" if len(lines) > MOST_LINES else ""
    title = f"Picture by picture: {with_unit(metric)}, the worst change first{more}"
    state = " open" if len(lines) <= FEW_LINES else ""
    return f"<details{state}><summary>{escape(title)}</summary>{table}</details>" if len(lines) > 1 else ""


def _measured(metric: str, value: float | None) -> Cell:
    return Cell("") if value is None else Cell(number(metric, value), value)


def _colour(name: str, names: Sequence[str]) -> int:
    return 1 + names.index(name) % COLOURS


def _legend(series: Sequence[Series]) -> str:
    marks = "".join(
        f'<span><i style="background:var(--c{one.colour})"></i>{escape(one.name)}</span>' for one in series
    )
    return f'<div class="legend">{marks}</div>'


def _by_picture(results: Sequence[Result], names: Sequence[str]) -> str:
    """Return the plot of the leading metric picture by picture, in the order of the input's."""
    metric = results[0].leading
    pictures = sorted(
        (picture for picture in results[0].pictures if math.isfinite(picture.input.get(metric, math.inf))),
        key=lambda picture: picture.input[metric],
    )
    places = {picture.name: place for place, picture in enumerate(pictures, 1)}
    if not places:
        return ""
    series = [Series("input", 0, _dots({p.name: p.input for p in pictures}, metric, places))]
    for result in results:
        scores = {picture.name: picture.output for picture in result.pictures}
        series.append(
            Series(result.setting.name, _colour(result.setting.name, names), _dots(scores, metric, places))
        )
    heights = [dot.y for one in series for dot in one.dots]
    better = "lower" if metric in SMALLER_IS_BETTER else "higher"
    judged = "" if metric in UNITS else f"; {better} is better"
    caption = f"{with_unit(metric)}, picture by picture{judged}"
    across = counting_axis("pictures, counted in the order of the input's number", len(places))
    return _plot(caption, across, linear_axis(with_unit(metric), heights), series)


def _plot(caption: str, across: Axis, up: Axis, series: Sequence[Series]) -> str:
    """Return a plot for a page and one for a telephone, of which the page's style shows one."""
    both = scatter(across, up, series) + scatter(across, up, series, NARROW)
    return f'<figure class="plot"><figcaption>{escape(caption)}</figcaption>{both}{_legend(series)}</figure>'


def _dots(
    scores: Mapping[str, Mapping[str, float]], metric: str, places: Mapping[str, int]
) -> tuple[Dot, ...]:
    return tuple(
        Dot(places[name], values[metric], f"{name}: {number(metric, values[metric])}")
        for name, values in scores.items()
        if name in places and math.isfinite(values.get(metric, math.inf))
    )


def _quality_against_time(results: Sequence[Result], names: Sequence[str]) -> str:
    """Return the plot of what restoring gained against the time that it took."""
    series = []
    for name in names:
        dots = []
        for result in results:
            gain = result.gains().get(result.leading)
            if result.setting.name != name or not result.seconds or not gain or result.measured == "none":
                continue
            pace = result.seconds / result.megapixels
            label = result.task if result.dataset == "builtin" else result.dataset
            words = (
                f"{name}, {result.dataset}, {result.task}: {gain.mean:+.2f} dB in {pace:.3f} s a megapixel"
            )
            dots.append(Dot(pace, gain.mean, words, label))
        if dots:
            series.append(Series(name, _colour(name, names), tuple(dots)))
    if not series:
        return ""
    every = [dot for one in series for dot in one.dots]
    return _plot(
        "What restoring gains against the time that it takes; better is further up and to the left",
        logarithmic_axis("seconds a megapixel", [dot.x for dot in every]),
        linear_axis("PSNR gained, dB", [0.0, *(dot.y for dot in every)]),
        series,
    )


def _shot(shot: Shot, first: Result, anchor: str) -> str:
    metrics = TITLES if first.measured == "none" else (first.leading,)
    lines = []
    for name, picture in shot.scores:
        changes = [
            f"{TITLES[metric]} {number(metric, picture.input[metric])} → {number(metric, picture.output[metric])}"
            for metric in metrics
            if metric in picture.input and metric in picture.output
        ]
        if changes:
            lines.append(f"{escape(name)}: {', '.join(changes)}")
    height, width = shot.versions[0][1].shape[:2]
    options = "".join(f"<option>{escape(name)}</option>" for name, _ in shot.versions)
    strip = "".join(
        f'<label><img alt="{escape(name)}" src="{_data_uri(pixels)}">{escape(name)}</label>'
        for name, pixels in shot.versions
    )
    buttons = "".join(f'<button type="button" value="{factor}">{factor}×</button>' for factor in (1, 2, 4))
    caption = f"<b>{escape(shot.word)}</b> {escape(shot.scores[0][1].name)}<br>" + "<br>".join(lines)
    return (
        f'<figure class="shot" id="{anchor}"><figcaption>{caption}</figcaption>'
        f'<div class="stage" data-ratio="{width} / {height}"><img alt=""><img alt=""><div class="edge"></div>'
        '<b class="left"></b><b class="right"></b></div>'
        f'<div class="tools"><select aria-label="left">{options}</select>'
        '<input type="range" min="0" max="100" step="0.1" value="50" aria-label="where the two meet">'
        f'<select aria-label="right">{options}</select><span class="zooms">{buttons}</span></div>'
        f'<div class="strip">{strip}</div></figure>'
    )


def scaled(pixels: Pixels) -> Pixels:
    """Return a picture as the page shows it: with no side longer than LONGEST."""
    height, width = pixels.shape[:2]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _data_uri(pixels: Pixels) -> str:
    """Return a JPEG of the picture as an address that holds it."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
