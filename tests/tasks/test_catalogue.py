"""Tasks are data: each has words and a degradation; a wrong name is answered with the nearest."""

from __future__ import annotations

import pytest
import torch

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.tasks.catalogue import TASKS, find_task
from cyclerdm_cli.tasks.degradation import degradation_of


def test_the_eleven_tasks_stand_under_their_commands() -> None:
    restore = {task.name for task in TASKS if task.command == "restore"}
    enhance = {task.name for task in TASKS if task.command == "enhance"}
    assert restore == {"denoise", "deblur", "dehaze", "derain", "raindrop", "desnow", "inpaint", "dejpeg"}
    assert enhance == {"low-light", "underwater", "backlight"}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_task_has_a_degradation_that_keeps_the_form(task) -> None:  # type: ignore[no-untyped-def]
    clean = torch.rand((2, 3, 40, 72), generator=torch.Generator().manual_seed(1))
    degrade = degradation_of(task)
    severity = torch.tensor([0.2, 0.9])
    damaged = degrade(clean, severity, torch.Generator().manual_seed(5))
    lq = damaged.lq
    again = degrade(clean, severity, torch.Generator().manual_seed(5)).lq
    other = degrade(clean, severity, torch.Generator().manual_seed(6)).lq
    assert lq.shape == clean.shape
    assert lq.dtype == torch.float32
    assert float(lq.min()) >= 0
    assert float(lq.max()) <= 1
    assert (damaged.mask is not None) == task.masked
    assert (damaged.kernel is not None) == task.blur
    assert (damaged.wanted is not None) == (task.name in ("dehaze", "low-light", "underwater"))
    assert torch.equal(lq, again)
    assert not torch.equal(lq, other)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_small_pictures_can_be_degraded_too(task) -> None:  # type: ignore[no-untyped-def]
    clean = torch.rand((1, 3, 8, 9), generator=torch.Generator().manual_seed(2))
    lq = degradation_of(task)(clean, torch.tensor([0.5]), torch.Generator().manual_seed(0)).lq
    assert lq.shape == clean.shape
    assert bool(torch.isfinite(lq).all())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("denoize", "did you mean 'denoise'"),
        ("jpeg", "did you mean 'dejpeg'"),
        ("lowlight", "did you mean 'low-light'"),
        ("zzz", "one of: dejpeg, denoise, derain, desnow"),
    ],
)
def test_a_wrong_name_is_answered_with_help(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_task(name)
