"""The two towers of a CLIP, run from the numbers of open_clip's model classes by torch alone.

The file of weights is open_clip's `CLIP` class to the letter, and that is what trains it; but importing the
package takes longer than restoring a picture, and needs a torchvision that fits the torch. So what `restore` needs
is here: a vision transformer (Dosovitskiy et al., ICLR 2021) and a text transformer (Radford et al., ICML 2021),
forward only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Numbers = Mapping[str, Tensor]
"""Tensors by open_clip's names, of the whole model."""


def read_picture(numbers: Numbers, config: Mapping[str, Any], pictures: Tensor) -> Tensor:
    """Embed pictures, or what stands for them.

    Args:
        numbers: of the whole model.
        config: open_clip's `vision_cfg`, with the pool type avg.
        pictures: (B, 3, S, S), normalised as in training.

    Returns:
        (B, D), of any length.
    """
    patches = F.conv2d(pictures, numbers["visual.conv1.weight"], stride=config["patch_size"])
    x = patches.flatten(2).transpose(1, 2)  # (B, patches, C)
    first = numbers["visual.class_embedding"].expand(len(x), 1, -1)
    x = torch.cat([first, x], 1) + numbers["visual.positional_embedding"]
    x = _normalised(x, numbers, "visual.ln_pre")
    heads = config["width"] // config["head_width"]
    x = _transformed(x, numbers, "visual.transformer", config["layers"], heads)
    return _normalised(x, numbers, "visual.ln_post")[:, 1:].mean(1) @ numbers["visual.proj"]


def read_text(numbers: Numbers, config: Mapping[str, Any], tokens: Tensor) -> Tensor:
    """Embed sentences.

    Args:
        numbers: of the whole model.
        config: open_clip's `text_cfg`.
        tokens: (B, context length) int64; the highest number of each row is its end.

    Returns:
        (B, D), of any length.
    """
    x = numbers["token_embedding.weight"][tokens] + numbers["positional_embedding"]
    x = _transformed(x, numbers, "transformer", config["layers"], config["heads"], causal=True)
    ends = _normalised(x, numbers, "ln_final")[torch.arange(len(x)), tokens.argmax(1)]
    return ends @ numbers["text_projection"]


def _transformed(
    x: Tensor, numbers: Numbers, name: str, layers: int, heads: int, *, causal: bool = False
) -> Tensor:
    """Run (B, places, C) through the blocks of a transformer."""
    for block in (f"{name}.resblocks.{layer}" for layer in range(layers)):
        mixed = _linear(_normalised(x, numbers, f"{block}.ln_1"), numbers, f"{block}.attn.in_proj_", "")
        query, key, value = mixed.view(*mixed.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        attended = attended.transpose(1, 2).flatten(2)
        x = x + _linear(attended, numbers, f"{block}.attn.out_proj")
        wide = F.gelu(_linear(_normalised(x, numbers, f"{block}.ln_2"), numbers, f"{block}.mlp.c_fc"))
        x = x + _linear(wide, numbers, f"{block}.mlp.c_proj")
    return x


def _linear(x: Tensor, numbers: Numbers, name: str, dot: str = ".") -> Tensor:
    return F.linear(x, numbers[f"{name}{dot}weight"], numbers[f"{name}{dot}bias"])


def _normalised(x: Tensor, numbers: Numbers, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], numbers[f"{name}.weight"], numbers[f"{name}.bias"])
