"""What can be told of Apple's GPU without one: only operations that it has, and never a float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_network
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cyclerdm_cli.cycle.paper import PaperConfig, PaperNetwork
from cyclerdm_cli.device import Engine
from cyclerdm_cli.restoring import restorer as restoring
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer

# fmt: off
KERNELS = [  # of torch's MPS backend, 2.6 and later
    "_local_scalar_dense", "add", "add_", "all", "amax", "any", "arange", "avg_pool2d", "cat", "clamp", "clamp_min",
    "copy_", "cos", "div", "div_", "exp", "eye", "full", "leaky_relu", "lerp", "mean", "mul", "mul_", "ones", "pow",
    "relu", "relu_", "repeat_interleave",
    "rsub", "silu", "sin", "std", "sub", "sum", "upsample_nearest2d", "zeros", "zeros_like",
]
MADE_OF_THEM = [  # and of convolution, bmm, addmm, reflection and replication padding, native norms, abs, eq
    "conv2d", "einsum", "group_norm", "isfinite", "layer_norm", "linear", "matmul", "pad", "pixel_shuffle",
    "pixel_unshuffle", "scaled_dot_product_attention", "stack",
]
VIEWS = [
    "_to_copy", "alias", "chunk", "contiguous", "detach", "detach_", "expand", "flatten", "is_nonzero", "item",
    "lift_fresh", "permute", "select", "slice", "split", "squeeze",
    "to", "transpose", "unbind", "unflatten", "unsqueeze",
    "view",
]
SPECTRA = [  # with macOS 14
    "_conj", "complex", "fft_fftfreq", "fft_irfft2", "fft_rfft2", "fft_rfftfreq", "imag", "real",
]
FOR_KERNELS = [
    "abs", "bitwise_and", "clone", "fill_", "flip", "ge", "gt", "index", "le", "log", "minimum", "new_full",
    "new_ones", "reciprocal", "repeat", "roll", "sigmoid", "sign", "softmax", "sort", "sqrt", "square",
    "upsample_bilinear2d", "where",
]
LIGHT = [  # the grid in three dimensions with torch 2.9; before, a tile goes to the processor
    "abs", "amin", "eq", "full_like", "grid_sampler", "log", "max_pool2d", "neg", "reciprocal", "reshape",
]
ON_THE_PROCESSOR = ["randint", "randn"]  # so that a seed means one result, whatever the device
# fmt: on


class Record(TorchDispatchMode):
    """Notes the operations that run, and the types that they make."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: set[str] = set()
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations.add(func.overloadpacket.__name__)
        self.types |= {one.dtype for one in tree_leaves((args, result)) if isinstance(one, Tensor)}
        return result


NETWORKS = {
    "detail": lambda: tiny_network(config=replace(TINY, most_steps=2)),
    "light": lambda: tiny_network(config=replace(TINY, light=True, brightens=True, most_steps=2)),
    "holes": lambda: tiny_network(config=replace(TINY, fills=True, most_steps=2)),
    "paper": lambda: (
        PaperNetwork(PaperConfig(channels=32, blocks=1, gain_width=8)).eval().requires_grad_(False)
    ),
}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("network", NETWORKS)
def test_only_what_apples_gpu_has_is_asked_of_it(
    network: str, precision: torch.dtype, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros(photograph.shape[:2], bool)
    mask[20:40, 30:60] = True
    options = RestoreOptions(tile=64, overlap=32, steps=2, strength=0.5)
    restorer = Restorer(NETWORKS[network](), Engine(torch.device("cpu"), precision, ""), options)
    monkeypatch.setattr(restoring, "fill", lambda picture, mask: picture)  # always on the processor
    with Record() as record:
        restorer.restore(photograph)
        restorer.restore(photograph.astype(np.uint16) * 257, mask)
    assert "conv2d" in record.operations, "nothing was recorded"
    allowed = {*KERNELS, *MADE_OF_THEM, *VIEWS, *ON_THE_PROCESSOR, *(LIGHT if network == "light" else ())}
    assert record.operations <= allowed, record.operations - allowed
    assert not {torch.float64, torch.complex128, torch.uint16} & record.types
    assert precision in record.types


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_search_for_kernels_needs_spectra_besides(precision: torch.dtype, photograph: np.ndarray) -> None:
    options = RestoreOptions(tile=64, overlap=32)
    restorer = Restorer(
        tiny_network(config=replace(TINY, deblurs=True)), Engine(torch.device("cpu"), precision, ""), options
    )
    with Record() as record:
        restorer.restore(photograph)
    assert "fft_irfft2" in record.operations
    allowed = {*KERNELS, *MADE_OF_THEM, *VIEWS, *SPECTRA, *FOR_KERNELS}
    assert record.operations <= allowed, record.operations - allowed
    assert not {torch.float64, torch.complex128} & record.types
