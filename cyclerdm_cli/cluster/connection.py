"""Joining a Ray cluster, or starting one on this machine; every way in which that fails is one line."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from cyclerdm_cli.errors import ClusterError

LOCAL = "local"
CONNECTING, ANSWERING = 5, 20
"""Seconds that an address has to take a call, and the cluster behind it to answer."""
OBJECT_STORE_BYTES = 80 << 20
"""Ray's least is 75 MiB; weights and what became of pictures are all that goes through it."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no connection that nobody asked for
    "RAY_worker_niceness": "0",  # Ray's 15 makes a worker wait for all else on the machine
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
PROBE = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"


def require_ray() -> None:
    """See that Ray can be imported, without doing so. Raises ClusterError."""
    if find_spec("ray") is None:
        raise ClusterError("--cluster needs Ray", hint="pip install ray fsspec")


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Be part of a cluster.

    Args:
        address: HOST:PORT of a running cluster, `auto` for the one that this machine belongs to, or `local` for one
            that begins here and ends with the block.

    Raises:
        ClusterError: Ray is not installed, nothing answers there, or its versions are others than ours.
    """
    require_ray()
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if address != LOCAL:
        _see_that_it_answers(address)
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        options |= {
            "address": "local", "num_cpus": processors, "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }  # fmt: skip
    else:
        options["address"] = address
    with _words_kept_from_standard_output():
        try:
            ray.init(**options)
        except (RuntimeError, ValueError, OSError) as fault:
            raise _refused(address, str(fault)) from fault
        try:
            yield
        finally:
            ray.shutdown()


def _see_that_it_answers(address: str) -> None:
    """Raise ClusterError where joining would fail, or would wait for minutes.

    Ray itself tries for two minutes and then ends the whole process, so another one goes ahead.
    """
    if "://" in address:
        raise ClusterError(
            f"--cluster {address}: Ray's client is not spoken here",
            hint="HOST:PORT as `ray start` says it, on a machine of the cluster",
        )
    if address != "auto":
        host, sign, port = address.rpartition(":")
        if not sign or not host or not port.isdecimal():
            raise ClusterError(f"--cluster {address}: is no address", hint="local, auto or HOST:PORT")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECTING).close()
        except (OSError, OverflowError) as fault:
            reason = getattr(fault, "strerror", None) or str(fault)
            raise ClusterError(
                f"--cluster {address}: does not answer: {reason}",
                hint="`ray status` there tells whether it runs",
            ) from fault
    try:
        tried = subprocess.run(
            [sys.executable, "-c", PROBE, address],
            capture_output=True, text=True, errors="replace", timeout=ANSWERING, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"--cluster {address}: took the call, but did not answer like Ray within {ANSWERING} s"
        ) from None
    if tried.returncode:
        raise _refused(address, tried.stderr)


def _refused(address: str, words: str) -> ClusterError:
    """Make one line of what Ray said at its end."""
    if "ersion mismatch" in words:
        said = " ".join(words[words.index("ersion mismatch") :].split())
        return ClusterError(f"--cluster {address}: v{said}", hint="the same Ray and Python on all machines")
    lines = [line.strip() for line in words.splitlines() if line.strip()] or ["no reason given"]
    told = next((line for line in reversed(lines) if "Error:" in line), lines[-1])
    return ClusterError(f"--cluster {address}: cannot be joined: {told.partition('Error: ')[2] or told}")


@contextmanager
def _words_kept_from_standard_output() -> Iterator[None]:
    """Let only bytes through: Ray prints what befalls its workers to `sys.stdout`, where data belongs."""
    real = sys.stdout
    sys.stdout = SimpleNamespace(
        buffer=real.buffer, write=len, flush=real.flush, isatty=lambda: False, fileno=real.fileno,
        encoding=real.encoding, errors=real.errors,
    )  # fmt: skip
    try:
        yield
    finally:
        sys.stdout = real
