"""The optimiser: Muon for the convolutions, AdamW for the first and last layers and all that is no matrix.

Muon orthogonalises the momentum of a matrix before it is applied, so that all its directions are learned equally
fast (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024). Its step has the size of
AdamW's, so that both take the same learning rate (Liu et al., "Muon is Scalable for LLM Training", arXiv
2502.16982, equation 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the polynomial that brings singular values to about 1."""
NEWTON_SCHULZ_STEPS = 5
STEP_SIZE = 0.2
"""Root mean square of AdamW's step, at a learning rate of 1."""
OUTER_LAYERS = ("head", "tail", "reader.first", "reader.last")
"""Layers that see or make pixels: no directions of theirs are alike, so AdamW moves them."""


class Muon(torch.optim.Optimizer):
    """Muon for convolutions, each taken as a matrix of outputs by inputs times kernel."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float,
        precision: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move along the orthogonalised momentum (Nesterov's)."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                ahead = parameter.grad.add(momentum, alpha=group["momentum"])
                direction = orthogonalise(ahead.flatten(1), self.precision)
                size = STEP_SIZE * max(direction.shape) ** 0.5
                parameter.sub_(direction.view(parameter.shape), alpha=group["lr"] * size)


def orthogonalise(matrix: Tensor, precision: torch.dtype = torch.bfloat16) -> Tensor:
    """Return a matrix of the same directions whose singular values are all about 1, by Newton's and Schulz's
    steps, computed in a precision."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.to(precision)
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class PhaseOptimizer:
    """Muon and AdamW together, over the parts of a network that a phase learns."""

    def __init__(
        self,
        network: nn.Module,
        parts: tuple[str, ...],
        momentum: float,
        weight_decay: float,
        precision: torch.dtype = torch.bfloat16,
    ) -> None:
        """Take the parameters whose names begin with one of `parts`; Muon's matrices are of that precision."""
        named = [(name, one) for name, one in network.named_parameters() if name.startswith(parts)]
        self.parameters = [one for _, one in named]
        matrices = [one for name, one in named if is_matrix(name, one)]
        others = [one for name, one in named if not is_matrix(name, one)]
        self.optimizers: list[torch.optim.Optimizer] = []
        if matrices:
            self.optimizers.append(Muon(matrices, 1e-3, momentum, precision))
        if others:
            self.optimizers.append(
                torch.optim.AdamW(others, 1e-3, betas=(0.9, 0.99), weight_decay=weight_decay)
            )

    def step(self, rate: float) -> None:
        """Move along the gradients at a learning rate."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the averages of the gradients, for a checkpoint."""
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Bring back what `state_dict` returned."""
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Tell whether Muon moves a parameter, by its name in the network."""
    return parameter.ndim == 4 and not any(f".{layer}." in f".{name}" for layer in OUTER_LAYERS)
