"""The CLIP prompt loss: how much a result still looks like its damage to an open_clip model.

For each task a pair of prompts is learned first, one for damaged pictures and one for clean ones, as vectors in
the place of words (CoOp: Zhou et al., IJCV 2022; CLIP-LIT: Liang et al., ICCV 2023). Then they are frozen, and the
loss is the probability of the damaged one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclerdm_cli.errors import UsageError, WeightsError
from cyclerdm_cli.training.configuration import TrainingConfig
from cyclerdm_cli.training.data import BatchSource
from cyclerdm_cli.training.openclip import import_open_clip

WORDS = 8
"""Learned vectors in each prompt."""
SHARPNESS = 20.0
"""What cosines are multiplied with before the softmax; CLIP's own 100 leaves no gradient once it is sure."""


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
        raise WeightsError(f"{weights}: no such weights for {name}", hint="the prompt loss is off by default")
    try:
        model: nn.Module = open_clip.create_model(name, pretrained=weights, device=device)
    except Exception as fault:
        raise WeightsError(f"clip {wanted}: cannot be loaded: {str(fault).splitlines()[0]}") from fault
    return model.eval().requires_grad_(False)


class Prompts(nn.Module):
    """Pairs of learned prompts, and the model that reads them."""

    def __init__(self, model: nn.Module, name: str, tasks: int) -> None:
        super().__init__()
        self.model: Any = model
        device = next(model.parameters()).device
        self.embedding: nn.Embedding = getattr(model, "token_embedding", None) or model.text.token_embedding  # type: ignore[union-attr,assignment]
        self.tokens: Tensor = import_open_clip().get_tokenizer(name)([" ".join(["x"] * WORDS)]).to(device)
        width = self.embedding.weight.shape[1]
        self.vectors = nn.Parameter(0.02 * torch.randn(tasks, 2, WORDS, width, device=device))

    def sentences(self) -> Tensor:
        """Return the prompts' embeddings, (K, 2, D) of length 1: for damaged pictures, for clean ones."""
        vectors = self.vectors.flatten(0, 1)

        def put_in(module: nn.Module, given: Any, embedded: Tensor) -> Tensor:
            words = vectors.to(embedded.dtype)
            return torch.cat([embedded[:, :1], words, embedded[:, 1 + WORDS :]], 1)

        handle = self.embedding.register_forward_hook(put_in)
        try:
            encoded = self.model.encode_text(self.tokens.expand(len(vectors), -1))
        finally:
            handle.remove()
        return F.normalize(encoded.float(), dim=-1).view(*self.vectors.shape[:2], -1)

    def pictures(self, pictures: Tensor) -> Tensor:
        """Return the embeddings of pictures, (B, 3, H, W) in [0, 1]: (B, D) of length 1."""
        size = self.model.visual.image_size
        size = (size, size) if isinstance(size, int) else tuple(size)
        mean = torch.tensor(self.model.visual.image_mean or (0.5,) * 3, device=pictures.device).view(3, 1, 1)
        std = torch.tensor(self.model.visual.image_std or (0.5,) * 3, device=pictures.device).view(3, 1, 1)
        shrunk = F.interpolate(pictures.float(), size, mode="bilinear", align_corners=False, antialias=True)
        return F.normalize(self.model.encode_image((shrunk - mean) / std).float(), dim=-1)

    def logits(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Return how well each picture fits each task's pair, (B, K, 2)."""
        return SHARPNESS * torch.einsum("bd,kpd->bkp", self.pictures(pictures), sentences)


@dataclass(frozen=True)
class PromptLoss:
    """The probability that a picture is damaged, by the prompts of its own tasks."""

    prompts: Prompts
    sentences: Tensor
    """(K, 2, D), frozen."""

    def __call__(self, pictures: Tensor, mixture: Tensor) -> Tensor:
        """Return the mean over pictures, (B, 3, H, W) in [0, 1], of tasks mixed as (G, K) says; G divides B."""
        damaged = self.prompts.logits(pictures, self.sentences).softmax(-1)[..., 0]
        return (mixture.repeat_interleave(len(pictures) // len(mixture), 0) * damaged).sum(1).mean()


def learn_prompts(
    model: nn.Module, name: str, source: BatchSource, config: TrainingConfig
) -> tuple[Prompts, float]:
    """Learn the pairs of prompts on the batches of a run.

    Returns:
        The prompts, frozen, and the share of pictures that they told right in the last fifth of the iterations.
    """
    torch.manual_seed(config.seed)
    prompts = Prompts(model, name, len(source.table))
    optimizer = torch.optim.Adam([prompts.vectors], lr=5e-3)
    right: list[float] = []
    for iteration in range(config.prompt_iterations):
        batch = source.draw(iteration, 1.0)
        both = torch.cat([batch.degraded, batch.clean])
        mixture = batch.mixture.repeat_interleave(len(batch.clean) // len(batch.mixture), 0).repeat(2, 1)
        truth = torch.arange(2, device=both.device).repeat_interleave(len(batch.clean))
        logits = prompts.logits(both, prompts.sentences())
        own = (mixture[..., None] * logits).sum(1)  # (2B, 2)
        loss = F.cross_entropy(own, truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        right.append(float((own.argmax(1) == truth).float().mean()))
    last = right[-max(len(right) // 5, 1) :]
    return prompts.requires_grad_(False), sum(last) / len(last)


def prompt_loss(config: TrainingConfig, source: BatchSource, folder: Path) -> tuple[PromptLoss | None, float]:
    """Return the loss that a recipe asks for, or None, and how well its prompts tell damage from none.

    The prompts are kept in `folder/prompts.pt`, so that a resumed run has the same ones.

    Raises:
        UsageError, WeightsError: as `load_clip`; or the recipe gives a weight but no model.
    """
    if not config.weights.prompts:
        return None, 0.0
    if not config.clip:
        raise UsageError("weights.prompts needs a model", hint="--clip ViT-B-32:/path/to/weights.pt")
    model = load_clip(config.clip, source.device)
    name = Path(config.clip.rpartition(":")[0]).name.removesuffix(".json")
    kept = folder / "prompts.pt"
    if kept.is_file():
        prompts = Prompts(model, name, len(source.table))
        state = torch.load(kept, map_location=source.device, weights_only=True)
        if state["vectors"].shape == prompts.vectors.shape:
            prompts.vectors.data = state["vectors"]
            prompts.requires_grad_(False)
            return PromptLoss(prompts, prompts.sentences()), float(state["right"])
    prompts, right = learn_prompts(model, name, source, config)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"vectors": prompts.vectors.data, "right": right}, kept)
    with torch.no_grad():
        return PromptLoss(prompts, prompts.sentences()), right
