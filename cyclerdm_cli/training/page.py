"""The page of a run: its course in words, its curves, and its samples, in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from cyclerdm_cli.training.course import Record, course_in_words, measurements

PAGE = "curves.html"
SAMPLES = "samples.png"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 260, 72, 12, 12, 42
"""Of a plot and its margins, in units of its text."""
COLOURS = 6
Curve = Sequence[tuple[float, float]]
STYLE = """
:root { color-scheme: light dark; --ground: #fff; --card: #f6f7f9; --ink: #1b1f24; --faint: #616a75;
  --line: #d9dee4; --c0: #0969b8; --c1: #c4500a; --c2: #16803c; --c3: #8a3fb0; --c4: #a8851a; --c5: #0b8a8a; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --card: #1d2126; --ink: #e6e9ed; --faint: #9aa4af;
  --line: #343b43; --c0: #58a9f0; --c1: #f08a4a; --c2: #56c27a; --c3: #c48be6; --c4: #d9b84a; --c5: #4cc9c9; } }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 16px 12px 40px; }
h1 { font-size: 22px; margin: 0 0 8px; overflow-wrap: anywhere; }
ul { padding-left: 20px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 14px; }
figure { margin: 0; background: var(--card); border-radius: 6px; padding: 10px; }
figcaption, .legend { font-size: 13px; color: var(--faint); }
.legend span { display: inline-flex; align-items: center; gap: 5px; margin-right: 12px; }
.legend i { width: 10px; height: 10px; border-radius: 50%; display: inline-block; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--faint); }
svg line { stroke: var(--line); }
svg polyline { fill: none; stroke-width: 2; }
img { max-width: 100%; height: auto; display: block; margin-top: 14px; }
@media print { :root { color-scheme: light; --ground: #fff; --card: #fff; --ink: #000; --faint: #444; --line: #bbb;
  --c0: #0969b8; --c1: #c4500a; --c2: #16803c; --c3: #8a3fb0; --c4: #8a6a10; --c5: #0b7a7a; }
  figure, img { break-inside: avoid; } @page { margin: 14mm; }
  polyline, .legend i { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def write_page(folder: Path, name: str, records: Sequence[Record]) -> None:
    """Write a run's page into its folder, with the samples that lie there.

    Args:
        name: of the run, for people.
        records: of its log.
    """
    samples = folder / SAMPLES
    picture = samples.read_bytes() if samples.is_file() else None
    (folder / PAGE).write_text(build_page(name, records, picture), encoding="utf-8")


def build_page(name: str, records: Sequence[Record], samples: bytes | None = None) -> str:
    """Return the page; `samples` is a PNG file of them."""
    losses: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        if "loss" in record:
            losses.setdefault(f"phase {record['phase'] + 1}", []).append(
                (record["iteration"], record["loss"])
            )
    gains = {
        task: [(one.iteration, one.gained) for one in found] for task, found in measurements(records).items()
    }
    said = "".join(f"<li>{escape(line)}</li>" for line in course_in_words(records))
    plots = _figure("Loss, lower is better", "loss", losses) + _figure(
        "PSNR gained on pictures kept apart, higher is better", "PSNR gained, dB", gains
    )
    shown = ""
    if samples is not None:
        data = base64.b64encode(samples).decode()
        shown = f'<h2>Samples</h2><img alt="degraded, restored, clean" src="data:image/png;base64,{data}">'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>cyclerdm train: {escape(name)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(name)}</h1><ul>{said or '<li>Nothing is written down yet.</li>'}</ul>"
        f'<div class="plots">{plots}</div>{shown}</main></body></html>\n'
    )


def _figure(caption: str, title: str, curves: Mapping[str, Curve]) -> str:
    """Return a plot with its caption and legend; nothing where there is no point."""
    if not any(curves.values()):
        return ""
    legend = "".join(
        f'<span><i style="background:var(--c{number % COLOURS})"></i>{escape(name)} {curve[-1][1]:.4g}</span>'
        for number, (name, curve) in enumerate(curves.items())
    )
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>{_plot(title, list(curves.values()))}"
        f'<div class="legend">{legend}</div></figure>'
    )


def _plot(title: str, curves: Sequence[Curve]) -> str:
    """Return curves over the iterations, as SVG."""
    xs, ys = zip(*(point for curve in curves for point in curve), strict=True)
    (x0, x1), (y0, y1) = (min(xs), max(xs)), (min(ys), max(ys))

    def place(point: tuple[float, float]) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (point[0] - x0) / ((x1 - x0) or 1)
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (point[1] - y0) / ((y1 - y0) or 1)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)} against iterations">'
    ]
    for step in range(5):
        value = y0 + (y1 - y0) * step / 4
        y = place((x0, value)).partition(",")[2]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    below = HEIGHT - BOTTOM + 16
    parts.append(f'<text x="{LEFT}" y="{below}">{x0:.0f}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{below}" text-anchor="end">{x1:.0f}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">iterations</text>')
    turned = f"translate(12 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(title)}</text>')
    for number, curve in enumerate(curves):
        points = [place(point) for point in curve]
        colour = f"var(--c{number % COLOURS})"
        parts.append(f'<polyline points="{" ".join(points)}" style="stroke:{colour}"/>')
        if len(points) < 40:
            parts += [
                f'<circle cx="{one.partition(",")[0]}" cy="{one.partition(",")[2]}" r="3" style="fill:{colour}"/>'
                for one in points
            ]
    return "".join(parts) + "</svg>"
