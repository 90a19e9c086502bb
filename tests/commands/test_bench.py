"""`cyclerdm bench`, as a shell sees it."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny import TINY, tiny_network
from typer.testing import CliRunner

from cyclerdm_cli.app import app
from cyclerdm_cli.benchmark.datasets import read_datasets
from cyclerdm_cli.metrics import noise
from cyclerdm_cli.tasks.catalogue import TASKS
from cyclerdm_cli.weights.file import Header, write_weights

PEERS = Path(__file__).parents[3] / "shared" / "data" / "peers"
BENCH = PEERS.parent / "bench"


def call(*words: str | Path) -> tuple[int, str, str]:
    """Run the command in this process: exit status, standard output, standard error."""
    result = CliRunner().invoke(app, ["bench", *[str(word) for word in words]])
    return result.exit_code, result.stdout, result.stderr


def results(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["results"]  # type: ignore[no-any-return]


@pytest.fixture
def pairs(tmp_path: Path, photograph: np.ndarray) -> Path:
    """Return a folder `rain` with four noisy pictures in lq and the clean ones in gt."""
    random = np.random.default_rng(0)
    for number in range(4):
        clean = np.roll(photograph, 7 * number, axis=1)
        noisy = np.clip(clean + random.normal(0, 10 + 10 * number, clean.shape), 0, 255).astype(np.uint8)
        for kind, pixels in (("lq", noisy), ("gt", clean)):
            (tmp_path / "rain" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "rain" / kind / f"{number}.png")
    return tmp_path / "rain"


@pytest.fixture
def bench(pairs: Path, tiny_weights: Path) -> list[str | Path]:
    """Return words that measure the pairs with tiny weights."""
    return [
        *("--lq", pairs / "lq", "--gt", pairs / "gt", "--task", "derain"),
        *("--weights", tiny_weights, "--device", "cpu", "--precision", "fp32"),
    ]


@pytest.fixture
def walking(bench: list[str | Path], tmp_path: Path) -> list[str | Path]:
    """Return the same with weights whose first stage takes up to two steps."""
    config = replace(TINY, task="derain", light=True, most_steps=2)
    path = tmp_path / "tiny.safetensors"
    header = Header("compact", config.to_json(), ("derain",), "CC0-1.0", "random numbers", "2026-01-01", {})
    write_weights(path, tiny_network(config=config).state_dict(), header)
    words = list(bench)
    words[words.index("--weights") + 1] = path
    return words


def test_a_table_and_all_files_come_of_one_command(bench: list[str | Path], tmp_path: Path) -> None:
    files = {name: tmp_path / "out" / f"r.{name}" for name in ("json", "csv", "html")}
    status, out, err = call(*bench, "--json", files["json"], "--csv", files["csv"], "--report", files["html"])
    assert (status, err) == (0, "")
    assert out.startswith("rain, derain, 4 pictures")
    assert "PSNR RGB*" in out
    assert "SSIM Y" in out
    (entry,) = results(files["json"])
    assert (entry["dataset"], entry["task"], entry["images"]) == ("rain", "derain", 4)
    assert set(entry["input"]) == set(entry["output"]) == {"psnr", "ssim", "psnr_y", "ssim_y"}
    assert entry["device"] == "cpu"
    assert entry["seconds"] > 0
    assert entry["peak_memory_mib"] > 1
    assert entry["settings"]["parameters"] > 0
    assert entry["settings"]["gmac"] > 0
    assert files["csv"].read_text().count("\n") == 6
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["r.csv", "r.html", "r.json"]


def test_the_report_needs_nothing_but_itself(bench: list[str | Path], tmp_path: Path) -> None:
    assert call(*bench, "--report", tmp_path / "r.html")[0] == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    addresses = re.findall(r"""(?:src|href)="([^"]*)""", page)
    assert addresses
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in addresses)
    assert not re.search(r"https?://|@import|url\(", page)
    for word in ("best", "median", "worst", "<svg", 'type="range"'):
        assert word in page


def test_the_output_is_scored_and_can_be_kept_and_scored_again(
    bench: list[str | Path], pairs: Path, tmp_path: Path
) -> None:
    assert call(*bench, "--json", tmp_path / "a.json", "--save", tmp_path / "kept")[0] == 0
    kept = next((tmp_path / "kept").iterdir())
    assert len(list(kept.rglob("*.png"))) == 4
    words = [*bench[:6], "--no-weights", "--outputs", f"again={kept}", "--json", tmp_path / "b.json"]
    assert call(*words)[0] == 0
    (own,), (again,) = results(tmp_path / "a.json"), results(tmp_path / "b.json")
    assert own["output"] == again["output"]
    assert own["input"] == again["input"]
    assert again["weights"] == "again"
    assert "seconds" not in again


def test_candidates_stand_side_by_side_over_the_same_pictures(
    walking: list[str | Path], pairs: Path, tmp_path: Path
) -> None:
    status, out, _ = call(
        *walking, "--precision", "bf16", "--steps", "1", "--steps", "2",
        "--outputs", f"perfect={pairs / 'gt'}", "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert status == 0
    found = results(tmp_path / "r.json")
    assert [entry["name"] for entry in found] == [
        "tiny fp32 1 steps", "tiny fp32 2 steps", "tiny bf16 1 steps", "tiny bf16 2 steps", "perfect",
    ]  # fmt: skip
    assert {json.dumps(entry["input"]) for entry in found} == {json.dumps(found[0]["input"])}
    assert found[-1]["output"]["psnr"] == float("inf")
    assert "against tiny fp32 1 steps*" in out
    assert re.search(r"perfect\s+inf", out)
    assert set(found[1]["against"]["tiny fp32 1 steps"]) == {"psnr", "ssim", "psnr_y", "ssim_y"}


def test_efforts_stand_beside_each_other(bench: list[str | Path], tmp_path: Path) -> None:
    words = [*bench, "--effort", "normal", "--effort", "best", "--json", tmp_path / "r.json"]
    assert call(*words)[0] == 0
    normal, best = results(tmp_path / "r.json")
    assert [normal["name"], best["name"]] == ["tiny normal effort", "tiny best effort"]
    assert ("effort" in normal["settings"], best["settings"]["effort"]) == (False, "best")
    assert best["settings"]["gmac"] == pytest.approx(4 * normal["settings"]["gmac"], rel=0.01)
    assert best["output"] != normal["output"]
    status, _, err = call(*bench, "--effort", "most")
    assert (status, err) == (2, "cyclerdm: --effort most: is none of normal, best\n")


def test_fewer_stages_cost_less_and_stand_beside(bench: list[str | Path], tmp_path: Path) -> None:
    assert call(*bench, "--stages", "1", "--stages", "3", "--json", tmp_path / "r.json")[0] == 0
    one, three = results(tmp_path / "r.json")
    assert [one["name"], three["name"]] == ["tiny 1 of 3 stages", "tiny 3 of 3 stages"]
    assert one["settings"]["gmac"] < three["settings"]["gmac"] / 2
    assert one["settings"]["stages"] == 1
    assert one["output"] != three["output"]
    assert call(*bench, "--stages", "4")[0] == 2


def test_what_cannot_be_measured_is_named_and_the_rest_scored(
    bench: list[str | Path], pairs: Path, tmp_path: Path
) -> None:
    (pairs / "gt" / "0.png").unlink()
    damaged = pairs / "lq" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    Image.open(pairs / "gt" / "2.png").crop((0, 0, 50, 60)).save(pairs / "gt" / "2.png")
    status, out, err = call(*bench, "--json", tmp_path / "r.json", "--report", tmp_path / "r.html")
    assert status == 3
    lines = err.splitlines()
    assert len(lines) == 3
    assert "lq/0.png: has no partner" in lines[0]
    assert "lq/1.png" in lines[1]
    assert "131 x 97" in lines[2]
    assert "50 x 60" in lines[2]
    assert "1 picture, 3 left out" in out
    (entry,) = results(tmp_path / "r.json")
    assert [picture["name"] for picture in entry["pictures"]] == ["3"]
    assert len(entry["failed"]) == 3
    assert "lq/1.png" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_several_folders_in_one_command(bench: list[str | Path], pairs: Path, tmp_path: Path) -> None:
    fog = tmp_path / "fog"
    for kind in ("lq", "gt"):
        (fog / kind).mkdir(parents=True)
        (fog / kind / "0.png").write_bytes((pairs / kind / "0.png").read_bytes())
    status, _, _ = call(
        *bench, "--lq", fog / "lq", "--gt", fog / "gt", "--task", "dehaze", "--json", tmp_path / "r.json"
    )
    assert status == 0
    found = [(entry["dataset"], entry["task"], entry["images"]) for entry in results(tmp_path / "r.json")]
    assert found == [("rain", "derain", 4), ("fog", "dehaze", 1)]


def test_without_reference_no_metric_of_likeness(
    tiny_weights: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYCLERDM_HOME", str(tmp_path / "home"))
    status, _, err = call(
        "--lq", pairs / "lq", "--task", "derain", "--weights", tiny_weights, "--json", tmp_path / "r.json"
    )
    assert status == 0
    assert "niqe_pris_params.npz" in err
    (entry,) = results(tmp_path / "r.json")
    assert entry["images"] == 4
    assert set(entry["input"]) == set(entry["output"]) == {"noise", "sharpness"}
    clean = noise(np.asarray(Image.open(pairs / "gt" / "0.png")))
    before = [picture["input"]["noise"] for picture in entry["pictures"]]  # 10, 20, 30, 40 levels were added
    assert before == sorted(before)
    assert 9 < before[0] < 10 + clean  # what is fine in the picture counts, too
    assert entry["seconds"] > 0


def test_without_reference_the_report_shows_pictures_and_estimates(
    tiny_weights: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYCLERDM_HOME", str(tmp_path / "home"))
    status, out, _ = call(
        *("--lq", pairs / "lq", "--task", "derain", "--weights", tiny_weights),
        *("--report", tmp_path / "r.html", "--csv", tmp_path / "r.csv"),
    )
    assert status == 0
    assert re.search(r"noise\*  +sharpness  +change\*  +s/picture", out)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    for place in range(1, 5):
        assert f"<b>{place} of 4</b> {place - 1}<br>" in page
    assert len(re.findall(r"noise \d+\.\d\d → \d+\.\d\d, sharpness \d", page)) == 4
    assert page.count("data:image/jpeg") == 8  # input and result of each
    assert "best" not in page
    rows = list(csv.DictReader((tmp_path / "r.csv").open(encoding="utf-8")))
    assert [row["picture"] for row in rows] == ["0", "1", "2", "3", "(all)"]
    assert all(float(row["input_noise"]) > 0 < float(row["output_sharpness"]) for row in rows)


def test_a_folder_alone_is_measured_as_what_its_pictures_show(pairs: Path, tmp_path: Path) -> None:
    for name in ("2", "3"):  # noise of 30 and 40 levels
        (pairs / "old").mkdir(exist_ok=True)
        (pairs / "old" / f"{name}.png").write_bytes((pairs / "lq" / f"{name}.png").read_bytes())
    status, out, err = call("--lq", pairs / "old", "--json", tmp_path / "r.json", "--precision", "fp32")
    assert status == 0
    assert "old: measured as denoise, seen in 2 of 2 pictures" in err
    assert out.startswith("old, denoise, 2 pictures")
    (entry,) = results(tmp_path / "r.json")
    assert entry["output"]["noise"] < entry["input"]["noise"] / 2


def test_a_folder_alone_takes_the_only_task_of_weights(pairs: Path, walking: list[str | Path]) -> None:
    status, out, _ = call("--lq", pairs / "lq", "--weights", walking[walking.index("--weights") + 1])
    assert status == 0
    assert out.startswith("rain, derain, 4 pictures")


def test_weights_by_stages_are_a_table_of_what_each_brings(bench: list[str | Path], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(Path(bench[bench.index("--weights") + 1]).read_bytes())
    status, out, _ = call(
        *bench, "--weights", other, "--stages", "1,2,3",
        *("--table", "markdown", "--table", f"latex={tmp_path / 'new' / 't.tex'}"),
    )  # fmt: skip
    assert status == 0
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line[:1] == "|"
    ]
    assert [row[0] for row in rows[2:]] == [
        "input", *(f"{name} {count} of 3 stages" for name in ("tiny", "other") for count in (1, 2, 3)),
    ]  # fmt: skip
    against = rows[0].index(r"against tiny 1 of 3 stages\*")
    assert rows[3][against] == ""
    assert re.fullmatch(r"[+-]\d+\.\d\d \[[+-]\d+\.\d\d, [+-]\d+\.\d\d\]", rows[5][against])
    assert rows[6][against] == "+0.00 [+0.00, +0.00]"  # the same weights under another name
    assert len({row[1] for row in rows[3:6]}) == 3  # every stage does something
    text = (tmp_path / "new" / "t.tex").read_text(encoding="utf-8")
    assert text.count("of 3 stages") == 7
    assert r"\begin{tabular}{l" in text
    assert r"\begin" not in out


def test_a_table_takes_no_inputs_place(bench: list[str | Path], pairs: Path) -> None:
    before = (pairs / "lq" / "0.png").read_bytes()
    status, _, err = call(*bench, "--table", f"latex={pairs / 'lq' / '0.png'}")
    assert status == 2
    assert "inputs are never overwritten" in err
    assert (pairs / "lq" / "0.png").read_bytes() == before


def test_an_interrupted_run_goes_on_where_it_was(
    bench: list[str | Path], pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    assert call(*bench, "--json", tmp_path / "whole" / "r.json")[0] == 0
    for number in range(4, 300):
        for kind in ("lq", "gt"):
            (pairs / kind / f"{number}.png").symlink_to(pairs / kind / "0.png")
    target, journal = tmp_path / "r.json", tmp_path / "r.json.journal"
    command = [sys.executable, "-m", "cyclerdm_cli", "bench", *map(str, bench), "--json", str(target)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and (not journal.exists() or journal.read_bytes().count(b"\n") < 5):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "--resume" in err
    assert not target.exists()
    done = journal.read_bytes().count(b"\n")
    with journal.open("a") as stream:
        stream.write('{"key": "cut sh')
    for number in range(4, 300):
        for kind in ("lq", "gt"):
            (pairs / kind / f"{number}.png").unlink()

    before = {json.loads(line)["name"]: json.loads(line) for line in journal.read_text().splitlines()[:done]}
    assert call(*bench, "--json", target, "--resume")[0] == 0
    assert not journal.exists()
    (entry,), (whole,) = results(target), results(tmp_path / "whole" / "r.json")
    assert entry["output"] == whole["output"]
    for picture in entry["pictures"]:  # the times are those of the first run, so nothing was computed again
        assert picture["seconds"] == pytest.approx(before[picture["name"]]["seconds"], abs=1e-6)


def test_a_journal_of_other_weights_is_not_believed(
    bench: list[str | Path], pairs: Path, tmp_path: Path
) -> None:
    assert call(*bench, "--json", tmp_path / "a.json")[0] == 0
    poisoned = {"key": "0" * 32, "name": "0", "width": 1, "height": 1, "input": {}, "output": {"psnr": 99.0}}
    (tmp_path / "b.json.journal").write_text(json.dumps(poisoned) + "\n")
    assert call(*bench, "--json", tmp_path / "b.json", "--resume")[0] == 0
    assert results(tmp_path / "a.json")[0]["output"] == results(tmp_path / "b.json")[0]["output"]


def test_two_runs_are_compared(walking: list[str | Path], tmp_path: Path) -> None:
    for name, steps in (("a", "1"), ("b", "2")):
        assert call(*walking, "--steps", steps, "--json", tmp_path / f"{name}.json")[0] == 0
    status, out, _ = call("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert status == 0
    assert out.startswith("rain, derain, tiny, 4 pictures")
    assert re.search(r"PSNR RGB +\d+\.\d\d -> +\d+\.\d\d  [+-]\d+\.\d\d \[[+-]", out)
    assert call("compare", tmp_path / "a.json", tmp_path / "none.json")[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs pictures"),
        (["--lq", "LQ", "--gt", "GT"], "--gt needs --task"),
        (["--lq", "LQ", "--task", "derian"], "did you mean 'derain'"),
        (["--lq", "LQ", "--gt", "GT", "--gt", "GT", "--task", "derain"], "1 --lq folders and 2 --gt"),
        (["--lq", "missing", "--gt", "GT", "--task", "derain"], "no such folder"),
        (["--lq", "EMPTY", "--gt", "GT", "--task", "derain"], "no picture here"),
        (["--dataset", "Rain100L", "--task", "derain"], "--task goes with --lq"),
        (["--dataset", "Rain1000L"], "did you mean"),
        (["--dataset", "Rain100L", "--data-root", "EMPTY"], "icst.pku.edu.cn"),
        (
            ["--dataset", "CC15", "--data-root", "EMPTY", "--offline"],
            "aa344066ea9cfbe66f27c921cabfafd9ec6e127d",
        ),
        (["--dataset", "builtin", "--resume"], "--resume needs --json"),
        (["--dataset", "builtin", "--tile", "big"], "--tile"),
        (["--dataset", "builtin", "--stages", "1,4"], "--stages '4'"),
        (["--dataset", "builtin", "--table", "word"], "--table 'word'"),
        (["--dataset", "builtin", "--table", "latex="], "--table 'latex='"),
        (["--speed", "--table", "latex"], "--speed goes without"),
        (["--dataset", "builtin", "--no-weights"], "--no-weights"),
        (["--dataset", "builtin", "--metrics", "vmaf"], "unknown metric"),
        (["--dataset", "builtin", "--outputs", "missing"], "no such folder"),
        (
            ["--lq", "LQ", "--gt", "GT", "--task", "derain", "--outputs", "EMPTY"],
            "no picture in it is called",
        ),
    ],
)
def test_bad_words_are_one_line_and_status_2(
    words: list[str], said: str, pairs: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"LQ": pairs / "lq", "GT": pairs / "gt", "EMPTY": tmp_path / "empty"}
    status, out, err = call(*[places.get(word, word) for word in words])
    assert (status, out) == (2, ""), err
    assert said in err
    assert len(err.splitlines()) == 1


def test_sets_are_listed_and_described() -> None:
    status, out, _ = call("datasets")
    assert status == 0
    for name in (
        "builtin",
        "Rain100L",
        "Snow100K-M",
        "SOTS-indoor",
        "Kodak24",
        "GoPro",
        "LOLv1",
        "Backlit300",
    ):
        assert re.search(rf"^{name} ", out, re.M), name
    _, out, _ = call("datasets", "rain100h")
    assert "Restormer 31.46 dB, Zamir et al., CVPR 2022" in out
    assert "layout: lq input/{id}, gt target/{id}" in out


def test_an_address_that_nothing_is_fetched_from_is_said() -> None:
    sets = read_datasets().values()
    plain = [one.name for one in sets if one.archive and not one.archive.url.startswith("https:")]
    _, out, _ = call("datasets")
    said = [line.split()[0] for line in out.splitlines() if "is not https" in line]
    assert said == plain
    for name in plain:
        assert re.search("direct address: http://.*is not https", call("datasets", name)[1])


@pytest.mark.skipif(not PEERS.is_dir(), reason="needs ../shared/data/peers")
def test_a_peer_by_name_on_the_same_noise() -> None:
    status, out, _ = call(
        *("--dataset", "Kodak24-s25", "--data-root", BENCH, "--no-weights", "--outputs", PEERS / "FFDNet")
    )
    assert status == 0
    assert re.search(r"input +20\.44", out)
    assert re.search(r"FFDNet +31\.73", out)


def test_the_builtin_set_measures_every_task(tiny_weights: Path, tmp_path: Path) -> None:
    words = ["--dataset", "builtin", "--limit", "1", "--weights", tiny_weights, "--json", tmp_path / "r.json"]
    assert call(*words)[0] == 0
    assert len({entry["task"] for entry in results(tmp_path / "r.json")}) == len(TASKS)


def test_help_and_lists_come_without_torch() -> None:
    program = (
        "import sys; from cyclerdm_cli.app import app\n"
        "try: app(sys.argv[1:], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'cv2', 'PIL', 'pywt'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    for words in (
        ["bench", "--help"],
        ["bench", "datasets"],
        ["bench", "--lq", "x", "--gt", "y"],
        ["bench", "compare", "-h"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, env={**os.environ}
        )
        assert "imported" not in done.stderr, done.stderr
