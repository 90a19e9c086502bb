"""cyclerdm: restore and enhance photographs with the CycleRDM cycle.

Programs use what is named here, and nothing below: docs/python.md. Each name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclerdm_cli.errors import (
        CycleRDMError,
        DeviceError,
        PictureError,
        RestoringWarning,
        UsageError,
        WeightsError,
    )
    from cyclerdm_cli.interface.restorer import Diagnosis, Restorer, restore_files
    from cyclerdm_cli.pictures.write_options import WriteOptions
    from cyclerdm_cli.restoring.outcome import FileOutcome
    from cyclerdm_cli.tasks.catalogue import TASKS

__version__ = "0.1.0"
__all__ = [
    "TASKS",
    "CycleRDMError",
    "DeviceError",
    "Diagnosis",
    "FileOutcome",
    "PictureError",
    "Restorer",
    "RestoringWarning",
    "UsageError",
    "WeightsError",
    "WriteOptions",
    "__version__",
    "restore_files",
]

if not TYPE_CHECKING:  # or checkers would take any name for one of these
    _MODULES = {
        "TASKS": "tasks.catalogue",
        "Diagnosis": "interface.restorer",
        "FileOutcome": "restoring.outcome",
        "Restorer": "interface.restorer",
        "WriteOptions": "pictures.write_options",
        "restore_files": "interface.restorer",
    }

    def __getattr__(name):
        """Import what is asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)

    def __dir__():
        """Name what may be asked for, too."""
        return sorted({*globals(), *__all__})
