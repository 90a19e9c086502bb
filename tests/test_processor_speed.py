"""Measuring the processor: once, kept, and never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cyclerdm_cli import processor_speed
from cyclerdm_cli.processor_speed import KEPT, block_seconds, describe_machine, fastest_precision


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    block_seconds.cache_clear()
    yield
    block_seconds.cache_clear()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CYCLERDM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_what_was_measured_is_kept_for_the_next_program(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = block_seconds()
    assert found["fp32"] > 0
    assert found["bf16"] > 0
    block_seconds.cache_clear()
    monkeypatch.setattr(processor_speed, "_measure", lambda: pytest.fail("measured again"))
    assert block_seconds() == found
    assert [path.name for path in home.iterdir()] == [KEPT]


def test_another_processor_or_torch_is_measured_for_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_speed, "_measure", lambda: {"fp32": 1.0})
    block_seconds()
    block_seconds.cache_clear()
    monkeypatch.setattr(processor_speed, "_measure", lambda: {"fp32": 3.0})
    monkeypatch.setattr(processor_speed, "describe_machine", lambda: "another")
    assert block_seconds() == {"fp32": 3.0}
    block_seconds.cache_clear()
    monkeypatch.setattr(processor_speed, "describe_machine", describe_machine)
    assert block_seconds() == {"fp32": 1.0}


@pytest.mark.parametrize(
    "content", ["", "[1]", "nonsense", '{"x": {"bf16": 1}}', '{"x": 3}', '{"x": {"fp32": "y"}}']
)
def test_a_damaged_file_counts_as_none(home: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    home.mkdir()
    (home / KEPT).write_text(content)
    monkeypatch.setattr(processor_speed, "_measure", lambda: {"fp32": 1.0})
    assert block_seconds() == {"fp32": 1.0}


def test_a_folder_that_cannot_be_written_does_not_matter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write_text("a file where the folder would be")
    monkeypatch.setattr(processor_speed, "_measure", lambda: {"fp32": 2.0, "bf16": 1.0})
    assert fastest_precision(("fp32", "bf16")) == "bf16"
    assert fastest_precision(("fp32", "int8")) == "fp32"
