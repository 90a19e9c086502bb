"""Addresses that may be asked: taken apart once (RFC 3986), judged, and put together again from what was judged.

Libraries differ over where a backslash, a space or a stray `@` ends the host; such addresses go to nobody.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import quote

ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.DOTALL
)
AUTHORITY = re.compile(
    r"(?:(?P<user>[A-Za-z0-9._~!$&'()*+,;=:%-]*)@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
KEPT = "/%:@!$&'()*+,;=~"
"""What stands in a path as it is, besides letters and digits."""
LONGEST = 8192
SHOWN = 200
"""Characters of an address that are shown."""


def judged(address: str) -> str:
    """Return an address rebuilt from its parts: https, or anything that stays on this machine over http.

    Raises:
        ValueError: it is neither, or is no address.
    """
    whole = ADDRESS.fullmatch(address) if len(address) <= LONGEST else None
    parts = AUTHORITY.fullmatch(whole["authority"]) if whole else None
    if whole is None or parts is None:
        raise ValueError("it is no address")
    scheme, host = whole["scheme"].lower(), parts["host"].lower()
    if scheme != "https" and not (scheme == "http" and _is_here(host)):
        raise ValueError("it is not https")
    user = f"{parts['user']}@" if parts["user"] is not None else ""
    port = f":{parts['port']}" if parts["port"] else ""
    path, query = quote(whole["path"], safe=KEPT), quote(whole["query"] or "", safe=f"{KEPT}?")
    return f"{scheme}://{user}{host}{port}{path}{query}"


def is_allowed(address: str) -> bool:
    """Tell whether an address may be asked."""
    try:
        judged(address)
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def shown(address: str) -> str:
    """Return an address for people: without name and password, without what follows a question mark."""
    scheme, slashes, rest = address.partition("://")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    plain = f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}"
    return "".join(one if one.isprintable() else "?" for one in plain)[:SHOWN]
