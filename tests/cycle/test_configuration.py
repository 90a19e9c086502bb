"""What files say of a dataclass's fields is checked once, and what is wrong is named."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from cyclerdm_cli.cycle.configuration import Range, built, check_fields, configuration_from_json
from cyclerdm_cli.cycle.paper import PaperConfig
from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights.file import read_all, read_header, write_weights
from cyclerdm_cli.weights.loading import load_network


@dataclass(frozen=True)
class Inner:
    name: str
    sizes: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Outer:
    word: Literal["a", "b"]
    whole: int = 1
    share: float = 0.5
    yes: bool = True
    maybe: float | None = None
    pair: tuple[int, str] = (1, "x")
    names: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    inner: tuple[Inner, ...] = ()
    free: Any = None


RANGES = {"whole": Range(1, 8), "share": Range(0, 1), "sizes": Range(1, 4, entries=(1, 2))}


def test_lists_become_what_the_fields_hold() -> None:
    text = json.dumps(
        {
            "word": "a", "whole": 3, "share": 1, "maybe": 0.25, "pair": [2, "y"], "names": ["n"],
            "scores": {"psnr": 30}, "inner": [{"name": "i", "sizes": [2, 3]}], "free": [1, {}],
        }
    )  # fmt: skip
    assert built(Outer, json.loads(text), RANGES) == Outer(
        "a", 3, 1, True, 0.25, (2, "y"), ["n"], {"psnr": 30}, (Inner("i", (2, 3)),), [1, {}]
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], r"Outer is \[\], not a table"),
        ({}, "word is missing"),
        ({"word": "c"}, "word is 'c', not 'a' or 'b'"),
        ({"word": ["a"]}, "word is a list, not 'a' or 'b'"),
        ({"other": 1}, "unknown configuration other; known: word, whole"),
        ({"whole": 9}, "whole is 9, not a whole number from 1 to 8"),
        ({"whole": 10_000_000}, "whole is 10000000, not a whole number from 1 to 8"),
        ({"whole": True}, "whole is True, not a whole number"),
        ({"whole": 2.0}, "whole is 2.0, not a whole number"),
        ({"whole": "2"}, "whole is '2', not a whole number"),
        ({"share": math.nan}, "share is nan, not a number from 0 to 1"),
        ({"share": math.inf}, "share is inf"),
        ({"yes": 1}, "yes is 1, not true or false"),
        ({"maybe": {}}, r"maybe is \{\}, not a number"),
        ({"pair": [1]}, "pair has 1 entries, not 2"),
        ({"pair": ["x", 1]}, r"pair\[0\] is 'x', not a whole number"),
        ({"names": "abc"}, "names is 'abc', not a list"),
        ({"names": [1]}, r"names\[0\] is 1, not a text"),
        ({"names": ["\ud800"]}, r"names\[0\] is .*, not a text that can be written"),
        ({"scores": {"psnr": "x"}}, r"scores\.psnr is 'x', not a number"),
        ({"scores": {1: 1.0}}, "a key of scores is 1, not a text"),
        ({"scores": True}, "scores is True, not a table"),
        ({"inner": {}}, r"inner is \{\}, not a list"),
        ({"inner": [None]}, r"inner\[0\]: Inner is None, not a table"),
        ({"inner": [{"name": "i", "sizes": []}]}, r"inner\[0\]: sizes has 0 entries, not 1 to 2"),
        ({"inner": [{"name": "i", "sizes": [5]}]}, r"inner\[0\]: sizes\[0\] is 5, not a whole number from 1 to 4"),
        ({"whole": "x" * 1000}, r"whole is 'x{39}\.\.\., not"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_may_be(values: Any, said: str) -> None:
    if isinstance(values, dict) and values and "word" not in values:
        values = {"word": "a", **values}
    with pytest.raises(ValueError, match=said):
        built(Outer, values, RANGES)


def test_further_keys_may_be_let_pass_and_built_ones_checked() -> None:
    assert built(Inner, {"name": "x", "new": 1}, others=True) == Inner("x")
    check_fields(Inner("x"), RANGES)
    with pytest.raises(ValueError, match="sizes has 3 entries"):
        check_fields(Inner("x", (1, 2, 3)), RANGES)


def test_infinity_and_large_numbers_pass_where_nothing_forbids_them() -> None:
    assert built(Outer, {"word": "a", "share": math.inf, "whole": 2**40}).share == math.inf
    with pytest.raises(ValueError, match="share is nan"):
        built(Outer, {"word": "a", "share": math.nan})
    with pytest.raises(ValueError, match="whole is 1000"):
        built(Outer, {"word": "a", "whole": 10**100})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"blocks": 10_000_000}, "paper network: blocks is 10000000, not a whole number from 1 to 16"),
        ({"channels": 33}, "channels is 33, not a multiple of 32 from 32 to 512"),
        ({"channels": "64"}, "channels is '64'"),
        ({"multipliers": [1] * 9}, "multipliers has 9 entries, not 1 to 8"),
        ({"multipliers": [0]}, r"multipliers\[0\] is 0"),
        ({"attention_level": None}, "attention_level is None"),
        ({"gain_width": math.nan}, "gain_width is nan"),
        ({"widths": [1]}, "unknown configuration widths"),
        (7, "PaperConfig is 7, not a table"),
    ],
)
def test_the_papers_network_has_bounds(values: Any, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        PaperConfig.from_json(values)


def test_the_papers_network_has_bounds_in_code_too() -> None:
    with pytest.raises(WeightsError, match="blocks is 0"):
        PaperConfig(blocks=0)


def test_a_configuration_without_ranges_of_its_own_has_bounds_all_the_same() -> None:
    with pytest.raises(WeightsError, match=r"tiny network: sizes.*from 0 to 4096"):
        configuration_from_json(Inner, {"name": "x", "sizes": [10_000_000]}, "tiny")


@pytest.mark.parametrize(
    ("wavelet", "said"), [("nan", "'nan'"), (math.nan, "wavelet is nan"), ([], "wavelet is")]
)
def test_weights_with_an_impossible_wavelet_are_not_loaded(
    tiny_weights: Path, tmp_path: Path, wavelet: Any, said: str
) -> None:
    header = read_header(tiny_weights)
    write_weights(
        tmp_path / "odd.safetensors", read_all(tiny_weights),
        replace(header, config={**header.config, "wavelet": wavelet}),
    )  # fmt: skip
    with pytest.raises(WeightsError, match=said) as fault:
        load_network(tmp_path / "odd.safetensors")
    assert "odd.safetensors: " in str(fault.value)


@pytest.mark.parametrize("architecture", ["compact", "paper"])
def test_weights_that_ask_for_ten_million_blocks_are_refused_at_once(
    tiny_weights: Path, tmp_path: Path, architecture: str
) -> None:
    header = read_header(tiny_weights)
    numbers = [name for name, value in header.config.items() if type(value) is int]
    config = {"blocks": 10_000_000} if architecture == "paper" else header.config | {numbers[0]: 10_000_000}
    odd = replace(header, architecture=architecture, config=config)
    write_weights(tmp_path / "odd.safetensors", read_all(tiny_weights), odd)
    with pytest.raises(WeightsError, match=r"odd\.safetensors: .*is 10000000, not a whole number"):
        load_network(tmp_path / "odd.safetensors")


def test_a_description_nested_without_end_is_damaged(tiny_weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    deep = '{"tasks": ' + "[" * 100_000 + "]" * 100_000 + "}"
    save_file(read_all(tiny_weights), tmp_path / "odd.safetensors", {"cyclerdm": deep})
    with pytest.raises(WeightsError, match="the description inside is damaged"):
        read_header(tmp_path / "odd.safetensors")
