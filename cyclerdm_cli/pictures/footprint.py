"""How much memory a picture takes, told from its header: as it is held, and while it is decoded and encoded."""

from __future__ import annotations

from dataclasses import dataclass

COPIES = 4
"""Of three channels, while a picture is decoded or encoded: the decoder's, ours, and what the file holds."""
HUNGRY = {"avif": 15, "heic": 15, "webp": 6}
"""The same for formats whose encoders make many copies of their own."""


@dataclass(frozen=True)
class Extent:
    """What a file's header says of its size, not turned upright."""

    height: int
    width: int
    depth: int
    """Bits a channel of the decoded picture: 8 or 16."""
    format: str
    """A name of `formats.FORMATS`."""
    own_depth: int = 0
    """Bits a channel of the picture in its own colours, where those are held beside sRGB."""

    @property
    def held(self) -> int:
        """Bytes of the decoded picture."""
        return self._pixels + self._own

    @property
    def _pixels(self) -> int:
        return 3 * self.height * self.width * self.depth // 8

    @property
    def _own(self) -> int:
        return 3 * self.height * self.width * self.own_depth // 8

    def coding(self, target: str, compared: str | None = None) -> int:
        """Return the bytes at most while it is decoded, or encoded in a format, the picture included.

        Args:
            target: a name of `formats.FORMATS`, or "keep".
            compared: how before and after are compared in a picture, too, if they are.
        """
        copies = HUNGRY.get(self.format if target == "keep" else target, COPIES)
        more = 0
        if compared is not None:
            more = 2 + 2 * (HUNGRY["webp"] if compared == "animated" else copies)
        return self._pixels * (copies + more) + self._own * (4 if compared else 1)
