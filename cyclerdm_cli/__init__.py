"""cyclerdm: restore and enhance photographs with the CycleRDM cycle."""

__version__ = "0.1.0"
