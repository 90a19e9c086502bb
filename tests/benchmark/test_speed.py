"""The measurement of speed: the same pixels as without a stopwatch, one process each, all numbers there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, tiny_network
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.benchmark.probe import PAPER, Errand, measure
from cyclerdm_cli.benchmark.speed import Measured, tables
from cyclerdm_cli.benchmark.stopwatch import STAGES, Stopwatch
from cyclerdm_cli.device import Engine
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer

CPU = Engine(torch.device("cpu"), torch.float32, "for the test")


def test_a_stopwatch_changes_nothing_and_sees_every_stage(photograph: np.ndarray) -> None:
    config = replace(TINY, light=True, brightens=True)
    watch = Stopwatch(tiny_network(config=config))
    timed = Restorer(watch, CPU, RestoreOptions()).restore(photograph)
    plain = Restorer(tiny_network(config=config), CPU, RestoreOptions()).restore(photograph)
    np.testing.assert_array_equal(timed, plain)
    assert set(watch.seconds) == set(STAGES) - {"gain"}  # which is a part of its stage 3
    assert all(seconds > 0 for seconds in watch.seconds.values())


@pytest.fixture
def small(tmp_path: Path, photograph: np.ndarray) -> Path:
    path = tmp_path / "in" / "small.jpg"
    path.parent.mkdir()
    Image.fromarray(photograph).save(path)
    return path


@pytest.mark.parametrize("warm", [False, True])
def test_a_file_is_measured_from_reading_to_writing(tiny_weights: Path, small: Path, warm: bool) -> None:
    found = measure(Errand(str(small), str(tiny_weights), "denoise", "cpu", "fp32", warm=warm))
    seconds = found["seconds"]
    assert found["megapixels"] == pytest.approx(97 * 131 / 1e6)
    assert (found["device"], found["precision"]) == ("cpu", "fp32")
    assert seconds["network"] == pytest.approx(sum(seconds.get(stage, 0.0) for stage in STAGES))
    parts = seconds["reading"] + seconds["network"] + seconds["wavelet, tiles"] + seconds["writing"]
    assert seconds["whole"] == pytest.approx(parts)
    assert found["memory_mib"]["process"] > 100


def test_a_folder_is_measured_as_a_batch(tiny_weights: Path, small: Path) -> None:
    small.with_name("other.jpg").write_bytes(small.read_bytes())
    found = measure(Errand(str(small.parent), str(tiny_weights), "denoise", "cpu", "fp32", warm=True))
    assert found["pictures"] == 2
    assert found["megapixels"] == pytest.approx(2 * 97 * 131 / 1e6)
    assert found["seconds"]["whole"] > 0


def test_the_authors_ten_evaluations_are_counted(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cyclerdm_cli.benchmark import probe
    from cyclerdm_cli.cycle.paper import PaperConfig, PaperNetwork

    tiny = PaperNetwork(PaperConfig(channels=32, blocks=1, gain_width=8))
    monkeypatch.setattr(probe, "PaperNetwork", lambda: tiny)
    found = measure(Errand(str(small), PAPER, "denoise", "cpu", "fp32", tile=0))
    once = sum(found["seconds"][stage] for stage in ("stage 1", "stage 2", "stage 3"))
    parts = found["seconds"]["look"] + found["seconds"]["gain"]  # the gain module is run once
    assert found["seconds"]["network"] == pytest.approx(10 * once + parts)


def test_the_ratio_in_the_table_is_that_of_the_seconds() -> None:
    def one(what: str, seconds: float) -> Measured:
        found = {"precision": "fp32", "seconds": {"network": seconds}, "memory_mib": {"process": 500.0}}
        return Measured("against", what, 2, found)

    (table,) = tables([one("the authors' network", 90.0), one("compact", 0.15)])
    assert [row.cells[1] for row in table.rows] == ["1", "600"]


def test_tables_are_printed_and_json_written(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cyclerdm_cli.benchmark import speed

    probed = []

    def measured_here(part: str, what: str, errand: Errand, threads: int) -> Measured:
        probed.append((part, errand.precision, threads))
        weights = str(tiny_weights) if errand.weights == PAPER else errand.weights
        plain = Errand(
            errand.picture, weights, errand.task, errand.device, errand.precision, warm=errand.warm
        )
        return Measured(part, what, threads, measure(plain))

    monkeypatch.setattr(speed, "_probe", measured_here)  # processes of their own take seconds each
    monkeypatch.setattr(speed, "STARTS", 1)
    words = ["bench", "--speed", "--sizes", "0.02,0.01", "--threads", "1", "--weights", str(tiny_weights)]
    words += ["--device", "cpu", "--precision", "fp32", "--json", str(tmp_path / "s.json")]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.stderr
    for title in (
        "could do at most",
        "Share of the limit",
        "Start of the program",
        "By size",
        "By precision and threads",
        "Against the authors'",
    ):
        assert title in ended.stdout
    assert re.search(r"0\.02 MP +\d+\.\d\d", ended.stdout)
    records = json.loads((tmp_path / "s.json").read_text())["speed"]
    assert [one["part"] for one in records] == [
        "limits",
        "start",
        "start",
        "sizes",
        "sizes",
        "threads",
        "against",
        "against",
    ]
    assert probed[2] == ("threads", "fp32", 1)

    for one in records:
        if one["part"] == "sizes":
            one["seconds"]["whole"] /= 100
    (tmp_path / "before.json").write_text(json.dumps({"speed": records}))
    now = json.loads((tmp_path / "s.json").read_text())["speed"]
    measured = [Measured(one["part"], one["what"], one["threads"], one) for one in now]
    monkeypatch.setattr(speed, "measure_speed", lambda plan, say: measured)
    ended = CliRunner().invoke(app, [*words, "--compare", str(tmp_path / "before.json")])
    assert ended.exit_code == 0, ended.stderr
    rows = ended.stdout.partition("Against before.json")[2]
    assert len(re.findall(r"sizes: .* slower", rows)) == 2
    assert rows.index("sizes: ") < rows.index("start: --help")


def test_a_process_that_fails_says_why(tiny_weights: Path) -> None:
    from cyclerdm_cli.benchmark import speed
    from cyclerdm_cli.errors import DataError

    with pytest.raises(DataError, match=r"ended early: .*nowhere.jpg: no such file"):
        speed._probe("sizes", "", Errand("nowhere.jpg", str(tiny_weights), "denoise", "cpu"), 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sizes", "big"], "--sizes 'big'"),
        (["--sizes", "501"], "numbers up to 500"),
        (["--threads", "0"], "--threads '0'"),
        (["--dataset", "builtin"], "--speed goes without pictures"),
        (["--device", "cpu", "--device", "cuda"], "one --weights on one --device"),
    ],
)
def test_bad_words_are_one_line_and_status_2(words: list[str], said: str) -> None:
    ended = CliRunner().invoke(app, ["bench", "--speed", *words])
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("content", ["", "{}", '{"speed": 3}', '{"speed": [1]}', '{"speed": [{}]}', None])
def test_what_is_no_earlier_run_is_told_before_anything_is_measured(
    content: str | None, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cyclerdm_cli.benchmark import speed

    monkeypatch.setattr(speed, "_run", lambda *words: pytest.fail("measured"))
    before = tmp_path / "before.json"
    if content is not None:
        before.write_text(content)
    ended = CliRunner().invoke(
        app, ["bench", "--speed", "--weights", str(tiny_weights), "--compare", str(before)]
    )
    assert ended.exit_code != 0
    assert "before.json" in ended.stderr


def test_the_limits_of_this_processor_are_measured() -> None:
    from cyclerdm_cli.benchmark.limits import measure_limits

    found = measure_limits()
    assert all(speed > 0 for speed in found["gflops"].values())
    assert {"fp32", "bf16"} <= set(found["gflops"])
