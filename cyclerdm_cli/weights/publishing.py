"""From a file of weights to its entry in a registry."""

from __future__ import annotations

import tomllib
from pathlib import Path

import tomli_w

from cyclerdm_cli.weights.checking import sha256_of
from cyclerdm_cli.weights.entry import Entry, Needs, read_entry
from cyclerdm_cli.weights.loading import load_network


def describe(
    path: Path,
    name: str,
    *,
    source: str = "",
    addresses: tuple[str, ...] = (),
    precisions: tuple[str, ...] = Needs().precisions,
) -> Entry:
    """Return the entry for a file of weights, by what it says of itself.

    Args:
        path: of the file, which must load.
        name: of the entry; the file will be called after it.
        source: who made them, or the page that tells of them.
        addresses: from which the file will be fetched.
        precisions: in which the weights give good results.

    Raises:
        WeightsError: no file of weights, or what it says does not make an entry.
    """
    network, header = load_network(path)
    if header.ranges:
        precisions = (*precisions, "int8")
    entry = Entry(
        name,
        tasks=header.tasks,
        architecture=header.architecture,
        licence=header.licence,
        training_data=header.training_data,
        source=source,
        date=header.created,
        file=f"{name}.safetensors",
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        addresses=addresses,
        config=header.config,
        needs=Needs(network.multiple, 1, precisions),
    )
    return read_entry(
        name, tomllib.loads(as_toml(entry))["weights"][name]
    )  # what is written must be what is read


def as_toml(entry: Entry) -> str:
    """Return an entry as it stands in a registry."""
    return tomli_w.dumps({"weights": {entry.name: entry.to_toml()}})
