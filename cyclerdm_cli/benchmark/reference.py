"""Published numbers beside one's own: only where the test files are the same, and else the reason why not."""

from __future__ import annotations

from cyclerdm_cli.benchmark.datasets import Dataset, Published
from cyclerdm_cli.benchmark.results import Result
from cyclerdm_cli.benchmark.scoring import conventional

TOLERANCE = 0.05
"""dB by which the degraded pictures' PSNR may differ from the published one: it is printed with two digits."""


def published_for(result: Result, dataset: Dataset | None) -> tuple[tuple[Published, ...], str]:
    """Return what others reached on the very files of a result, and a line on how that is known or why not."""
    if dataset is None:
        return (), "no published numbers: not a set that is known by name"
    if dataset.noise:
        return (), "no published numbers: the noise was made here, others drew theirs"
    if not dataset.published:
        return (), "no published numbers are kept for this set"
    if len(result.pictures) != dataset.images:
        return (), f"no published numbers: {len(result.pictures)} pictures here, {dataset.images} in the test"
    metric = conventional("psnr", dataset.measured)
    if dataset.input_psnr is None:
        return (
            dataset.published,
            f"published numbers: the {dataset.images} pictures of the test by their count",
        )
    found = result.input.get(metric, 0.0)
    if abs(found - dataset.input_psnr) > TOLERANCE:
        return (), (
            f"no published numbers: the input's PSNR is {found:.2f} dB, that of the published files"
            f" {dataset.input_psnr:.2f}, so these are others"
        )
    return dataset.published, (
        f"published numbers: the {dataset.images} pictures of the test by count and by the input's PSNR"
        f" of {dataset.input_psnr:.2f} dB"
    )
