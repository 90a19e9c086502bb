"""The sRGB curve, as the standard has it."""

from __future__ import annotations

import torch

from cyclerdm_cli.tasks.light import to_linear, to_srgb


def test_the_transfer_curve_has_an_inverse() -> None:
    values = torch.linspace(0, 1, 256)
    torch.testing.assert_close(to_srgb(to_linear(values)), values, atol=1e-6, rtol=0)
    assert abs(float(to_linear(torch.tensor(0.5))) - 0.21404) < 1e-4
