"""The networks behind the restorers of tasks: loaded, shared, and asked for what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cyclerdm_cli.cycle.cycle import Network
from cyclerdm_cli.cycle.steady import Seen
from cyclerdm_cli.cycle.view import sampled, shrunk
from cyclerdm_cli.device import Engine, choose_engine
from cyclerdm_cli.restoring.computing import Pixels
from cyclerdm_cli.restoring.resting import TakesTurns
from cyclerdm_cli.restoring.restorer import Restorer
from cyclerdm_cli.restoring.restorers import Kit, Loaded
from cyclerdm_cli.weights.choosing import Choice
from cyclerdm_cli.weights.loading import load_network


def load_all(kit: Kit) -> dict[Path, Network]:
    """Return all networks of a kit, on the processor, by their files. Raises WeightsError."""
    networks = dict(kit.networks)
    for choice in kit.weights.values():
        if choice.path not in networks:
            kit.bring_weights(choice)
            networks[choice.path] = load_network(choice.path)[0]
    return networks


def make_restorer(kit: Kit, task: str, loaded: Loaded) -> Restorer:
    """Return the restorer of a task; tasks of one file and the same options share what it is made of.

    Raises:
        WeightsError, UsageError, DeviceError: as `Restorers.for_task`.
    """
    choice, options = kit.weights[task], kit.options_for(task)
    engine = choose_engine(kit.device, kit.precision, choice.precisions)
    plain = replace(options, strength=1.0, detail=float(options.detail > 0))
    key = choice.path, plain, engine.precision
    if key not in loaded.restorers:
        loaded.restorers[key] = Restorer(_network(kit, choice, engine, loaded), engine, plain)
    return loaded.restorers[key].with_shares(options.strength, options.detail)


def _network(kit: Kit, choice: Choice, engine: Engine, loaded: Loaded) -> Network:
    path, networks = choice.path, loaded.networks
    if path not in networks:
        kit.bring_weights(choice)
        if kit.options.memory is not None and len({one.path for one in kit.weights.values()}) > 1:
            networks[path] = TakesTurns(lambda place: load_network(path, place)[0], loaded.turn)
        else:
            networks[path] = load_network(path, engine.device)[0]
    return networks[path]


def see_light(restorers: Sequence[tuple[str, Restorer]], pixels: Pixels) -> dict[str, Seen]:
    """Return what networks that look for light see in a picture, (H, W, 3), by the tasks' names.

    Args:
        restorers: of tasks one after the other, with their names.
        pixels: as `Restorers.see` takes them, which says the rest.
    """
    found: dict[str, Seen] = {}
    looking = [(name, restorer) for name, restorer in restorers if restorer.network.sees_light]
    small = shrunk(pixels) if looking else pixels
    for name, restorer in looking:
        found[name] = restorer.see(small, sampled(pixels) if name == restorers[0][0] else small)
        if name != looking[-1][0]:
            small = restorer.restore(small)
    return found
