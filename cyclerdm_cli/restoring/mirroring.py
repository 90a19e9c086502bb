"""Which mirror images of a picture are restored, and averaged, for each effort. Free of every heavy import."""

from __future__ import annotations

from cyclerdm_cli.errors import UsageError

Mirror = tuple[slice, slice]
"""Mirrors an array of (H, W, ...) that it indexes; a second time brings it back."""
KEPT, TURNED = slice(None), slice(None, None, -1)
EFFORTS: dict[str, tuple[Mirror, ...]] = {
    "normal": ((KEPT, KEPT),),
    "best": ((KEPT, KEPT), (KEPT, TURNED), (TURNED, KEPT), (TURNED, TURNED)),
}
"""No pictures on their side: rain falls upright, and networks undo it worse where it does not."""


def mirrors_of(effort: str) -> tuple[Mirror, ...]:
    """Return the mirror images whose results are averaged, the picture itself the first. Raises UsageError."""
    if effort not in EFFORTS:
        raise UsageError(f"--effort {effort}: is none of {', '.join(EFFORTS)}")
    return EFFORTS[effort]
