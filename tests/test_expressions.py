"""Regular expressions take a time that grows with what they read, and no faster."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import cyclerdm_cli
from cyclerdm_cli.benchmark.pairing import FIELD
from cyclerdm_cli.pictures.addresses import FORM
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.weights.address import ADDRESS, AUTHORITY

LENGTH = 100_000
OWN_FILES_ALONE = {FIELD.pattern}
"""Those that read nothing but what comes with the package."""
FROM_THE_START_ALONE = {FORM.pattern, ADDRESS.pattern, AUTHORITY.pattern}
"""Those that are never searched for."""
PIECES = (
    " ", "\t\n", "0", "9.", "a", "a'", "-", "_", ".", "[", "{a", "{a:", "<", "=", "'", '"', "\\", "global ",
    "tiff:Orientation", "tiff:Orientation =", "<tiff:Orientation>", "<tiff:Orientation> ", "bytes ", "127.", "s3:",
)  # fmt: skip


def kept() -> dict[str | bytes, re.Pattern]:
    """Return every expression that a module of the package keeps."""
    found = {}
    for module in pkgutil.walk_packages(cyclerdm_cli.__path__, "cyclerdm_cli."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, re.Pattern):
                found[value.pattern] = value
    return {pattern: value for pattern, value in found.items() if pattern not in OWN_FILES_ALONE}


def written_in_place() -> list[tuple[str, re.Pattern]]:
    """Return the expressions that stand where they are used, each with the function of `re` that is called."""
    found = []
    for path in Path(cyclerdm_cli.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            module, pattern = node.func.value, node.args[0]
            if isinstance(module, ast.Name) and module.id == "re" and isinstance(pattern, ast.Constant):
                found.append((node.func.attr, re.compile(pattern.value)))
    return [(name, expression) for name, expression in found if name != "compile"]


@pytest.fixture(scope="module")
def uses() -> list[Callable[[str], object]]:
    """Return what is done with each expression, as a function of a text."""

    def use(expression: re.Pattern, searched: bool, text: str) -> None:
        whole = text if isinstance(expression.pattern, str) else text.encode()
        expression.fullmatch(whole)
        if searched:
            expression.sub("" if isinstance(whole, str) else b"", whole)

    found = [partial(use, value, pattern not in FROM_THE_START_ALONE) for pattern, value in kept().items()]
    return found + [
        partial(use, value, name not in ("match", "fullmatch")) for name, value in written_in_place()
    ]


@pytest.mark.parametrize("piece", PIECES)
def test_no_expression_is_slow_over_many_times_the_same(
    uses: list[Callable[[str], object]], piece: str
) -> None:
    """A quadratic one needs minutes for what a linear one does in milliseconds."""
    assert len(uses) > 10
    for use in uses:
        began = time.process_time()
        for end in ("", "x", "="):
            use(piece * (LENGTH // len(piece)) + end)
        assert time.process_time() - began < 5, use


def test_a_picture_with_a_million_spaces_in_its_description_is_read() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>" + " " * 1_000_000 + "</x:xmpmeta>", zip=True)
    stream = BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(stream, "PNG", pnginfo=texts)
    began = time.process_time()
    assert read_picture(stream.getvalue()).size == (4, 4)
    assert time.process_time() - began < 5
