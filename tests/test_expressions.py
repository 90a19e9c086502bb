"""Regular expressions take a time that grows with what they read, and no faster."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import cyclerdm_cli
from cyclerdm_cli.benchmark.pairing import FIELD
from cyclerdm_cli.pictures.addresses import FORM
from cyclerdm_cli.pictures.reading import read_picture

LENGTH = 100_000
OWN_FILES_ALONE = {FIELD.pattern}
"""Those that read nothing but what comes with the package."""
FROM_THE_START_ALONE = {FORM.pattern}
"""Those that are never searched for."""
PIECES = (
    " ", "\t\n", "0", "9.", "a", "a'", "-", "_", ".", "[", "{a", "{a:", "<", "=", "'", '"', "\\", "global ",
    "tiff:Orientation", "tiff:Orientation =", "<tiff:Orientation>", "<tiff:Orientation> ", "bytes ", "127.", "s3:",
)  # fmt: skip


def expressions() -> list[re.Pattern]:
    """Return every expression that a module of the package keeps."""
    found = {}
    for module in pkgutil.walk_packages(cyclerdm_cli.__path__, "cyclerdm_cli."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, re.Pattern):
                found[value.pattern] = value
    return [value for pattern, value in found.items() if pattern not in OWN_FILES_ALONE]


@pytest.mark.parametrize("piece", PIECES)
def test_no_expression_is_slow_over_many_times_the_same(piece: str) -> None:
    """A quadratic one needs minutes for what a linear one does in milliseconds."""
    for expression in expressions():
        text = piece * (LENGTH // len(piece))
        began = time.process_time()
        for end in ("", "x", "="):
            whole = _as(text + end, expression)
            expression.fullmatch(whole)
            if expression.pattern not in FROM_THE_START_ALONE:
                expression.sub("" if isinstance(whole, str) else b"", whole)
        assert time.process_time() - began < 5, expression.pattern


def _as(text: str, expression: re.Pattern) -> str | bytes:
    return text if isinstance(expression.pattern, str) else text.encode()


def test_a_picture_with_a_million_spaces_in_its_description_is_read() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>" + " " * 1_000_000 + "</x:xmpmeta>", zip=True)
    stream = BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(stream, "PNG", pnginfo=texts)
    began = time.process_time()
    assert read_picture(stream.getvalue()).size == (4, 4)
    assert time.process_time() - began < 5
