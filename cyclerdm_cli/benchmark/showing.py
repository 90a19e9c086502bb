"""Which pictures a report shows, restored once more: the same seed gives the same bytes, so none had to be kept."""

from __future__ import annotations

from collections.abc import Sequence

from cyclerdm_cli.benchmark.report import Shot, scaled
from cyclerdm_cli.benchmark.results import Result
from cyclerdm_cli.benchmark.running import Bench
from cyclerdm_cli.benchmark.testsets import Pixels, TestSet
from cyclerdm_cli.errors import CycleRDMError


def shots(bench: Bench, testset: TestSet, results: Sequence[Result]) -> tuple[Shot, ...]:
    """Return the telling pictures of the first candidate, in all versions, as small as the page shows them."""
    cases = {case.name: case for case in testset.cases}
    candidates = {candidate.setting.name: candidate for candidate in bench.candidates(testset)}
    found = []
    for word, chosen in results[0].telling().items():
        case = cases[chosen.name]
        loaded = case.load()
        versions: list[tuple[str, Pixels]] = [("input", scaled(loaded.lq))]
        scores = []
        for result in results:
            picture = next((one for one in result.pictures if one.name == chosen.name), None)
            if picture is None:
                continue
            try:
                restored = candidates[result.setting.name].restore(testset, case, loaded)
            except CycleRDMError:
                continue  # its file has gone meanwhile
            versions.append((result.setting.name, scaled(restored.pixels)))
            scores.append((result.setting.name, picture))
        if loaded.gt is not None:
            versions.append(("reference", scaled(loaded.gt)))
        found.append(Shot(word, tuple(scores), tuple(versions)))
    return tuple(found)
