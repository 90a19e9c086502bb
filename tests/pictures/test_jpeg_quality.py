"""What the tables of a JPEG say of its quality."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cyclerdm_cli.pictures.jpeg_quality import quality_of, tables_of


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("quality", [5, 10, 25, 39, 40, 60, 75, 90, 95])
def test_the_quality_is_the_one_that_a_file_was_saved_with(mode: str, quality: int) -> None:
    stream = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", quality=quality)
    assert quality_of(Image.open(stream).quantization) == quality  # type: ignore[attr-defined]


def test_tables_of_other_programs_have_the_quality_that_they_are_as_coarse_as() -> None:
    assert quality_of({0: [4] * 64, 1: [7] * 64}) > 90
    assert quality_of({0: [60] * 64}) in range(40, 60)
    assert quality_of({0: [1000] * 64}) == 1
    luma, colours = tables_of(50)
    assert (luma[0], max(luma), colours[0]) == (16, 121, 17)
