"""A short part of the fuzz run of `fuzz_reading.py`, which is run by hand."""

import os

import pytest

pytest.importorskip("resource", reason="peak memory is measured as POSIX has it")

from fuzz_reading import FORMATS, fuzz, mutated


@pytest.mark.skipif(os.name != "posix", reason="as above")
def test_mutated_pictures_are_read_or_refused_in_one_line():
    *_, findings = fuzz(first=1_000_000, count=3000)
    assert findings.faults == []
    assert findings.pictures == 3000
    assert set(findings.read) == set(FORMATS)
    assert all(findings.read.values()), "some of each format survive, or else the mutations are too coarse"
    assert findings.peak_mib < 1024


def test_a_mutation_is_the_same_in_every_run():
    assert mutated(7) == mutated(7)
    assert mutated(7) != mutated(13)
