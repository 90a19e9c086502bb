"""The report: what stands in its tables, in what order, and where its links lead."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from cyclerdm_cli.benchmark.candidates import Setting
from cyclerdm_cli.benchmark.datasets import Published
from cyclerdm_cli.benchmark.pagetables import badness, leading_number
from cyclerdm_cli.benchmark.plots import counting_axis
from cyclerdm_cli.benchmark.report import MOST_LINES, Section, Shot, build
from cyclerdm_cli.benchmark.results import PictureScore, Result
from cyclerdm_cli.benchmark.tables import table_of


def result(name: str, count: int, metric: str = "psnr", seed: int = 0, measured: str = "rgb") -> Result:
    """Return what a candidate made of pictures of random quality."""
    draw = np.random.default_rng(seed)
    pictures = []
    for place in range(count):
        before = 20 + 8 * draw.random()
        scores = {metric: before}, {metric: before + 4 * draw.random() - 1}
        seconds = 0.2 + draw.random()
        pictures.append(PictureScore(f"street/{place:04d}", 640, 480, *scores, seconds, {"process": 420.0}))
    setting = Setting(name, name, "cpu", "fp32", {"gmac": 7.5, "parameters": 1.1e6})
    return Result("Rain100L", "derain", setting, tuple(pictures), measured, "RGB, 8 bits, peak 255")


def section(*results: Result, published: bool = True) -> Section:
    """Return a part of the page, with the pictures that tell most."""
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    shots = tuple(
        Shot(
            word, tuple((one.setting.name, picture) for one in results), (("input", pixels), ("own", pixels))
        )
        for word, picture in results[0].telling().items()
    )
    others = [Published("PReNet", 37.48, "Ren et al., CVPR 2019")] if published else []
    return Section(results, table_of(results, others), shots)


def fields(page: str, label: str) -> list[float]:
    """Return the numbers of a column, from the top."""
    return [
        float(value)
        for value in re.findall(rf'data-label="{re.escape(label)}"[^>]* data-value="([^"]*)"', page)
    ]


def test_pictures_stand_worst_first_and_lead_to_what_is_shown() -> None:
    own = result("own", 20)
    page = build([section(own, result("other", 20, seed=5))], {"version": "1"})
    changes = fields(page, "change, own")
    assert len(changes) == 20
    assert changes == sorted(changes)
    assert re.findall(r"<figcaption><b>(\w+)</b>", page) == ["worst", "median", "best"]
    worst = own.telling()["worst"].name
    assert re.search(rf'href="#shot0-2">{worst}</a>', page)


def test_links_lead_to_places_that_are_there() -> None:
    page = build([section(result("own", 20)), section(result("b", 3, seed=2))], {})
    links = re.findall(r'href="#([^"]*)"', page)
    assert len(links) >= 2 + 6
    assert set(links) <= set(re.findall(r'id="([^"]*)"', page))


def test_sets_stand_worst_first() -> None:
    weak, strong = result("own", 9), result("own", 9, seed=3)
    better = tuple(replace(one, output={"psnr": one.output["psnr"] + 9}) for one in strong.pictures)
    strong = replace(strong, dataset="Rain12", pictures=better)
    page = build([section(strong), section(weak)], {})
    overview = page[: page.index("<h2")]
    assert overview.index(">Rain100L, derain</a></td>") < overview.index(">Rain12, derain</a></td>")


@pytest.mark.parametrize(
    ("metric", "measured", "unit"), [("psnr", "rgb", "PSNR RGB, dB"), ("niqe", "none", "NIQE")]
)
def test_what_is_worse_depends_on_the_metric(metric: str, measured: str, unit: str) -> None:
    page = build([section(result("own", 12, metric, measured=measured), published=False)], {})
    changes = fields(page[page.index("Picture by picture") :], "change")
    assert changes == sorted(changes, reverse=metric == "niqe")
    assert f"{unit}, picture by picture; {'lower' if metric == 'niqe' else 'higher'} is better" in page
    assert badness("niqe", 1.0) < badness("niqe", -1.0) < badness("psnr", None)


def test_a_long_list_is_cut_and_says_so() -> None:
    page = build([section(result("own", MOST_LINES + 50))], {})
    assert len(fields(page, "change")) == MOST_LINES
    assert f"the first {MOST_LINES} of {MOST_LINES + 50}" in page


def test_each_plot_is_there_for_a_page_and_for_a_telephone() -> None:
    page = build([section(result("own", 20))], {})
    assert page.count('<svg class="wide"') == page.count('<svg class="narrow"') == 2
    for unit in ("seconds a megapixel", "PSNR gained, dB", "PSNR RGB, dB"):
        assert page.count(f">{unit}</text>") == 2
    assert "@media print" in page


def test_names_of_files_are_no_markup() -> None:
    own = result("own", 3)
    evil = replace(own.pictures[0], name='"><script>x</script>&')
    page = build([section(replace(own, pictures=(evil, *own.pictures[1:])))], {})
    assert "<script>x" not in page


def test_numbers_and_ticks() -> None:
    assert leading_number("+1.23 [+0.98, +1.51]") == 1.23
    assert leading_number("-0.50") == -0.5
    assert leading_number("no result") is None
    assert counting_axis("", 20).ticks == (1, 5, 10, 15, 20)
    for count in (1, 2, 7, 100, 12345):
        ticks = counting_axis("", count).ticks
        assert ticks[0] == 1
        assert ticks[-1] <= count
        assert len(ticks) <= 9
