"""The numbers of one picture."""

from __future__ import annotations

from contextlib import suppress

from cyclerdm_cli.benchmark.datasets import Measured
from cyclerdm_cli.benchmark.learned import Judges
from cyclerdm_cli.benchmark.testsets import Pixels
from cyclerdm_cli.errors import PictureError
from cyclerdm_cli.metrics import MASK, WINDOW, Channels, measured_on, noise, psnr, sharpness, ssim

SUFFIXES: dict[Channels, str] = {"rgb": "", "y": "_y", "y8": "_y8"}
"""What a metric's name ends in for each of the things that it is measured on."""
SMALLER_IS_BETTER = frozenset({"lpips", "niqe", "fid"})


def conventional(metric: str, measured: Measured) -> str:
    """Return the name of PSNR or SSIM as published numbers for a set are measured."""
    return metric + ("" if measured == "none" else SUFFIXES[measured])


def score(
    result: Pixels, gt: Pixels | None, measured: Measured, crop: int, judges: Judges
) -> dict[str, float]:
    """Return the metrics of a picture by name; those that do not apply are not there.

    Args:
        result: to be judged.
        gt: what it should be, of the same size; None: NIQE, noise and sharpness only.
        measured: Y8 is reported where published numbers are measured on it; RGB and Y always.
        crop: pixels left out at every edge for PSNR and SSIM.
        judges: the metrics that need weights.

    Raises:
        PictureError: the picture has nothing left after the crop.
    """
    scores: dict[str, float] = {}
    if gt is not None:
        if min(gt.shape[:2]) <= 2 * crop:
            raise PictureError(f"{gt.shape[1]} x {gt.shape[0]} pixels are nothing after a crop of {crop}")
        kinds: tuple[Channels, ...] = ("rgb", "y", "y8") if measured == "y8" else ("rgb", "y")
        for channels in kinds:
            found, wanted = measured_on(result, channels, crop), measured_on(gt, channels, crop)
            scores["psnr" + SUFFIXES[channels]] = psnr(found, wanted)
            if min(found.shape[:2]) >= WINDOW:
                scores["ssim" + SUFFIXES[channels]] = ssim(found, wanted)
    elif min(result.shape[:2]) >= MASK:
        scores |= {"noise": noise(result), "sharpness": sharpness(result)}
    for name, judge in (
        *(judges.with_reference.items() if gt is not None else ()),
        *judges.without_reference.items(),
    ):
        with suppress(PictureError):  # too small or too even for this metric: absent
            scores[name] = judge(result, gt)
    return scores
