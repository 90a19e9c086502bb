"""ONNX files of networks, for programs without torch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.exporting.graph import ExportedCycle

OPSET = 17
"""Version of ONNX's operators: ONNX Runtime 1.13 and later, OpenVINO, TensorRT and DirectML read it."""
SIZED = ("picture", "mask", "rough", "normal", "restored")
"""Inputs and outputs whose height and width may be any multiple of the network's."""


def require_onnx() -> None:
    """See that the package that writes the files is there. Raises UsageError."""
    if find_spec("onnx") is None:
        raise UsageError("export needs the package onnx", hint="pip install 'cyclerdm[onnx]'")


def to_onnx(exported: ExportedCycle, facts: Mapping[str, str]) -> bytes:
    """Return the bytes of an ONNX file, checked, with the weights inside.

    Args:
        exported: what is computed; its inputs and outputs keep their names.
        facts: what the file says of itself, by name.

    Raises:
        UsageError: the package onnx is missing.
    """
    require_onnx()
    import onnx

    generator = torch.Generator().manual_seed(0)
    example = {name: torch.rand(shape, generator=generator) for name, shape in exported.inputs.items()}
    if "place" in example:
        example["place"] = torch.tensor([0.0, 0.0, *example["picture"].shape[2:]])
    names = [*exported.inputs, *exported.outputs]
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "network.onnx")
        # Traced: a network of convolutions needs no more, and it takes a second instead of a minute.
        torch.onnx.export(
            exported.eval(),
            tuple(example.values()),
            str(path),
            input_names=list(exported.inputs),
            output_names=list(exported.outputs),
            dynamic_axes={name: {2: "height", 3: "width"} for name in names if name in SIZED},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(str(path))
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    stream = io.BytesIO()
    onnx.save(model, stream)
    return stream.getvalue()
