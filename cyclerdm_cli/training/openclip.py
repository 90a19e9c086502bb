"""Importing open_clip, also where the torchvision beside it was built for another torch."""

from __future__ import annotations

import sys
from typing import Any

import torch

from cyclerdm_cli.errors import UsageError

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
        raise UsageError("this needs open_clip", hint="pip install 'cyclerdm[clip]'") from None
    except RuntimeError as fault:
        raise UsageError(f"open_clip cannot be imported: {str(fault).splitlines()[0]}") from fault
    return open_clip


_declared: list[torch.library.Library] = []
"""What was declared is forgotten with its library."""


def _declare_operators() -> None:
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("torchvision", "open_clip")]:
        del sys.modules[name]
