"""Whoever says how the C library keeps memory is heard."""

from __future__ import annotations

import sys

import pytest

from cyclerdm_cli.heap import OWN_SETTINGS, give_back_large_blocks


@pytest.mark.parametrize("name", OWN_SETTINGS)
def test_ones_own_setting_wins(name: str) -> None:
    assert not give_back_large_blocks({name: ""})


def test_elsewhere_than_on_linux_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not give_back_large_blocks({})
