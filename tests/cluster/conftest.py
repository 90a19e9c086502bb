"""A cluster of several machines on this one: Ray's own, for its tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHELF = '''
"""A place for files that only fsspec reaches: a folder, under addresses of its own."""
import os
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

class Shelf(DirFileSystem):
    protocol = "shelf"
    def __init__(self, **options):
        super().__init__(path=os.environ["SHELF"], fs=LocalFileSystem(), **options)
    @classmethod
    def _strip_protocol(cls, path):
        return path.removeprefix("shelf://").rstrip("/")
'''
FASTER = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}
"""How soon Ray misses a machine; it would take half a minute."""


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder behind `shelf://`, known to every process that is started from here."""
    place = tmp_path_factory.mktemp("shelf")
    plugin = place / "plugin"
    (plugin / "shelf-1.dist-info").mkdir(parents=True)
    (plugin / "shelf.py").write_text(SHELF)
    (plugin / "shelf-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1\n")
    (plugin / "shelf-1.dist-info" / "entry_points.txt").write_text("[fsspec.specs]\nshelf = shelf.Shelf\n")
    (place / "files").mkdir()
    os.environ["SHELF"] = str(place / "files")
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(plugin) if not others else f"{plugin}{os.pathsep}{others}"
    sys.path.append(str(plugin))
    fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")
    fsspec.register_implementation("shelf", "shelf.Shelf", clobber=True)
    return place / "files"


@pytest.fixture(scope="session")
def machines(shelf: Path) -> Iterator[Any]:
    """Give two machines of one processor each; more can be added."""
    pytest.importorskip("ray", reason="needs the extra cluster")
    from cyclerdm_cli.cluster.connection import OBJECT_STORE_BYTES, SETTINGS

    os.environ.update(SETTINGS)
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "_system_config": FASTER})
    cluster.small = small
    cluster.add_node(**small)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def address(machines: Any) -> str:
    """Return the cluster's address."""
    return str(machines.address)
