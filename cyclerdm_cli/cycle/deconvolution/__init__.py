"""Blur as one kernel for the whole picture: found from its slopes, then undone in the spectrum."""

from cyclerdm_cli.cycle.deconvolution.blur import Blur, frame_kernel, sharp_kernel
from cyclerdm_cli.cycle.deconvolution.kernel_search import NUMBER_OF_CLUES, clues
from cyclerdm_cli.cycle.deconvolution.reader import KernelReader, find_blur, read_blur
from cyclerdm_cli.cycle.deconvolution.settings import SETTINGS, Deconvolution
from cyclerdm_cli.cycle.deconvolution.symmetries import NUMBER_OF_SYMMETRIES, clues_mirrored, mirror
from cyclerdm_cli.cycle.deconvolution.wiener import (
    NUMBER_OF_VARIANTS,
    deconvolve_variants,
    natural_power_spectrum,
    power_spectrum,
    transfer_function,
    wiener_filter,
)

__all__ = [
    "NUMBER_OF_CLUES",
    "NUMBER_OF_SYMMETRIES",
    "NUMBER_OF_VARIANTS",
    "SETTINGS",
    "Blur",
    "Deconvolution",
    "KernelReader",
    "clues",
    "clues_mirrored",
    "deconvolve_variants",
    "find_blur",
    "frame_kernel",
    "mirror",
    "natural_power_spectrum",
    "power_spectrum",
    "read_blur",
    "sharp_kernel",
    "transfer_function",
    "wiener_filter",
]
