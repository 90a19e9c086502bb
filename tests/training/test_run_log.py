"""The log of a run survives a kill in the middle of a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cyclerdm_cli.training.records import RunLog


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    "left", [b'{"iteration": 2, "lo', b"{", b'{"iteration": 2, "\xc3', b"\0\0\0\0", b"7"]
)
def test_a_line_that_was_cut_is_no_record(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "log.jsonl").write_bytes(lines({"iteration": 1}) + left)
    log = RunLog(tmp_path)
    assert log.read() == [{"iteration": 1}]
    log.add({"iteration": 2})  # behind the cut
    log.add({"iteration": 3})
    assert log.read()[0] == {"iteration": 1}
    assert log.read()[-1] == {"iteration": 3}
