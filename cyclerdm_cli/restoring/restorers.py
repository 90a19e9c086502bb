"""A restorer for each task, with that task's own weights.

Torch is imported with the first network that is needed, by `networks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cyclerdm_cli.engine_words import PRECISIONS, EngineWords, choose_words
from cyclerdm_cli.errors import CycleRDMError, PictureError
from cyclerdm_cli.restoring.planning import Cutter, RestoreOptions
from cyclerdm_cli.restoring.room import Room
from cyclerdm_cli.tasks.catalogue import TASKS, Task
from cyclerdm_cli.weights.choosing import Choice
from cyclerdm_cli.weights.entry import Entry
from cyclerdm_cli.weights.shape import shape_of

if TYPE_CHECKING:
    import torch

    from cyclerdm_cli.cycle.cycle import Network
    from cyclerdm_cli.cycle.light import Light
    from cyclerdm_cli.cycle.steady import Seen
    from cyclerdm_cli.restoring.computing import Pixels
    from cyclerdm_cli.restoring.resting import TakesTurns
    from cyclerdm_cli.restoring.restorer import Restorer

FLOAT = 4
"""Bytes of a number in memory."""
GRAINY = frozenset(task.name for task in TASKS if task.grain)
"""The tasks that may leave detail in their pictures."""


def _bring_nothing(entry: Entry) -> None:
    """Leave a file where it is."""


@dataclass(frozen=True)
class Kit:
    """What restorers are made from; no file is opened for it."""

    weights: Mapping[str, Choice]
    """Of each task."""
    options: RestoreOptions = field(default_factory=RestoreOptions)
    """Of all tasks alike."""
    strengths: Mapping[str, float] = field(default_factory=dict)
    """Of single tasks, in place of that of `options`."""
    device: str = "auto"
    precision: str = "auto"
    """In the words of `choose_words`; what is chosen for auto may differ from file to file."""
    bring: Callable[[Entry], None] = _bring_nothing
    """Makes sure that a file of the registry is here and right, before it is opened."""
    networks: Mapping[Path, Network] = field(default_factory=dict)
    """Those that are loaded already, by their files."""

    def engine(self, *, measure: bool = True) -> EngineWords:
        """Return device and precision of the weights that allow most; see `choose_words`."""
        good = {word for choice in self.weights.values() for word in choice.precisions}
        words = [word for word in PRECISIONS if word in good]
        return choose_words(self.device, self.precision, words, measure=measure)

    def engine_for(self, task: str, *, measure: bool = True) -> EngineWords:
        """Return device and precision of one task's weights; see `engine`."""
        return choose_words(self.device, self.precision, self.weights[task].precisions, measure=measure)

    def options_for(self, task: str) -> RestoreOptions:
        """Return the options of one task: its strength, the detail that comes back where that makes sense, and the
        memory that networks given leave to its own."""
        path = self.weights[task].path
        others = sum(_bytes_of(network) for place, network in self.networks.items() if place != path)
        memory = None if self.options.memory is None else max(0, self.options.memory - others)
        detail = self.options.detail if task in GRAINY else 0.0
        return replace(self.options, strength=self.strength_of(task), detail=detail, memory=memory)

    def strength_of(self, task: str) -> float:
        """Return how much of one task's result is kept, 0 to 1."""
        return self.strengths.get(task, self.options.strength)

    def names(self, tasks: Iterable[str]) -> str:
        """Return what the weights of tasks are called, in the tasks' order, each name once."""
        return "+".join(dict.fromkeys(self.weights[task].name for task in tasks))

    def with_shares(self, strength: float, strengths: Mapping[str, float], detail: float) -> Kit:
        """Return a kit of the same weights, of whose results, and of fine detail, so much is kept; each 0 to 1."""
        options = replace(self.options, strength=strength, detail=detail)
        return replace(self, options=options, strengths=strengths)

    def bring_weights(self, choice: Choice) -> None:
        """Make sure that a file is here and right; one of the user's own is taken as it is."""
        if choice.entry is not None:
            self.bring(choice.entry)

    def gathered(self) -> Kit:
        """Return a kit that can go to another machine: all its networks are loaded, on the processor."""
        # Here and below: torch, which takes a second to import, is not needed where nothing is computed.
        from cyclerdm_cli.restoring.networks import load_all

        return replace(self, networks=load_all(self), bring=_bring_nothing)


class Turn:
    """Whose turn it is in memory; see `resting`."""

    def __init__(self) -> None:
        self.holder: TakesTurns | None = None


class Loaded:
    """The networks that are in memory, each loaded once, whoever restores with them."""

    def __init__(self, networks: Mapping[Path, Network] | None = None) -> None:
        """Begin with networks that are loaded already, by their files."""
        self.lock = RLock()
        """Held while a network is looked for or loaded."""
        self.computing = Lock()
        """Held while networks compute: one picture, or one batch of pictures, at a time."""
        self.turn = Turn()
        self.networks = dict(networks or {})
        self.restorers: dict[tuple[Path, RestoreOptions, torch.dtype], Restorer] = {}
        """By file, options without shares but for whether any detail comes back, and precision."""


class Restorers:
    """The restorer of each task, made once, when it is first asked for, whichever thread asks."""

    def __init__(self, kit: Kit, tasks: Sequence[str] = (), loaded: Loaded | None = None) -> None:
        """Get ready; no file is opened yet.

        Args:
            kit: what they are made from.
            tasks: those in use; none: it depends on the pictures.
            loaded: networks to share with other restorers of the same device.

        Raises:
            UsageError, DeviceError: as `Kit.engine`.
        """
        self.kit = kit
        kit.engine(measure=False)
        self._loaded = loaded or Loaded(kit.networks)
        self._by_task: dict[str, Restorer | CycleRDMError] = {}
        self._cutters: dict[str, Cutter] = {}
        self._tasks = tasks
        largest = max(kit.weights, key=lambda task: kit.weights[task].bytes)
        self._reckoned = tasks or [largest]

    def open(self) -> None:
        """Make the restorers of the tasks in use. Raises as `for_task`."""
        for task in self._tasks:
            self.for_task(task)

    @property
    def memory(self) -> int | None:
        """Bytes to stay within."""
        return self.kit.options.memory

    def for_task(self, name: str) -> Restorer:
        """Return the restorer of a task that the kit has weights for.

        Raises:
            WeightsError: its file is missing, cannot be had, or is damaged.
            UsageError, DeviceError: precision, device or memory do not suit it.
        """
        with self._loaded.lock:
            if name not in self._by_task:
                try:
                    self._by_task[name] = self._make(name)
                except CycleRDMError as fault:  # which is told of every picture, but met once
                    self._by_task[name] = fault
            found = self._by_task[name]
        if isinstance(found, CycleRDMError):
            raise found
        return found

    def _make(self, name: str) -> Restorer:
        from cyclerdm_cli.restoring.networks import make_restorer

        return make_restorer(self.kit, name, self._loaded)

    def restore(
        self,
        pictures: Sequence[Pixels],
        tasks: Sequence[Task],
        masks: Sequence[NDArray[np.bool_] | None],
        tile_done: Callable[[], None] = lambda: None,
        *,
        in_place: bool = False,
        light: Mapping[str, Light] | None = None,
    ) -> list[Pixels]:
        """Undo tasks one after the other; while one thread does, others wait.

        Args:
            pictures: (H, W, 3) uint8 or uint16, sRGB, of one size and type; no more than `pictures_together` says.
            tasks: whose weights the kit has.
            masks: (H, W) of each picture, True where it is missing; only masked tasks look at them.
            tile_done: called after each tile of each task.
            in_place: whether the result may take the place of a single picture, to save memory.
            light: for a single picture, what tasks shall take for its light, by their names.

        Raises:
            PictureError: nothing is missing though a task fills in what is, or the result is not finite.
            WeightsError, UsageError, DeviceError: as `for_task`, or memory ran out.
        """
        results = list(pictures)
        with self._loaded.computing:
            for task in tasks:
                missing = [mask for mask in masks if mask is not None] if task.masked else None
                if missing is not None and len(missing) < len(results):
                    raise PictureError("nothing to fill in", hint="--mask, transparency or pure white")
                lost = in_place and len(results) == 1 and results[0].flags.writeable
                restorer = self.for_task(task.name)
                if light and task.name in light:
                    restorer = restorer.with_light(light[task.name])
                results = restorer.restore_together(results, missing, tile_done, lost)
        return results

    def see(self, pixels: Pixels, tasks: Sequence[Task]) -> dict[str, Seen]:
        """Return what the networks of tasks that look for light see in a picture, (H, W, 3), by the tasks' names.

        Where several do, the later ones are shown what the earlier ones make of the picture as it is looked at,
        small; and after any other task its noise is taken to be gone. Raises as `for_task`.
        """
        from cyclerdm_cli.restoring.networks import see_light

        with self._loaded.computing:
            return see_light([(task.name, self.for_task(task.name)) for task in tasks], pixels)

    def tiles(self, size: tuple[int, int], tasks: Iterable[str]) -> int:
        """Return how many tiles tasks one after the other restore of a picture of (height, width)."""
        images = len(self.kit.options.mirrors)
        return images * sum(len(self._cutter(task).plan(size)) for task in tasks)

    def _cutter(self, task: str) -> Cutter:
        """Return what cuts pictures for a task: without its network, where the header of its file is enough."""
        with self._loaded.lock:
            if task in self._by_task or self.memory is not None:
                return self.for_task(task).planner
            if task not in self._cutters:
                path = self.kit.weights[task].path
                shape = None if path in self._loaded.networks else shape_of(path)
                if shape is None:
                    return self.for_task(task).planner
                self._cutters[task] = Cutter(shape, self.kit.options_for(task))
            return self._cutters[task]

    def pictures_together(self, size: tuple[int, int], tasks: Iterable[str]) -> int:
        """Return how many pictures of (height, width) can go through tasks together."""
        return min((self.for_task(task).planner.pictures_together(size) for task in tasks), default=1)

    @property
    def room(self) -> Room:
        """Where the pictures that are in memory at once are counted: as wide as the largest network leaves it."""
        if self.memory is None:
            return Room(None)
        rooms = [self.for_task(task).planner.room for task in self._reckoned]
        return min(rooms, key=lambda room: float("inf") if room.size is None else room.size)

    def needs(self, size: tuple[int, int], held: int, coding: int) -> int:
        """Return the most bytes that a picture takes for any of the tasks in use; see `Planner.needs`.

        Raises:
            PictureError: it is more than the limit.
        """
        if self.memory is None:
            return 0
        return max(self.for_task(task).planner.needs(size, held, coding) for task in self._reckoned)


def _bytes_of(network: Network) -> int:
    return FLOAT * sum(parameter.numel() for parameter in network.parameters())
