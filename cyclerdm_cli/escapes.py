"""Text of strangers, such as file names, made safe for a terminal; and as JSON that every parser reads."""

from __future__ import annotations

import json
import re
from typing import Any

# What moves a cursor, rings, sets titles or turns the direction of writing; and bytes that are no UTF-8.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
HIDDEN = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What `json.dumps` leaves as it is, though it is no text or acts on terminals."""


def shown(text: str) -> str:
    """Return a text with its control characters as escapes: `\\x1b`; ends of lines and tabs stay."""
    return UNSAFE.sub(lambda found: _escape(found[0]), text)


def shown_name(name: str) -> str:
    """Return a name in one line, its ends of lines and tabs as escapes too."""
    return shown(name.replace("\n", "\\n").replace("\t", "\\t"))


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON in which names that are no UTF-8 are escapes, as Python reads them back: `\\udcff`."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as Python holds it in names
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
