"""Importing open_clip, also where the torchvision beside it was built for another torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cyclerdm_cli.errors import UsageError, WeightsError

OPERATORS = ("nms", "qnms")
"""What torchvision wants declared while it is imported; open_clip never calls them."""


def import_open_clip() -> Any:
    """Return the package open_clip.

    A torchvision for CUDA beside a torch for the CPU cannot load its compiled operators, and its import fails for
    the lack of their names alone; they are declared, and the import tried once more.

    Raises:
        UsageError: it is not installed, or cannot be imported.
    """
    try:
        try:
            import open_clip
        except RuntimeError as fault:
            if "torchvision::nms" not in str(fault):
                raise
            _declare_operators()
            import open_clip
    except ImportError:
        raise UsageError("this needs open_clip", hint="pip install open_clip_torch") from None
    except RuntimeError as fault:
        raise UsageError(f"open_clip cannot be imported: {str(fault).splitlines()[0]}") from fault
    return open_clip


def load_clip(wanted: str, device: torch.device) -> nn.Module:
    """Load an open_clip model, frozen.

    Args:
        wanted: `MODEL:WEIGHTS`; MODEL is open_clip's name or a JSON file with a configuration, WEIGHTS a local
            file or open_clip's tag of weights that are in its cache.
        device: where to put it.

    Raises:
        UsageError: open_clip is not installed, or it is not of that form.
        WeightsError: no such model, or its weights are not here.
    """
    open_clip = import_open_clip()
    name, sign, weights = wanted.rpartition(":")
    if not sign:
        raise UsageError(
            f"clip {wanted!r}: not of the form MODEL:WEIGHTS", hint="ViT-B-32:/path/to/weights.pt"
        )
    if name.endswith(".json"):
        if not Path(name).is_file():
            raise WeightsError(f"{name}: no such model configuration")
        open_clip.add_model_config(Path(name))
        name = Path(name).stem
    if name not in open_clip.list_models():
        raise WeightsError(f"clip {name!r}: open_clip knows no such model")
    if not Path(weights).is_file() and weights not in open_clip.list_pretrained_tags_by_model(name):
        raise WeightsError(f"{weights}: no such weights for {name}")
    try:
        model: nn.Module = open_clip.create_model(name, pretrained=weights, device=device)
    except Exception as fault:
        raise WeightsError(f"clip {wanted}: cannot be loaded: {str(fault).splitlines()[0]}") from fault
    return model.eval().requires_grad_(False)


_declared: list[torch.library.Library] = []
"""What was declared is forgotten with its library."""


def _declare_operators() -> None:
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("torchvision", "open_clip")]:
        del sys.modules[name]
