"""Results as files and back; two runs beside each other."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.benchmark.candidates import Setting
from cyclerdm_cli.benchmark.comparing import compare
from cyclerdm_cli.benchmark.journal import Journal
from cyclerdm_cli.benchmark.records import read_json, to_csv, to_json
from cyclerdm_cli.benchmark.results import PictureScore, Result
from cyclerdm_cli.errors import DataError


def result(name: str = "own", gain: float = 2.0, pictures: int = 4, before: float = 20.0) -> Result:
    scores = tuple(
        PictureScore(
            f"p{place}", 100, 50, {"psnr": before + place}, {"psnr": before + place + gain + 0.1 * place}, 0.5
        )
        for place in range(pictures)
    )
    return Result(
        "Rain12", "derain", Setting(name, name, "cpu", "fp32", {"gmac": 10.0}), scores, "rgb", "RGB"
    )


def test_the_json_is_that_of_the_contract() -> None:
    content = json.loads(to_json([result()], {}))
    (entry,) = content["results"]
    assert set(content) >= {"results", "version", "created"}
    assert (entry["dataset"], entry["task"], entry["images"]) == ("Rain12", "derain", 4)
    assert entry["input"] == {"psnr": 21.5}
    assert entry["output"] == {"psnr": pytest.approx(23.65)}
    assert entry["seconds"] == 2.0
    assert entry["megapixels_per_second"] == pytest.approx(0.01)
    assert (entry["weights"], entry["device"], entry["precision"]) == ("own", "cpu", "fp32")
    assert entry["gain"]["psnr"]["low"] <= entry["gain"]["psnr"]["mean"] <= entry["gain"]["psnr"]["high"]


def test_what_was_not_measured_is_absent() -> None:
    plain = PictureScore("a", 10, 10, {"psnr": 20.0}, {"psnr": 21.0})
    peer = Result("Rain12", "derain", Setting("peer", "peer"), (plain,), "rgb", "RGB")
    text = to_json([peer], {})
    (entry,) = json.loads(text)["results"]
    assert not {"seconds", "megapixels_per_second", "peak_memory_mib", "device", "precision"} & set(entry)
    assert "null" not in text
    assert not {"lpips", "niqe", "fid", "ssim"} & set(entry["output"])


def test_infinity_is_a_number_that_every_json_reader_takes(tmp_path: Path) -> None:
    same = PictureScore('Infinity": 1', 10, 10, {"psnr": 20.0}, {"psnr": math.inf}, 0.1)
    text = to_json([Result("x", "derain", Setting("own", "own"), (same,), "rgb", "RGB")], {})
    assert not re.search(r"[:\[,]\s*-?(Infinity|NaN)", text)  # no word that is not JSON
    (entry,) = json.loads(text, parse_constant=lambda word: pytest.fail(word))["results"]
    assert entry["output"]["psnr"] == math.inf
    (tmp_path / "r.json").write_text(text)
    assert read_json(tmp_path / "r.json")[0].pictures[0] == same


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    results = [result(), result("other", 3.0)]
    (tmp_path / "r.json").write_text(to_json(results, {"machines": {}}))
    found = read_json(tmp_path / "r.json")
    assert [one.setting.name for one in found] == ["own", "other"]
    assert found[1].output == pytest.approx(results[1].output)
    assert found[1].against(found[0])["psnr"].mean == pytest.approx(1.0)


def test_the_table_of_pictures_has_a_row_for_each_and_one_for_all() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([result()]))))
    assert [row["picture"] for row in rows] == ["p0", "p1", "p2", "p3", "(all)"]
    assert float(rows[-1]["output_psnr"]) == pytest.approx(23.65)


def test_two_runs_are_compared_picture_by_picture() -> None:
    (change,) = compare([result("old", 2.0)], [result("new", 2.5, pictures=3)])
    assert len(change.before.pictures) == 3
    assert change.differences["psnr"].mean == pytest.approx(0.5)
    assert change.differences["psnr"].certain


def test_pictures_of_one_name_and_other_pixels_are_not_compared() -> None:
    with pytest.raises(DataError, match="in common"):
        compare([result()], [result(before=21.0)])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": [{"dataset": "x"}]}'])
def test_a_file_that_holds_no_results_is_said_to(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DataError, match="no results of cyclerdm bench"):
        read_json(tmp_path / "r.json")


PICTURE = {
    "name": "a",
    "width": 4,
    "height": 4,
    "input": {"psnr": 20.0},
    "output": {"psnr": 25.0},
    "seconds": 1.0,
}
ENTRY = {
    "dataset": "d", "task": "denoise", "images": 1, "input": {"psnr": 20.0}, "output": {"psnr": 25.0},
    "name": "n", "weights": "w", "settings": {}, "measured": "rgb", "convention": "c", "failed": [], "gain": {},
    "pictures": [PICTURE],
}  # fmt: skip
ODD = (
    None,
    True,
    7,
    -1.5,
    math.nan,
    "x",
    "\ud800",
    [],
    [1],
    {},
    {"a": []},
    {"psnr": "high"},
    10**30,
    1e300,
    [None],
)


def compared(tmp_path: Path, content: object) -> tuple[int, str]:
    """Compare a file with itself by the command; return the exit status and what was said."""
    path = tmp_path / "r.json"
    path.write_text(json.dumps(content))
    done = CliRunner().invoke(app, ["bench", "compare", str(path), str(path)])
    return done.exit_code, done.stderr


def places() -> list[tuple[str, ...]]:
    inner = [("results", "0", "pictures", "0", key) for key in PICTURE]
    outer = [("results", "0", key) for key in ENTRY]
    return [("results",), ("results", "0"), ("results", "0", "pictures", "0"), *outer, *inner]


@pytest.mark.parametrize("place", places(), ids="/".join)
def test_any_value_anywhere_gives_a_comparison_or_one_line(place: tuple[str, ...], tmp_path: Path) -> None:
    for odd in ODD:
        content = json.loads(json.dumps({"results": [ENTRY]}))
        inner = content
        for step in place[:-1]:
            inner = inner[int(step) if step.isdecimal() else step]
        inner[int(place[-1]) if place[-1].isdecimal() else place[-1]] = odd
        status, said = compared(tmp_path, content)
        assert status == 0 or (status == 2 and len(said.splitlines()) == 1), (odd, said)
        assert "unexpected" not in said


@pytest.mark.parametrize("key", ENTRY)
def test_what_is_missing_is_named(key: str, tmp_path: Path) -> None:
    status, said = compared(tmp_path, {"results": [{name: ENTRY[name] for name in ENTRY if name != key}]})
    needed = key not in ("images", "gain")
    assert (status, f"{key} is missing" in said) == ((2, True) if needed else (0, False))


def test_the_field_and_what_it_may_be_are_named(tmp_path: Path) -> None:
    odd = {**ENTRY, "pictures": [PICTURE, {**PICTURE, "seconds": {}}]}
    status, said = compared(tmp_path, {"results": [odd]})
    assert status == 2
    assert "results[0]: pictures[1]: seconds is {}, not a number from 0 to 1e+09" in said
    assert (
        "measured is 'RGB', not 'rgb' or 'y'"
        in compared(tmp_path, {"results": [{**ENTRY, "measured": "RGB"}]})[1]
    )


def test_an_unknown_metric_is_shown_by_its_name_and_nesting_has_an_end(tmp_path: Path) -> None:
    other = {**PICTURE, "input": {"new": 1.0}, "output": {"new": 2.0}}
    assert compared(tmp_path, {"results": [{**ENTRY, "pictures": [other]}]})[0] == 0
    (tmp_path / "r.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(DataError, match="no results of cyclerdm bench: it is nested too deep"):
        read_json(tmp_path / "r.json")


def test_many_results_are_matched_in_no_time(tmp_path: Path) -> None:
    many = {"results": [{**ENTRY, "dataset": f"d{number}"} for number in range(1000)]}
    (tmp_path / "r.json").write_text(json.dumps(many))
    began = time.process_time()
    assert len(compare(read_json(tmp_path / "r.json"), read_json(tmp_path / "r.json"))) == 1000
    assert time.process_time() - began < 10


def test_a_journal_with_odd_lines_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.json.journal"
    with Journal(path, resume=False) as journal:
        journal.keep("one", PictureScore("a", 4, 4, {"psnr": 1.0}, {"psnr": 2.0}))
    odd = [{"key": [], **PICTURE}, {"key": "two", **PICTURE, "seconds": "x"}, {"key": "three"}, 7, [[]]]
    with path.open("a") as stream:
        stream.writelines(f"{json.dumps(line)}\n" for line in odd)
    with Journal(path, resume=True) as journal:
        assert journal.find("one") == PictureScore("a", 4, 4, {"psnr": 1.0}, {"psnr": 2.0})
        assert journal.find("two") is None


def test_without_references_niqe_leads_and_the_pictures_are_those_in_even_steps() -> None:
    scores = {"noise": 3.0, "sharpness": 50.0}
    pictures = [PictureScore(str(number), 9, 9, scores, scores) for number in range(30)]
    found = replace(result(), measured="none", pictures=tuple(pictures))
    assert found.leading == "noise"
    shown = found.telling()
    assert len(shown) == 12
    assert (next(iter(shown)), list(shown)[-1]) == ("1 of 30", "30 of 30")
    assert [picture.name for picture in shown.values()][:3] == ["0", "2", "5"]
    judged = [replace(one, input={**scores, "niqe": 5.0}, output={**scores, "niqe": 4.0}) for one in pictures]
    assert replace(found, pictures=tuple(judged)).leading == "niqe"
    assert replace(found, pictures=()).telling() == {}
