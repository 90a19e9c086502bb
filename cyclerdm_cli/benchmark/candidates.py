"""What is compared: weights in a setting, or the pictures that another program made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Protocol

from cyclerdm_cli.benchmark.cost import PeakMemory, gmac, machine, parameters
from cyclerdm_cli.benchmark.testsets import Case, Loaded, Pixels, TestSet, read_pixels
from cyclerdm_cli.cycle.cycle import STAGES
from cyclerdm_cli.device import PRECISIONS, Engine, choose_engine
from cyclerdm_cli.errors import DataError, PictureError, UsageError
from cyclerdm_cli.pictures.formats import BY_EXTENSION
from cyclerdm_cli.pictures.reading import read_bytes
from cyclerdm_cli.restoring.planning import RestoreOptions
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.weights.choosing import Choice as WeightsChoice
from cyclerdm_cli.weights.loading import load_network

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
    """sha256, parameters, gmac, steps, stages, effort, tile, overlap, seed, warm_up_seconds; or folder."""


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
        network, _ = load_network(path)
        self.device = engine.device
        self._restorer = Restorer(network, engine, options)
        self._memory = PeakMemory(engine.device)
        self._warm = False
        precision = next(word for word, dtype in PRECISIONS.items() if dtype == engine.precision)
        once = gmac(network, options.steps, options.stages_of(network))
        facts: dict[str, str | int | float] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "parameters": parameters(network),
            "gmac": round(len(options.mirrors) * once, DECIMALS),
        }
        chosen: dict[str, str | int | None] = {
            "steps": options.steps or None,
            "stages": options.stages or None,
            "effort": options.effort if len(options.mirrors) > 1 else None,
            "tile": options.tile,
            "overlap": options.overlap,
            "seed": options.seed,
        }
        facts.update({name: value for name, value in chosen.items() if value is not None})
        self.setting = Setting(name, weights, str(engine.device), precision, facts)

    def identity(self, testset: TestSet, case: Case) -> str:
        """Name weights and settings."""
        setting = self.setting
        keep = "sha256", "steps", "stages", "effort", "tile", "overlap", "seed"
        return " ".join(
            [setting.device, setting.precision, *(f"{key}={setting.facts.get(key)}" for key in keep)]
        )

    def restore(self, testset: TestSet, case: Case, loaded: Loaded) -> Restored:
        """Restore one case; what the first one costs more than the others is measured apart."""
        if not self._warm:
            self.setting.facts["warm_up_seconds"] = round(self._timed(_corner(loaded))[1], DECIMALS)
            self._warm = True
        self._memory.start()
        pixels, seconds = self._timed(loaded)
        return Restored(pixels, seconds, self._memory.read())

    def _timed(self, loaded: Loaded) -> tuple[Pixels, float]:
        began = time.perf_counter()
        pixels = self._restorer.restore(
            loaded.lq, loaded.mask
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


class Contender(Protocol):
    """Weights in one setting, whatever the task."""

    name: str
    """As in tables; tells it from the others of the run."""
    device: str

    def for_task(self, task: str) -> NetworkCandidate:
        """Return them at work on one task."""
        ...

    def machine(self) -> dict[str, str | int]:
        """Return what the numbers are measured on."""
        ...


@dataclass(frozen=True)
class TaskWeights:
    """What a family, an entry or a file has for the tasks that are measured."""

    title: str
    """Of all of it."""
    of: Mapping[str, WeightsChoice]
    """By task; the files are here and checked."""


class NetworkContender:
    """Weights in one setting: each task's own file, one of them loaded at a time."""

    def __init__(
        self, name: str, weights: TaskWeights, device: str, precision: str, options: RestoreOptions
    ) -> None:
        """Raises UsageError, DeviceError where a file does not suit the setting; nothing is loaded yet."""
        self.name, self._weights, self._options = name, weights, options
        self._engines = {
            task: choose_engine(device, precision, choice.precisions) for task, choice in weights.of.items()
        }
        self._engine = next(iter(self._engines.values()))
        self.device = str(self._engine.device)
        self._loaded: tuple[Path, NetworkCandidate] | None = None

    def for_task(self, task: str) -> NetworkCandidate:
        """Return the weights of a task, loaded. Raises WeightsError where the file is damaged."""
        choice = self._weights.of[task]
        if self._loaded is None or self._loaded[0] != choice.path:
            self._loaded = None  # before the next one is loaded: memory is measured
            made = NetworkCandidate(self.name, choice.name, choice.path, self._engines[task], self._options)
            self._loaded = choice.path, made
        return self._loaded[1]

    def machine(self) -> dict[str, str | int]:
        """Return what the numbers are measured on."""
        return machine(self._engine.device)


@dataclass(frozen=True)
class Choice:
    """What was asked to be compared: every combination of the lists is one candidate."""

    weights: Sequence[TaskWeights] = ()
    devices: Sequence[str] = ("auto",)
    precisions: Sequence[str] = ("auto",)
    steps: Sequence[int] = (0,)
    stages: Sequence[int] = (STAGES,)
    efforts: Sequence[str] = ("normal",)
    options: RestoreOptions = field(default_factory=RestoreOptions)
    outputs: Sequence[str] = ()
    """Folders of results, each FOLDER or NAME=FOLDER."""


def networks(choice: Choice) -> list[NetworkContender]:
    """Return every combination; its name says what tells it from the others.

    Raises:
        UsageError, DeviceError: as for restoring.
    """
    found = []
    titled = list(zip(_titles(choice.weights), choice.weights, strict=True))
    for (title, weights), device, precision, steps, stages, effort in product(
        titled, choice.devices, choice.precisions, choice.steps, choice.stages, choice.efforts
    ):
        words = [
            title,
            str(choose_engine(device).device) if len(choice.devices) > 1 else "",
            precision if len(choice.precisions) > 1 else "",
            f"{steps or 'own'} steps" if len(choice.steps) > 1 else "",
            f"{stages} of {STAGES} stages" if len(choice.stages) > 1 else "",
            f"{effort} effort" if len(choice.efforts) > 1 else "",
        ]
        options = replace(choice.options, steps=steps, stages=stages, effort=effort)
        found.append(NetworkContender(" ".join(filter(None, words)), weights, device, precision, options))
    settings = [contender.name for contender in found]
    if len(set(settings)) < len(settings):
        raise UsageError("two of the settings to compare are the same: " + ", ".join(settings))
    return found


def _titles(weights: Sequence[TaskWeights]) -> list[str]:
    """Return short names: files that share theirs have as many of their folders before it as tell them apart."""
    paths = [next(iter(one.of.values())).path.resolve().with_suffix("").parts for one in weights]
    titles = [one.title.removesuffix(".safetensors") for one in weights]
    for place, parts in enumerate(paths):
        alike = [
            other for one, other in zip(weights, paths, strict=True) if one.title == weights[place].title
        ]
        for count in range(1, len(parts) if len(alike) > 1 else 0):
            titles[place] = "/".join(parts[-count:])
            if sum(other[-count:] == parts[-count:] for other in alike) <= 1:
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
