"""What is compared: weights in a setting, or the pictures that another program made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Protocol

from cyclerdm_cli.benchmark.cost import PeakMemory, gmac, machine, parameters
from cyclerdm_cli.benchmark.testsets import Case, Loaded, Pixels, TestSet, read_pixels
from cyclerdm_cli.cycle.cycle import STAGES
from cyclerdm_cli.errors import DataError, PictureError, UsageError
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.reading import read_bytes
from cyclerdm_cli.restoring.device import PRECISIONS, Engine, choose_engine
from cyclerdm_cli.restoring.restorer import RestoreOptions, Restorer
from cyclerdm_cli.weights.loading import load_network
from cyclerdm_cli.weights.registry import Choice as WeightsChoice

WARM_UP_SIDE = 256
DECIMALS = 3


@dataclass(frozen=True)
class Setting:
    """What a candidate is, for the record; what does not apply is absent from `facts`."""

    name: str
    """As in tables; tells it from the others of the run."""
    weights: str
    """Name of the weights, or of the other program."""
    device: str = ""
    precision: str = ""
    facts: dict[str, str | int | float] = field(default_factory=dict)
    """sha256, parameters, gmac, steps, tile, overlap, seed, warm_up_seconds; or folder."""


@dataclass(frozen=True)
class Restored:
    """One result, with what it cost where that could be measured."""

    pixels: Pixels
    seconds: float | None = None
    memory: dict[str, float] = field(default_factory=dict)
    """Peak in MiB, by place."""


class Candidate(Protocol):
    """One column of the comparison."""

    setting: Setting

    def identity(self, testset: TestSet, case: Case) -> str:
        """Return what decides the pixels of a result, beside those of the case."""
        ...

    def restore(self, testset: TestSet, case: Case, loaded: Loaded) -> Restored:
        """Restore one case. Raises PictureError where that fails for this picture alone."""
        ...


class NetworkCandidate:
    """Weights at work on a device."""

    def __init__(self, name: str, weights: str, path: Path, engine: Engine, options: RestoreOptions) -> None:
        network, header = load_network(path)
        self.tasks = header.tasks
        self.device = engine.device
        self._restorer = Restorer(network, engine, options)
        self._memory = PeakMemory(engine.device)
        self._warm = False
        precision = next(word for word, dtype in PRECISIONS.items() if dtype == engine.precision)
        facts: dict[str, str | int | float] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "parameters": parameters(network),
            "gmac": round(gmac(network, header.tasks[0], options.steps, options.stages), DECIMALS),
        }
        chosen = {
            "steps": options.steps or None,
            "stages": options.stages if options.stages < STAGES else None,
            "tile": options.tile,
            "overlap": options.overlap,
            "seed": options.seed,
        }
        facts.update({name: value for name, value in chosen.items() if value is not None})
        self.setting = Setting(name, weights, str(engine.device), precision, facts)

    def machine(self) -> dict[str, str | int]:
        """Return what the numbers are measured on."""
        return machine(self.device)

    def identity(self, testset: TestSet, case: Case) -> str:
        """Name weights and settings."""
        setting, keep = self.setting, ("sha256", "steps", "stages", "tile", "overlap", "seed")
        return " ".join(
            [setting.device, setting.precision, *(f"{key}={setting.facts.get(key)}" for key in keep)]
        )

    def restore(self, testset: TestSet, case: Case, loaded: Loaded) -> Restored:
        """Restore one case; what the first one costs more than the others is measured apart."""
        if not self._warm:
            self.setting.facts["warm_up_seconds"] = round(
                self._timed(testset.task, _corner(loaded))[1], DECIMALS
            )
            self._warm = True
        self._memory.start()
        pixels, seconds = self._timed(testset.task, loaded)
        return Restored(pixels, seconds, self._memory.read())

    def _timed(self, task: str, loaded: Loaded) -> tuple[Pixels, float]:
        began = time.perf_counter()
        pixels = self._restorer.restore(
            loaded.lq, task, loaded.mask
        )  # back on the CPU: nothing is left to wait for
        return pixels, time.perf_counter() - began


def _corner(loaded: Loaded) -> Loaded:
    """Return a small part of a case, to warm up on."""
    mask = None if loaded.mask is None else loaded.mask[:WARM_UP_SIDE, :WARM_UP_SIDE]
    return Loaded(loaded.lq[:WARM_UP_SIDE, :WARM_UP_SIDE], mask=mask)


class FolderCandidate:
    """Results of another program, found by the cases' names."""

    def __init__(self, name: str, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"--outputs {folder}: no such folder")
        self._folder = folder
        self.setting = Setting(name, name, facts={"folder": folder.resolve().name})

    def knows(self, testset: TestSet) -> bool:
        """Tell whether there is a result for any case of a set."""
        return any(self._find(testset, case) for case in testset.cases)

    def identity(self, testset: TestSet, case: Case) -> str:
        """Hash the result itself."""
        path = self._find(testset, case)
        return hashlib.sha256(read_bytes(path)).hexdigest() if path else ""

    def restore(self, testset: TestSet, case: Case, loaded: Loaded) -> Restored:
        """Read the result of one case."""
        path = self._find(testset, case)
        if path is None:
            raise PictureError(f"{self._folder}: has no result for {testset.name}/{case.name}")
        pixels = read_pixels(path)
        if pixels.shape != loaded.lq.shape:
            raise PictureError(
                f"{path}: is {pixels.shape[1]} x {pixels.shape[0]} pixels,"
                f" the input {loaded.lq.shape[1]} x {loaded.lq.shape[0]}"
            )
        return Restored(pixels)

    def folders(self, testset: TestSet) -> set[Path]:
        """Return where results of a set are looked for."""
        return set(self._places(testset))

    def _places(self, testset: TestSet) -> tuple[Path, ...]:
        named = self._folder / testset.name
        return named / testset.task, named, self._folder

    def _find(self, testset: TestSet, case: Case) -> Path | None:
        for folder in self._places(testset):
            for extension in BY_EXTENSION:
                if (path := folder / f"{case.name}{extension}").is_file():
                    return path
        return None


@dataclass(frozen=True)
class Choice:
    """What was asked to be compared: every combination of the lists is one candidate."""

    weights: Sequence[WeightsChoice] = ()
    """Whose files are here and checked."""
    devices: Sequence[str] = ("auto",)
    precisions: Sequence[str] = ("auto",)
    steps: Sequence[int] = (0,)
    stages: Sequence[int] = (STAGES,)
    options: RestoreOptions = field(default_factory=RestoreOptions)
    outputs: Sequence[str] = ()
    """Folders of results, each FOLDER or NAME=FOLDER."""


def networks(choice: Choice) -> list[NetworkCandidate]:
    """Load every combination; its name says what tells it from the others.

    Raises:
        WeightsError, UsageError, DeviceError: as for restoring.
    """
    found = []
    titled = list(zip(_titles(choice.weights), choice.weights, strict=True))
    for (title, weights), device, precision, steps, stages in product(
        titled, choice.devices, choice.precisions, choice.steps, choice.stages
    ):
        path = weights.path
        engine = choose_engine(device, precision, weights.precisions)
        words = [
            title,
            str(engine.device) if len(choice.devices) > 1 else "",
            precision if len(choice.precisions) > 1 else "",
            f"{steps or 'own'} steps" if len(choice.steps) > 1 else "",
            f"{stages} of {STAGES} stages" if len(choice.stages) > 1 else "",
        ]
        options = replace(choice.options, steps=steps, stages=stages)
        found.append(NetworkCandidate(" ".join(filter(None, words)), weights.name, path, engine, options))
    settings = [candidate.setting.name for candidate in found]
    if len(set(settings)) < len(settings):
        raise UsageError("two of the settings to compare are the same: " + ", ".join(settings))
    return found


def _titles(weights: Sequence[WeightsChoice]) -> list[str]:
    """Return short names: files that share theirs have as many of their folders before it as tell them apart."""
    names = [one.name for one in weights]
    titles = [name.removesuffix(".safetensors") for name in names]
    for place, one in enumerate(weights):
        alike = [other.path.resolve() for other in weights if other.name == one.name]
        parts = one.path.resolve().with_suffix("").parts
        for count in range(1, len(parts)):
            titles[place] = "/".join(parts[-count:]) if len(alike) > 1 else titles[place]
            if sum(other.with_suffix("").parts[-count:] == parts[-count:] for other in alike) <= 1:
                break
    return titles


def folders(choice: Choice) -> list[FolderCandidate]:
    """Return the folders of results. Raises DataError for one that is missing."""
    found = []
    for word in choice.outputs:
        name, sign, place = word.partition("=")
        folder = Path(place if sign else word)
        found.append(FolderCandidate(name if sign else folder.resolve().name, folder))
    return found
