"""The class and the function that programs restore with. Torch is imported by the first `Restorer`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclerdm_cli.errors import UsageError
from cyclerdm_cli.interface import given
from cyclerdm_cli.interface.faults import public_faults
from cyclerdm_cli.interface.given import Mask, Place, Request, Strength
from cyclerdm_cli.pictures.addresses import placed
from cyclerdm_cli.pictures.listing import list_inputs
from cyclerdm_cli.pictures.write_options import WriteOptions
from cyclerdm_cli.restoring.outcome import FileOutcome
from cyclerdm_cli.weights.choosing import choose_each
from cyclerdm_cli.weights.ensuring import ensure

Array = TypeVar("Array", NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32])


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a picture, by looking at it."""

    tasks: tuple[str, ...]
    """What would be undone, one after the other; none where nothing is wrong, or it is not clear."""
    sure: bool
    """Whether it is clear, and the weights know these tasks; `restore` refuses a picture otherwise."""
    probabilities: Mapping[str, float]
    """How likely each damage is, 0 to 1, and as "clean" that there is none; they are independent of one another."""
    note: str
    """The same in a line for people."""


class Restorer:
    """Restores pictures. Networks are loaded when they are first needed, and kept; threads may share a restorer.

    One picture is computed at a time, whichever threads ask; reading and writing files goes on beside it.
    """

    def __init__(
        self,
        device: str = "auto",
        precision: str = "auto",
        memory: int | None = None,
        weights: Place | None = None,
        *,
        offline: bool = False,
    ) -> None:
        """Choose the device and look up the weights; no file of weights is opened yet.

        Args:
            device: auto, cpu, cuda, cuda:N or mps; auto takes a GPU where there is one.
            precision: auto, fp32, bf16, fp16, or int8 on processors.
            memory: bytes within which the whole program stays while it restores, or those of an NVIDIA GPU; smaller
                tiles are the means. None: no limit.
            weights: a family in the registry, one of its entries, or a file; None: the package's own.
            offline: open no connection, though the weights asked for are not here.

        Raises:
            UsageError: there is no such device or precision.
            DeviceError: the device is not there.
            WeightsError: there are no such weights.
        """
        with public_faults():
            from cyclerdm_cli.restoring.planning import RestoreOptions
            from cyclerdm_cli.restoring.restorers import Kit
            from cyclerdm_cli.restoring.workshop import Workshop

            if memory is not None and memory <= 0:
                raise UsageError(f"memory {memory}: is no number of bytes to work with")
            named, bring = None if weights is None else os.fsdecode(weights), partial(ensure, offline=offline)
            options = RestoreOptions(memory=memory)
            kit = Kit(choose_each(named), options, device=device, precision=precision, bring=bring)
            self._workshop = Workshop(kit, named)
            self._device = self._workshop.device

    @property
    def device(self) -> str:
        """Where pictures are computed: cpu, cuda:0, mps..."""
        return self._device

    @overload
    def restore(
        self,
        picture: Array,
        task: str = "auto",
        strength: Strength = 1.0,
        mask: Mask = None,
        *,
        detail: float = 0.0,
        effort: str = "normal",
    ) -> Array: ...

    @overload
    def restore(
        self,
        picture: Image.Image,
        task: str = "auto",
        strength: Strength = 1.0,
        mask: Mask = None,
        *,
        detail: float = 0.0,
        effort: str = "normal",
    ) -> Image.Image: ...

    @overload
    def restore(
        self,
        picture: Place,
        task: str = "auto",
        strength: Strength = 1.0,
        mask: Mask = None,
        *,
        detail: float = 0.0,
        effort: str = "normal",
        output: Place | None = None,
        overwrite: bool = False,
    ) -> Path: ...

    def restore(
        self,
        picture: Any,
        task: str = "auto",
        strength: Strength = 1.0,
        mask: Mask = None,
        *,
        detail: float = 0.0,
        effort: str = "normal",
        output: Place | None = None,
        overwrite: bool = False,
    ) -> Any:
        """Restore one picture; it stays as it is, and the result is a new one of its kind.

        Args:
            picture: an array (H, W, 3), RGB and sRGB-encoded, uint8, uint16 or float32 (black 0, white 1); an image
                of Pillow, with its transparency, colour profile and EXIF; or the path or address of a file.
            task: what to undo: "derain", or "derain+dehaze" one after the other; "auto" looks at the picture.
            strength: how much of the change is made, 0 (the picture itself) to 1, or that of each task by its name.
            mask: for inpaint, what to fill in: an array (H, W), bool or uint8 with 255 for it, an image, or a file,
                white where to fill in. Without one: what is transparent, or else pure white.
            detail: for denoise and dejpeg, how much of the fine detail comes back that was taken with the noise and
                stands out of it, 0 to 1.
            effort: "normal"; or "best", which averages the results of the picture and its mirror images, in four
                times the time.
            output: where the result of a file goes: a file, a folder, or a template such as
                "out/{stem}_{task}{ext}". None: "{stem}_{task}{ext}" beside the file.
            overwrite: whether it may replace a file that is there.

        Returns:
            An array of the same shape and type; an image, turned upright, palettes and CMYK as RGB; or the path of
            the file written.

        Raises:
            PictureError: this picture cannot be read, restored or written; or "auto" is not sure what is wrong.
            UsageError: the task, the strength, the detail, the effort or the mask makes no sense.
            WeightsError: weights are missing, damaged, or cannot be fetched.
            DeviceError: memory ran out even for the smallest tiles.
        """
        with public_faults():
            from cyclerdm_cli.interface.files import restore_one

            request, workshop = self._request(task, strength, mask, detail, effort), self._workshop
            if given.is_place(picture):
                return restore_one(workshop, placed(os.fsdecode(picture)), output, request, overwrite)
            if output is not None or overwrite:
                raise UsageError("output and overwrite go with the path of a picture")
            before = given.picture_of(picture)
            missing = partial(given.missing_in, mask=mask)
            after = workshop.restore(before, request.tasks, missing, request.adapt(workshop.kit))
            return picture.copy() if after is before else given.result_like(picture, after)

    def look(self, picture: given.Array | Image.Image | Place) -> Diagnosis:
        """Return what is wrong with a picture, as the task "auto" sees it.

        Args:
            picture: as `restore` takes it.

        Raises:
            PictureError: it cannot be read.
            WeightsError: the package's own weights are damaged.
        """
        with public_faults():
            choice = self._workshop.choose(given.picture_of(picture))
            names = tuple(task.name for task in choice.tasks)
            return Diagnosis(names, not choice.doubt, dict(choice.likely), choice.doubt or choice.note)

    def restore_files(
        self,
        inputs: Place | Iterable[Place],
        output: Place | None = None,
        task: str = "auto",
        strength: Strength = 1.0,
        mask: Mask = None,
        *,
        detail: float = 0.0,
        effort: str = "normal",
        recursive: bool = False,
        overwrite: bool = False,
        skip_existing: bool = False,
        write: WriteOptions | None = None,
        jobs: int = 2,
        sequence: bool = False,
    ) -> Iterator[FileOutcome]:
        """Restore files, and yield what became of each, in their order; a failed one does not stop the others.

        Names are settled at once. Work begins with the first outcome asked for and goes on while the caller does
        something else; where the iterator is closed, it ends after the tile in hand.

        Args:
            inputs: files, folders, addresses, and as str also wildcards and "@list.txt".
            output: a folder, a template, or a file for a single input; None: beside each input. See `restore`.
            task: as in `restore`, as are `strength` and `mask`.
            strength: of the change.
            mask: for all pictures; or a folder of masks by the pictures' names.
            detail: as in `restore`, as is `effort`.
            effort: how much is done for the result.
            recursive: whether folders inside folders are searched; their tree is kept.
            overwrite: whether results that are there are replaced, but never an input.
            skip_existing: whether results that are there are left as they are; otherwise their files fail.
            write: format, quality and depth of the results; None: those of each input.
            jobs: files that are decoded, and encoded, at once.
            sequence: whether the pictures of a folder are frames of a film or a burst: they come in natural order,
                one decision of "auto" holds for all, and light and colour do not flicker.

        Raises:
            UsageError: names, task, strength or mask make no sense together; nothing is done then.
            WeightsError: the weights of the tasks asked for cannot be had.
        """
        with public_faults():
            from cyclerdm_cli.interface.files import plan_files, restore_each
            from cyclerdm_cli.restoring.one_file import FileOptions

            if overwrite and skip_existing:
                raise UsageError("overwrite and skip_existing exclude each other")
            request = replace(self._request(task, strength, mask, detail, effort), sequence=sequence)
            words = given.input_words(inputs)
            files = FileOptions(
                write or WriteOptions(), overwrite=overwrite, skip_existing=skip_existing, jobs=jobs
            )
            entries, workshop = list_inputs(words, recursive), self._workshop
            work, plan = plan_files(workshop, entries, words, output, request, files)
            return restore_each(workshop, work, plan, request)

    def _request(self, task: str, strength: Strength, mask: Mask, detail: float, effort: str) -> Request:
        workshop = self._workshop
        return given.read_request(
            task, strength, mask, detail, effort, workshop.weights, workshop.kit.weights
        )


def restore_files(
    inputs: Place | Iterable[Place], output: Place | None = None, task: str = "auto", **options: Any
) -> Iterator[FileOutcome]:
    """Do what `Restorer.restore_files` does, which says the rest, with a `Restorer` of its own."""
    return Restorer().restore_files(inputs, output, task, **options)
