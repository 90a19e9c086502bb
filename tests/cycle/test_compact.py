"""The compact network: what each stage is given, which parts a task has, what its configuration may say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import TINY, tiny_network
from torch import Tensor

from cyclerdm_cli.cycle.compact import CompactConfig, CompactFindings, CompactNetwork, CompactStages
from cyclerdm_cli.cycle.cycle import Place, cycle
from cyclerdm_cli.cycle.deconvolution import NUMBER_OF_VARIANTS, deconvolve_variants
from cyclerdm_cli.cycle.light import apply_light
from cyclerdm_cli.cycle.view import view_of_batch
from cyclerdm_cli.errors import WeightsError

LIT = replace(TINY, task="low-light", light=True, brightens=True)
SHARPENED = replace(TINY, task="deblur", deblurs=True)
FILLED = replace(TINY, task="inpaint", fills=True)
KINDS = [TINY, LIT, SHARPENED, FILLED, replace(LIT, task="everything", deblurs=True, fills=True)]


def pictures(count: int = 2, side: int = 64, seed: int = 3) -> Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(seed))


def found_in(network: CompactNetwork, picture: Tensor, steps: int = 0) -> CompactFindings:
    return network.look(view_of_batch(picture), steps)


def bound(
    network: CompactNetwork,
    picture: Tensor,
    findings: CompactFindings | None = None,
    mask: Tensor | None = None,
) -> CompactStages:
    given = found_in(network, picture) if findings is None else findings
    missing = torch.zeros_like(picture[:, :1]) if mask is None else mask
    return network.bind(given, Place.whole(picture), missing, 0, torch.Generator())


def restored(network: CompactNetwork, picture: Tensor, findings: CompactFindings | None = None) -> Tensor:
    return cycle(bound(network, picture, findings), picture).restored


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.task)
def test_before_anything_is_learned_detail_and_bands_stay_as_they_are(config: CompactConfig) -> None:
    torch.manual_seed(0)
    network, picture = CompactNetwork(config).eval().requires_grad_(False), pictures()
    result = cycle(bound(network, picture), picture)
    torch.testing.assert_close(result.normal, result.rough)
    torch.testing.assert_close(result.restored, result.rough, atol=1e-6, rtol=0)


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.task)
def test_a_network_has_the_parts_that_its_task_needs(config: CompactConfig) -> None:
    network, picture = tiny_network(config=config), pictures()
    assert (network.light is not None, network.reader is not None) == (config.light, config.deblurs)
    assert network.fills_holes == config.fills
    findings = found_in(network, picture)
    assert (findings.light is not None, findings.blur is not None) == (config.light, config.deblurs)
    result = restored(network, picture)
    assert result.shape == picture.shape
    assert bool((result - picture).abs().amax((1, 2, 3)).gt(1e-3).all())


def test_the_first_stage_makes_light_of_what_was_found() -> None:
    network, picture = tiny_network(config=LIT), pictures()
    findings = found_in(network, picture)
    assert findings.light is not None
    rough = bound(network, picture).restore(1, picture, picture)
    torch.testing.assert_close(rough, apply_light(picture, findings.light, Place.whole(picture)))


def test_the_description_of_the_whole_steers_the_detail() -> None:
    network, picture = tiny_network(config=LIT), pictures()
    findings = found_in(network, picture)
    assert findings.light is not None
    other = CompactFindings(findings.light._replace(description=findings.light.description + 1))
    made = [bound(network, picture, one).restore(2, picture, picture) for one in (findings, other)]
    assert float((made[0] - made[1]).abs().max()) > 1e-4
    assert network.steering is not None
    network.steering.weight.zero_()
    alike = [bound(network, picture, one).restore(2, picture, picture) for one in (findings, other)]
    assert torch.equal(*alike)


def test_variants_are_handed_on_only_where_the_network_deblurs() -> None:
    network, picture = tiny_network(config=SHARPENED), pictures()
    findings = found_in(network, picture)
    assert findings.blur is not None
    stages = bound(network, picture)
    rough = stages.restore(1, picture, picture)
    variants = deconvolve_variants(picture, findings.blur)
    assert stages.variants is not None
    torch.testing.assert_close(stages.variants, variants)
    expected = variants.view(2, NUMBER_OF_VARIANTS, 3, 64, 64).mean(1).clamp(0, 1)
    torch.testing.assert_close(rough, expected)
    assert float((rough - picture).abs().max()) > 1e-3

    plain = bound(tiny_network(), picture)
    assert torch.equal(plain.restore(1, picture, picture), picture)
    assert plain.variants is None


def test_the_second_stage_sees_the_variants() -> None:
    network, picture = tiny_network(config=SHARPENED), pictures()
    made = []
    for change in (0.0, 0.3):
        stages = bound(network, picture)
        rough = stages.restore(1, picture, picture)
        assert stages.variants is not None
        stages.variants = stages.variants + change
        made.append(stages.restore(2, rough, picture))
    assert float((made[0] - made[1]).abs().max()) > 1e-4


@pytest.mark.parametrize(("config", "sees"), [(TINY, False), (LIT, True), (SHARPENED, True), (FILLED, False)])
def test_the_degraded_picture_is_seen_where_it_differs_from_the_rough_one(
    config: CompactConfig, sees: bool
) -> None:
    assert config.sees_degraded == sees
    network, picture = tiny_network(config=config), pictures()
    made = []
    for degraded in (picture, picture / 2):
        stages = bound(network, picture)
        rough = stages.restore(1, picture, picture)
        made.append(stages.restore(2, rough, degraded))
    assert torch.equal(*made) != sees


def test_holes_are_shown_to_networks_that_fill_them() -> None:
    picture, mask = pictures(), torch.zeros(2, 1, 64, 64)
    mask[:, :, 20:30, 20:40] = 1
    for config, seen in ((FILLED, True), (TINY, False)):
        network = tiny_network(config=config)
        made = [bound(network, picture, mask=one).restore(2, picture, picture) for one in (mask * 0, mask)]
        assert torch.equal(*made) != seen


def test_the_third_stage_is_handed_the_features_of_the_second() -> None:
    network, picture = tiny_network(), pictures()
    stages = bound(network, picture)
    bands = stages.wavelet.split(picture)
    with pytest.raises(AssertionError, match="stage 2 comes before stage 3"):
        stages.calibrate(*bands, *bands)
    stages.restore(2, picture, picture)
    features = stages.features
    assert features is not None
    assert features.shape == (2, TINY.widths[0], 32, 32)
    low, high = stages.calibrate(*bands, *bands)
    stages.features = features + 1
    other_low, other_high = stages.calibrate(*bands, *bands)
    assert (low.shape, high.shape) == (bands[0].shape, bands[1].shape)
    assert float((low - other_low).abs().max()) > 1e-4
    assert float((high - other_high).abs().max()) > 1e-4


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.task)
def test_pictures_of_a_batch_come_out_as_each_alone(config: CompactConfig) -> None:
    network, picture = tiny_network(config=config), pictures()
    alone = torch.cat([restored(network, one[None]) for one in picture])
    torch.testing.assert_close(restored(network, picture), alone, atol=1e-5, rtol=1e-5)


def test_findings_are_joined_and_repeated_as_their_pictures_are() -> None:
    network, picture = tiny_network(config=KINDS[-1]), pictures()
    together = found_in(network, picture)
    parts = [found_in(network, one[None]) for one in picture]
    joined = CompactFindings.join(parts)
    assert joined.light is not None
    assert joined.blur is not None
    assert together.light is not None
    torch.testing.assert_close(joined.light.grid, together.light.grid, atol=1e-5, rtol=1e-4)
    five = joined.expand(5)
    assert five.light is not None
    assert five.blur is not None
    for many, few in zip((*five.light, *five.blur), (*joined.light, *joined.blur), strict=True):
        assert torch.equal(many[:2], few)
        assert torch.equal(many[2:], few[-1:].expand(3, *few.shape[1:]))
    for one, same in zip(joined.to(torch.device("cpu")).blur or (), joined.blur, strict=True):
        assert torch.equal(one, same)
    assert CompactFindings.join([CompactFindings(), CompactFindings()]) == CompactFindings()


def test_more_steps_of_the_first_stage_are_other_findings() -> None:
    network, picture = tiny_network(config=replace(LIT, most_steps=3)), pictures()
    assert network.most_steps == 3
    found = [found_in(network, picture, steps).light for steps in (0, 3, 1)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[2] is not None
    assert torch.equal(found[0].grid, found[1].grid)
    assert not torch.equal(found[1].grid, found[2].grid)


def test_a_network_goes_by_its_configuration() -> None:
    network = tiny_network(config=replace(TINY, stages=2, most_steps=4))
    assert (network.stages_by_default, network.most_steps, network.draws_noise) == (2, 4, False)


@pytest.mark.parametrize(
    ("widths", "calibration_widths", "multiple"),
    [((4, 4), (4, 4), 4), ((4, 4, 4), (4, 4), 8), ((4, 4), (4, 4, 4, 4), 16), ((4,) * 4, (4, 4), 16)],
)
def test_sides_are_multiples_of_the_coarsest_grid(
    widths: tuple[int, ...], calibration_widths: tuple[int, ...], multiple: int
) -> None:
    rows = [
        (len(row) * (0,), (len(row) - 1) * (0,))
        for row in (widths, calibration_widths)
    ]  # fmt: skip
    config = replace(
        TINY, widths=widths, down_blocks=rows[0][0], up_blocks=rows[0][1], calibration_widths=calibration_widths,
        calibration_down_blocks=rows[1][0], calibration_up_blocks=rows[1][1],
    )  # fmt: skip
    network = tiny_network(config=config)
    assert network.multiple == config.multiple == multiple
    picture = pictures(1, side=3 * multiple)
    assert restored(network, picture).shape == picture.shape
    with pytest.raises(RuntimeError):
        restored(network, pictures(1, side=3 * multiple - multiple // 2))


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.task)
def test_a_configuration_comes_back_from_json(config: CompactConfig) -> None:
    assert CompactConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_what_json_leaves_out_keeps_its_default() -> None:
    assert CompactConfig.from_json({"task": "derain"}) == CompactConfig(task="derain")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"task": ""}, "do not fit together"),
        ({"widths": [8]}, "do not fit together"),
        ({"widths": [8, 8]}, "do not fit together"),
        ({"down_blocks": [1, 1]}, "do not fit together"),
        ({"up_blocks": [1, 1, 1]}, "do not fit together"),
        ({"calibration_up_blocks": []}, "do not fit together"),
        ({"light_widths": [8, 8, 8]}, "do not fit together"),
        ({"widths": [8, 8, 2000]}, "out of range"),
        ({"light_widths": [8, 8, 8, -1]}, "light_widths[3] is -1"),
        ({"up_blocks": [1, -1]}, "up_blocks[1] is -1"),
        ({"most_steps": 0}, "out of range"),
        ({"most_steps": 17}, "out of range"),
        ({"tone_tasks": [], "condition": 128}, "unknown configuration condition, tone_tasks"),
    ],
)
def test_a_configuration_that_makes_no_network_is_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(WeightsError, match=re.escape(reason)):
        CompactConfig.from_json({**TINY.to_json(), **changed})


def test_a_configuration_without_a_task_is_refused() -> None:
    values = TINY.to_json()
    del values["task"]
    with pytest.raises(WeightsError, match="names no task"):
        CompactConfig.from_json(values)
