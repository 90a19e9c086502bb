"""What programs give: pictures and masks of several kinds, tasks and strengths; checked, and turned into ours."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.pictures import in_memory
from cyclerdm_cli.pictures.addresses import placed
from cyclerdm_cli.pictures.masks import check_mask, check_size, own_mask, read_mask
from cyclerdm_cli.pictures.picture import Picture
from cyclerdm_cli.pictures.reading import read_picture
from cyclerdm_cli.restoring.asked import check_detail, tasks_asked
from cyclerdm_cli.restoring.mirroring import EFFORTS
from cyclerdm_cli.tasks.catalogue import Task
from cyclerdm_cli.weights.choosing import choose

if TYPE_CHECKING:
    from cyclerdm_cli.restoring.restorers import Kit

Place = str | os.PathLike[str]
"""A path, or the address of a file."""
Array = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
"""(H, W, 3), RGB and sRGB-encoded; in float32 black is 0 and white 1."""
Mask = Place | Image.Image | NDArray[np.bool_] | NDArray[np.uint8] | None
"""White, or True, where to fill in; arrays are (H, W)."""
Strength = float | Mapping[str, float]
"""0 to 1, of all tasks or of each by its name."""
MASK = "the mask"
"""What messages call one that is no file."""


@dataclass(frozen=True)
class Request:
    """What is asked for, checked."""

    tasks: list[Task]
    """None: chosen by looking at each picture."""
    strength: float
    strengths: Mapping[str, float]
    """Of single tasks, in place of `strength`."""
    mask: Mask
    detail: float
    effort: str
    sequence: bool = False
    """Whether the pictures of a folder are frames."""

    @property
    def names(self) -> list[str]:
        """The names of the tasks."""
        return [task.name for task in self.tasks]

    def adapt(self, kit: Kit) -> Kit:
        """Return a kit whose restorers change as much of a picture as is asked for, and do as much for it."""
        adapted = kit.with_shares(self.strength, self.strengths, self.detail)
        return replace(adapted, options=replace(adapted.options, effort=self.effort, sequence=self.sequence))


def read_request(
    task: str,
    strength: Strength,
    mask: Mask,
    detail: float,
    effort: str,
    weights: str | None,
    known: Collection[str],
) -> Request:
    """Return what is asked for.

    Args:
        task: as `tasks_asked` takes it.
        strength: of all tasks, or of each by its name.
        mask: for tasks that fill in.
        detail: that comes back after tasks that take some, 0 to 1.
        effort: a word of `EFFORTS`.
        weights: what these are called.
        known: the tasks that they know.

    Raises:
        UsageError: it makes no sense together.
        WeightsError: as `choose`.
    """
    tasks = tasks_asked(task, weights)
    for one in tasks:
        if one.name not in known:
            choose(weights, one.name)  # which says why not
    if mask is not None and not any(one.masked for one in tasks):
        raise UsageError("a mask goes with the task inpaint")
    if not (isinstance(detail, int | float) and 0 <= detail <= 1):
        raise UsageError(f"detail {detail!r}", hint="0 to 1")
    check_detail("detail", detail, tasks)
    if effort not in EFFORTS:
        raise UsageError(f"effort {effort!r}", hint=" or ".join(EFFORTS))
    if not isinstance(strength, Mapping):
        return Request(tasks, _check_share(strength), {}, mask, detail, effort)
    names = [one.name for one in tasks] or known
    for name in strength:
        if name not in names:
            raise UsageError(f"strength of {name}: that task is not asked for", hint=", ".join(names))
    return Request(
        tasks, 1.0, {name: _check_share(share) for name, share in strength.items()}, mask, detail, effort
    )


def _check_share(strength: Any) -> float:
    """Return a strength as a number. Raises UsageError where it is none from 0 to 1."""
    if not (isinstance(strength, int | float) and 0 <= strength <= 1):
        raise UsageError(f"strength {strength!r}", hint="0 to 1, or a number for each task by its name")
    return float(strength)


def is_place(thing: object) -> bool:
    """Tell whether something names a file."""
    return isinstance(thing, str | os.PathLike)


def picture_of(thing: Any) -> Picture:
    """Return the picture that something is, or names. Raises PictureError, or UsageError over other things."""
    if is_place(thing):
        return read_picture(placed(os.fsdecode(thing)))
    if isinstance(thing, np.ndarray):
        return in_memory.from_array(thing)
    if isinstance(thing, Image.Image):
        return in_memory.from_image(in_memory.upright_image(thing), thing)
    raise UsageError(
        f"{type(thing).__name__} is no picture", hint="a path, an image of Pillow, or an array (H, W, 3)"
    )


def result_like(thing: Any, picture: Picture) -> Any:
    """Return what became of an array's or an image's picture, as one of these."""
    if isinstance(thing, np.ndarray):
        return in_memory.to_array(picture)
    return in_memory.to_image_like(in_memory.upright_image(thing), picture)


def missing_in(picture: Picture, mask: Mask) -> NDArray[np.bool_] | None:
    """Return where a picture is to be filled in: by a mask, or by itself. Raises PictureError."""
    if mask is None:
        return own_mask(picture)
    if isinstance(mask, str | os.PathLike):
        return check_mask(read_mask(mask, picture.size), f"the mask {os.fsdecode(mask)}")
    found = in_memory.mask_from(mask)
    check_size(found.shape, picture.size, MASK)
    return check_mask(found, MASK)


def mask_file(mask: Mask) -> tuple[Path | None, dict[Path | None, bytes]]:
    """Return where a mask is, and where it is in memory, the file that it would be."""
    if mask is None or isinstance(mask, str | os.PathLike):
        return (None if mask is None else placed(os.fsdecode(mask))), {}
    stream = BytesIO()
    Image.fromarray(in_memory.mask_from(mask).astype(np.uint8) * 255).save(stream, "PNG")
    return Path(MASK), {Path(MASK): stream.getvalue()}


def input_words(inputs: Place | Iterable[Place]) -> list[str]:
    """Return inputs as the command would be given them; in paths no sign stands for anything but itself."""
    places = [inputs] if isinstance(inputs, str | os.PathLike) else [*inputs]
    words = [os.fsdecode(place) for place in places]
    for number, (place, word) in enumerate(zip(places, words, strict=True)):
        if isinstance(place, os.PathLike) and word.startswith(("@", "-")):
            words[number] = os.path.join(".", word)
        elif word in ("-", "@-"):
            raise UsageError(
                f"{word!r}: standard input is not read", hint="restore() takes arrays and images"
            )
    return words
