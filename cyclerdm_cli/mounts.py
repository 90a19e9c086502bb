"""What some mounts (SMB, WSL, buckets) do not offer: there it is a courtesy refused, not a failure."""

from __future__ import annotations

import errno
import os

NOT_OFFERED = frozenset(
    getattr(errno, name)
    for name in ("EPERM", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS")
    if hasattr(errno, name)
)


def flush(descriptor: int) -> None:
    """Bring a file's bytes to the disk, where its file system can be asked to."""
    try:
        os.fsync(descriptor)
    except OSError as fault:
        if fault.errno not in NOT_OFFERED:
            raise


def set_mode(path: str | os.PathLike[str], mode: int) -> None:
    """Give a file its permissions, where its file system has any."""
    try:
        os.chmod(path, mode)
    except OSError as fault:
        if fault.errno not in NOT_OFFERED:
            raise
