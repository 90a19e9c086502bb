"""Registries are checked key by key; the user's own adds to the package's and goes before it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from cyclerdm_cli.errors import WeightsError
from cyclerdm_cli.weights import ensuring, entry, places, registry
from cyclerdm_cli.weights.address import is_allowed, judged
from cyclerdm_cli.weights.entry import Entry, read_entry
from cyclerdm_cli.weights.publishing import as_toml, describe

SHA256 = "0123456789abcdef" * 4
GOOD = {
    "tasks": ["denoise"],
    "architecture": "compact",
    "licence": "CC0-1.0",
    "training_data": "none",
    "file": "one.safetensors",
    "bytes": 3,
    "sha256": SHA256,
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the place of the user's registry; nothing of this machine's is read."""
    monkeypatch.setenv("CYCLERDM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CYCLERDM_WEIGHTS", str(tmp_path / "own.toml"))
    monkeypatch.delenv("CYCLERDM_MIRROR", raising=False)
    return tmp_path / "own.toml"


def toml(**changes: str) -> str:
    lines = {key: repr(value) for key, value in GOOD.items()} | changes
    return "[weights.one]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items() if value)


def test_every_key_of_an_entry_is_read() -> None:
    assert set(entry.READERS) == {field.name for field in fields(Entry)} - {"name"}


def test_the_users_entries_are_added_and_go_before_the_packages(own: Path) -> None:
    shipped = registry.read_toml(registry.PACKAGE.parent / "weights.toml")["weights"]
    own.write_text(f"default = 'one'\n{toml()}\n{toml(bytes='4').replace('one]', 'paper]')}")
    read = registry.read_registry()
    assert set(read.entries) == {*shipped, "one"}
    assert read.default == "one"
    assert (read.entries["paper"].manual, read.entries["paper"].bytes) == ("", 4)
    assert registry.place_of(read.entries["one"]) == places.weights_folder() / "one.safetensors"
    assert [found.name for found in read.knowing("denoise")] == ["compact-denoise", "paper", "one"]


def test_a_registry_in_the_configuration_folder_is_read(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CYCLERDM_WEIGHTS")
    monkeypatch.setattr(places.platformdirs, "user_config_path", lambda *_, **__: tmp_path)
    assert "one" not in registry.read_registry().entries
    (tmp_path / "weights.toml").write_text(toml())
    assert "one" in registry.read_registry().entries


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": "'denoise'"}, "tasks is wrong: a list of texts"),
        ({"tasks": "[]"}, "tasks is wrong: a list of texts"),
        ({"tasks": "['a', 'a']"}, "tasks is wrong: something is named twice"),
        ({"bytes": "true"}, "bytes is wrong: a whole number above 0"),
        ({"bytes": "0"}, "bytes is wrong: a whole number above 0"),
        ({"sha256": "'abc'"}, "sha256 is wrong: 64 hexadecimal digits"),
        ({"licence": "''"}, "licence is wrong: a text"),
        ({"licence": ""}, "licence is missing"),
        ({"sha256": ""}, "sha256 is missing"),
        ({"file": "'../x.safetensors'"}, "file is wrong"),
        ({"file": "'/etc/x.safetensors'"}, "file is wrong"),
        ({"file": "'C:x.safetensors'"}, "file is wrong"),
        ({"file": "'x.pth'"}, "file is wrong: a name that ends in .safetensors"),
        ({"date": "'yesterday'"}, "date is wrong: a date such as 2026-11-23"),
        ({"addresses": "['http://example.org/x']"}, "addresses is wrong: 'http://example.org/x'"),
        ({"addresses": "['ftp://example.org/x']"}, "addresses is wrong"),
        ({"in_package": "1"}, "in_package is wrong"),
        ({"colour": "3"}, "colour is no key of an entry"),
        ({"needs": "{ multiple = 0 }"}, "needs is wrong: multiple is wrong: a whole number above 0"),
        ({"needs": "{ precisions = ['fp8'] }"}, "needs is wrong: precisions is wrong: 'fp8'"),
    ],
)
def test_a_wrong_key_is_named_with_its_entry_and_file(own: Path, changes: dict[str, str], said: str) -> None:
    own.write_text(toml(**changes))
    with pytest.raises(WeightsError) as fault:
        registry.read_registry()
    assert f"{own}: [weights.one] {said}" in str(fault.value)
    assert fault.value.exit_status == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default = 'none'", "default names 'none'"),
        ("default = [", "own.toml: "),
        ("weights = 3", "weights is no table"),
        ("[weights]\none = 3", r"\[weights.one\] a table is wanted"),
        ("colour = 3", "colour is no key here"),
        (toml().replace("one]", "all]"), "the name is wrong"),
    ],
)
def test_what_else_is_malformed_is_named(own: Path, text: str, said: str) -> None:
    own.write_text(text)
    with pytest.raises(WeightsError, match=said):
        registry.read_registry()


def test_a_registry_that_is_not_there_is_said(own: Path) -> None:
    with pytest.raises(WeightsError, match=r"CYCLERDM_WEIGHTS: .*own\.toml is no file"):
        registry.read_registry()


def test_a_file_to_be_put_by_hand_is_asked_for_with_place_and_sha256(own: Path) -> None:
    own.write_text(toml())
    with pytest.raises(WeightsError) as fault:
        ensuring.locate("one")
    assert f"{places.weights_folder() / 'one.safetensors'}: missing" in str(fault.value)
    assert SHA256 in str(fault.value)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://example.org/x", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost/x", True),
        ("http://[::1]:80/x", True),
        ("http://example.org/x", False),
        ("http://127.0.0.1.example.org/x", False),
        ("http://localhost@example.org/x", False),
        ("file:///x", False),
        ("https:///x", False),
        ("http://[bad/x", False),
        ("x", False),
        ("http://evil.test\\@127.0.0.1/x", False),
        ("https://evil.test\\@example.org/x", False),
        ("http://127.0.0.1\t.evil.test/x", False),
        (" http://evil.test@127.0.0.1/x", False),
        ("http://evil.test#@127.0.0.1/x", False),
        ("http://evil.test?@127.0.0.1/x", False),
        ("http://127.0.0.1@evil.test/x", False),
        ("http://evil.test%00@127.0.0.1@evil.test/x", False),
        ("http://127.٠.0.1/x", False),
        ("http://127.0.0.1:80:80/x", False),
        ("https://exämple.org/x", False),
        ("https://example.org:99999999/x", False),
    ],
)
def test_https_alone_is_asked_except_on_this_machine(address: str, allowed: bool) -> None:
    assert is_allowed(address) is allowed


def test_an_entry_survives_being_written(tiny_weights: Path) -> None:
    made = describe(tiny_weights, "tiny", source="here", addresses=("{mirror}/x", "https://example.org/x"))
    table = registry.tomllib.loads(as_toml(made))["weights"]["tiny"]
    assert read_entry("tiny", table) == made
    assert read_entry("tiny", table, "https://base/").addresses[0] == "https://base/x"


@pytest.mark.parametrize("value", ["", "0", "no", "False"])
def test_offline_can_be_switched_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLERDM_OFFLINE", value)
    assert not places.is_offline()
    monkeypatch.setenv("CYCLERDM_OFFLINE", "1")
    assert places.is_offline()


@pytest.mark.parametrize(
    ("address", "rebuilt"),
    [
        ("HTTPS://Example.org", "https://example.org"),
        ("https://u:p%40@example.org:443/a?b=c&d#e", "https://u:p%40@example.org:443/a?b=c&d"),
        ("https://example.org/ä b\\c?d e", "https://example.org/%C3%A4%20b%5Cc?d%20e"),
        ("https://example.org/a%20b/~c", "https://example.org/a%20b/~c"),
    ],
)
def test_what_is_asked_is_put_together_from_what_was_judged(address: str, rebuilt: str) -> None:
    assert judged(address) == rebuilt
    assert judged(rebuilt) == rebuilt
    asked = requests.Session().prepare_request(requests.Request("GET", rebuilt)).url
    assert asked is not None
    assert urlsplit(asked).hostname == urlsplit(rebuilt).hostname == "example.org"


def test_a_registry_cannot_change_the_host_of_the_mirror() -> None:
    table = {"tasks": ["derain"], "architecture": "compact", "licence": "l", "training_data": "d"}
    table |= {"file": "x.safetensors", "bytes": 1, "sha256": "0" * 64}  # type: ignore[dict-item]
    for address in ("{mirror}.evil.test/x", "{mirror}@evil.test/x", "{mirror}:80@evil.test/x"):
        with pytest.raises(WeightsError, match="a slash is wanted behind"):
            read_entry("x", table | {"addresses": [address]})
