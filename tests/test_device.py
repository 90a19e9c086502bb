"""Which precision is chosen, and which is refused."""

from __future__ import annotations

import pytest
import torch

from cyclerdm_cli import device, processor_speed
from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.errors import UsageError


def test_a_precision_that_the_weights_are_not_for_is_refused() -> None:
    assert choose_engine("cpu", "bf16", ("fp32", "bf16")).precision == torch.bfloat16
    with pytest.raises(UsageError, match="fp16: not with these weights"):
        choose_engine("cpu", "fp16", ("fp32", "bf16"))


@pytest.mark.parametrize(
    ("seconds", "good", "chosen"),
    [
        ({"fp32": 2, "bf16": 1}, ("fp32", "bf16"), torch.bfloat16),
        ({"fp32": 2, "bf16": 1}, ("fp32",), torch.float32),
        ({"fp32": 2, "bf16": 3}, ("fp32", "bf16"), torch.float32),
        ({"fp32": 2, "bf16": 1.9}, ("fp32", "bf16"), torch.float32),
        ({"fp32": 4, "bf16": 2, "int8": 1}, ("fp32", "bf16"), torch.bfloat16),
        ({"fp32": 4, "bf16": 5, "int8": 1}, ("fp32", "bf16", "int8"), torch.int8),
        ({"fp32": 4, "bf16": 2, "int8": 1.9}, ("fp32", "bf16", "int8"), torch.bfloat16),
    ],
)
def test_auto_takes_the_fastest_of_the_good_ones(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], good: tuple[str, ...], chosen: torch.dtype
) -> None:
    monkeypatch.setattr(processor_speed, "block_seconds", lambda: seconds)
    monkeypatch.setattr(device, "exact_steps", lambda: 127)
    assert choose_engine("cpu", "auto", good).precision == chosen


def test_pictures_of_16_bits_are_computed_in_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor_speed, "block_seconds", lambda: {"fp32": 4, "bf16": 2, "int8": 1})
    monkeypatch.setattr(device, "exact_steps", lambda: 127)
    engine = choose_engine("cpu", "auto", ("fp32", "bf16", "int8"))
    assert (engine.precision_for(1), engine.precision_for(2)) == (torch.int8, torch.bfloat16)
    engine = choose_engine("cpu", "bf16", ("fp32", "bf16"))
    assert engine.precision_for(1) == engine.precision_for(2) == torch.bfloat16


def test_integers_are_refused_where_they_are_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "exact_steps", lambda: None)
    with pytest.raises(UsageError, match="does not convolve integers"):
        choose_engine("cpu", "int8", ("fp32", "int8"))
