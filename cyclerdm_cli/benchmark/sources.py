"""From what was asked for to test sets: folders, sets by name, the built-in one; or where to get what is absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cyclerdm_cli.benchmark.datasets import Dataset, find_dataset
from cyclerdm_cli.benchmark.pairing import Pair, Pairing, pair_folders, pair_layout
from cyclerdm_cli.benchmark.testsets import Case, FileCase, MaskedCase, NoisyCase, TestSet, few
from cyclerdm_cli.errors import DataError


def folder_set(lq: Path, gt: Path | None, task: str, name: str = "") -> TestSet:
    """Return the set of two folders, paired by file name without extension; one alone has no reference.

    Raises:
        DataError: a folder is missing, or nothing in them pairs.
    """
    for option, folder in (("--lq", lq), ("--gt", gt)):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{option} {folder}: no such folder")
    pairing = pair_folders(lq, gt)
    if not pairing.pairs:
        hint = "files pair by name, without extension" if gt else ""
        raise DataError(f"{lq}: no picture here" + (f" has a partner in {gt}" if gt else ""), hint)
    return TestSet(
        name or folder_name(lq),
        task,
        [FileCase(pair) for pair in pairing.pairs],
        measured="rgb" if gt else "none",
        complaints=_complaints(pairing, both=True),
    )


def folder_name(lq: Path) -> str:
    """Return what a set is called: its folder, or the one above where that is just called lq or input."""
    path = lq.resolve()
    return path.parent.name if path.name.lower() in ("lq", "input", "low", "noisy", "blur") else path.name


def named_sets(name: str, root: Path) -> list[TestSet]:
    """Return a set of the field by name, one for each noise level where noise is added here.

    Args:
        name: of `datasets.toml`; Kodak24-s25 takes one noise level.
        root: the folder of all sets; this one lies in a folder of its name in it.

    Raises:
        UsageError: no such set. DataError: it is not there; says where to get it and which folders to make.
    """
    wanted = find_dataset(name)
    dataset = wanted.dataset
    found = pair_layout(root / dataset.name, dataset.all_layouts)
    if found is None:
        raise absent(dataset, root)
    pairing, _ = found
    base = TestSet(
        dataset.name, dataset.task, [_case(pair) for pair in pairing.pairs], dataset.measured, dataset.crop,
        _note(dataset, len(pairing.pairs)), _complaints(pairing, both=False), dataset,
    )  # fmt: skip
    return [_noisy_set(base, pairing.pairs, sigma) for sigma in wanted.noise] if dataset.noise else [base]


def _noisy_set(base: TestSet, pairs: Sequence[Pair], sigma: int) -> TestSet:
    in_order = sorted(pairs, key=lambda pair: pair.name)  # the definition counts names in plain order
    noise = (
        "noise made here: picture i of the sorted names gets"
        f" round(clip(gt + default_rng(i).standard_normal((H, W, 3)) * {sigma})) in 0..255"
    )
    return replace(
        base,
        name=f"{base.name}-s{sigma}",
        cases=[NoisyCase(pair, index, sigma) for index, pair in enumerate(in_order)],
        note="; ".join(filter(None, (noise, base.note))),
    )


def _case(pair: Pair) -> Case:
    return MaskedCase(pair) if pair.mask is not None else FileCase(pair)


def _note(dataset: Dataset, found: int) -> str:
    part = f"{found} pictures, not the {dataset.images} of the published test"
    notes = [dataset.note, part if dataset.images not in (0, found) else ""]
    return "; ".join(note for note in notes if note)


def _complaints(pairing: Pairing, both: bool) -> tuple[str, ...]:
    lines = few([f"{_short(path)}: has no partner, left out" for path in pairing.unpaired])
    if both:
        lines += few(
            [f"{_short(path)}: no degraded picture goes with it, left out" for path in pairing.unused]
        )
    return tuple(lines)


def _short(path: Path) -> str:
    """Return a file with its folder's name alone: reports are shown to others."""
    return f"{path.parent.name}/{path.name}"


def absent(dataset: Dataset, root: Path) -> DataError:
    """Return the fault that says where to get a set and which folders to make."""
    folder = root / dataset.name
    ways = [
        " and ".join(f"{folder / inner}/" if inner else f"{folder}/" for inner in layout.folders)
        for layout in (dataset.layouts[0], dataset.all_layouts[-1])
    ]
    archive = dataset.archive
    where = f"{archive.url} or {dataset.home}" if archive and not archive.dead else dataset.home
    return DataError(
        f"{dataset.name}: not in {root}",
        hint=f"get it from {where}, licence: {dataset.licence}; put the pictures into"
        f" {' or, as plain pairs of equal names, into '.join(dict.fromkeys(ways))}; --data-root is another place",
    )
