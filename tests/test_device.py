"""Which precision is chosen, and which is refused."""

from __future__ import annotations

import pytest
import torch

from cyclerdm_cli import device
from cyclerdm_cli.device import choose_engine
from cyclerdm_cli.errors import UsageError


def test_a_precision_that_the_weights_are_not_for_is_refused() -> None:
    assert choose_engine("cpu", "bf16", ("fp32", "bf16")).precision == torch.bfloat16
    with pytest.raises(UsageError, match="fp16: not with these weights"):
        choose_engine("cpu", "fp16", ("fp32", "bf16"))


@pytest.mark.parametrize(
    ("fast", "good", "chosen"),
    [
        (True, ("fp32", "bf16"), torch.bfloat16),
        (True, ("fp32",), torch.float32),
        (False, ("fp32", "bf16"), torch.float32),
    ],
)
def test_auto_takes_the_fastest_of_the_good_ones(
    monkeypatch: pytest.MonkeyPatch, fast: bool, good: tuple[str, ...], chosen: torch.dtype
) -> None:
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: fast)
    assert choose_engine("cpu", "auto", good).precision == chosen
