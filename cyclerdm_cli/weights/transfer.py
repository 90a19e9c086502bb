"""One request of a file over HTTP: what an earlier one left is gone on with, and nothing else is kept."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin

import requests

from cyclerdm_cli import __version__
from cyclerdm_cli.mounts import flush
from cyclerdm_cli.weights.address import judged, shown
from cyclerdm_cli.weights.connections import Session, Timeouts, Watch, body_of

MOST_REDIRECTIONS = 5
"""Redirections that are followed."""
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
"""The header that says which bytes of a file come."""
MOST_DIGITS = 18
"""Of a number in a header."""
LONGEST_REASON = 60
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be another a moment later."""


class TransferFault(Exception):
    """Why a request brought no whole file."""

    def __init__(self, reason: str, *, passing: bool = False, wait: float = 0.0) -> None:
        """`passing`: another try may do better, after `wait` seconds where the server asks for them."""
        super().__init__(reason)
        self.passing = passing
        self.wait = wait


@dataclass(frozen=True)
class Part:
    """What has arrived of a file, and from which version of it."""

    path: Path

    @property
    def note(self) -> Path:
        """Where the version is written down."""
        return self.path.with_name(f"{self.path.name}.json")

    def size(self) -> int:
        """Return the bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def version(self, address: str) -> str:
        """Return the entity tag or date that the address gave for what is there, or nothing."""
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            version = str(noted["version"]) if noted["address"] == address else ""
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""
        return version if version.isascii() and version.isprintable() else ""

    def write_down(self, address: str, version: str) -> None:
        """Remember which version is about to arrive."""
        self.note.write_text(json.dumps({"address": address, "version": version}), encoding="utf-8")

    def discard(self) -> None:
        """Forget all of it."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def transfer(
    session: Session,
    address: str,
    part: Part,
    size: int | None,
    timeouts: Timeouts,
    advance: Callable[[int], None],
) -> None:
    """Bring the bytes that `part` lacks.

    Args:
        session: proxies come from the environment.
        address: of the file; each redirection must be as allowed as it.
        part: what has arrived; grows.
        size: of the whole file; None: as the server says, if it does.
        timeouts: for the answer.
        advance: called with the bytes that are there.

    Raises:
        TransferFault: it did not all come; what came is in `part` for the next try.
        OSError: the disk does not take it.
    """
    held = part.size()
    if size is not None and held > size:
        part.discard()
        held = 0
    if held == size:
        return
    headers = _asking_for_the_rest(part, held, address)
    with Watch(timeouts.piece, session.cut) as watch:
        try:
            with _answer(session, address, headers, timeouts) as response:
                if size is None and response.headers.get("Content-Range") == f"bytes */{held}":
                    return  # nothing lies behind what is there
                start, whole = _start(response, part, held, size)
                part.write_down(address, _version(response))
                _receive(response, part, start, whole, advance, watch)
        except (requests.RequestException, TransferFault) as fault:
            if watch.has_cut:
                raise TransferFault(f"too little came within {timeouts.piece:g} s", passing=True) from fault
            if isinstance(fault, TransferFault):
                raise
            raise _as_fault(fault, timeouts) from fault


def _asking_for_the_rest(part: Part, held: int, address: str) -> dict[str, str]:
    """Return the headers of a request for what follows the bytes that are there."""
    headers = {"Accept-Encoding": "identity", "User-Agent": f"cyclerdm/{__version__}"}
    if held:
        headers["Range"] = f"bytes={held}-"
        if version := part.version(address):
            headers["If-Range"] = version  # where the file is another one by now, all of it comes
    return headers


def _answer(session: Session, address: str, headers: dict[str, str], timeouts: Timeouts) -> requests.Response:
    """Ask, following redirections; what is asked is the address that was judged, and no other."""
    for _ in range(MOST_REDIRECTIONS + 1):
        try:
            address = judged(address)
        except ValueError:
            raise TransferFault(f"leads to {shown(address)}, which is not https") from None
        response = session.ask(address, headers, timeouts)
        try:
            target = session.get_redirect_target(response)
            if target is None:
                return response
            address = urljoin(address, target)
        except ValueError:  # no text, or brackets around no host
            raise TransferFault("leads to no address") from None
        finally:
            if response.is_redirect:
                response.close()  # what it says besides is not read
    raise TransferFault(f"redirects more than {MOST_REDIRECTIONS} times")


def _start(response: requests.Response, part: Part, held: int, size: int | None) -> tuple[int, int | None]:
    """Return at which byte the answer's body begins, and the whole file's bytes; TransferFault: it is of no use."""
    status = response.status_code
    if status == requests.codes.requested_range_not_satisfiable:
        part.discard()
        raise TransferFault("has no such part of the file", passing=True)
    if status == requests.codes.partial_content:
        found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != held:
            part.discard()
            raise TransferFault("sends another part than asked for", passing=True)
        total = found[2]
    elif status == requests.codes.ok:
        held = 0
        total = response.headers.get("Content-Length", "*")
    else:
        wait = _wait(response.headers.get("Retry-After", ""))
        raise TransferFault(f"{status} {_reason(response)}".strip(), passing=status in PASSING, wait=wait)
    if len(total) > MOST_DIGITS:
        raise TransferFault("sends a length that is none")
    told = int(total) if total.isdecimal() else None
    if None not in (told, size) and told != size:
        raise TransferFault(f"has a file of {told} bytes, not {size}")
    return held, told if size is None else size


def _reason(response: requests.Response) -> str:
    """Return the words beside a status, as far as they can be shown."""
    return "".join(one for one in response.reason or "" if one.isprintable())[:LONGEST_REASON]


def _receive(
    response: requests.Response,
    part: Part,
    start: int,
    size: int | None,
    advance: Callable[[int], None],
    watch: Watch,
) -> None:
    there = counted = start
    with part.path.open("ab" if start else "wb") as stream:
        advance(there)
        for piece in body_of(response):
            if size is not None and there + len(piece) > size:
                break
            stream.write(piece)
            there += len(piece)
            advance(there)
            if there - counted >= watch.PIECE:
                counted = there
                watch.progress()
        else:
            if size is not None and there < size:
                raise TransferFault(f"ended after {there} of {size} bytes", passing=True)
            stream.flush()
            flush(stream.fileno())
            return
    part.discard()
    raise TransferFault(f"sends more than {size} bytes")


def _version(response: requests.Response) -> str:
    """Return what `If-Range` may ask for: a strong entity tag, or else the date of change."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _wait(retry_after: str) -> float:
    """Return the seconds that a server asks to wait."""
    if retry_after.strip().isdecimal():
        return float(retry_after.strip()[:MOST_DIGITS])
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    return 0.0


def _as_fault(fault: requests.RequestException, timeouts: Timeouts) -> TransferFault:
    """Say in a few words what went wrong; the libraries' own words show objects, and secrets in addresses."""
    if isinstance(fault, requests.exceptions.ProxyError):
        return TransferFault("the proxy does not let through, or is not there", passing=True)
    if isinstance(fault, requests.exceptions.SSLError):
        return TransferFault("its certificate is not trusted")
    if isinstance(fault, requests.exceptions.ConnectTimeout):
        return TransferFault(f"no connection within {timeouts.connect:g} s")
    words = " ".join(str(fault).split())
    if isinstance(fault, requests.exceptions.Timeout) or "timed out" in words:
        return TransferFault(f"nothing came for {timeouts.silence:g} s", passing=True)
    if isinstance(fault, requests.exceptions.ContentDecodingError):
        return TransferFault("sends the file packed, although that was not asked for")
    if isinstance(fault, requests.exceptions.ChunkedEncodingError):
        return TransferFault("the connection broke", passing=True)
    if isinstance(fault, requests.exceptions.ConnectionError):
        for sign, meaning in SIGNS.items():
            if sign in words:
                return TransferFault(meaning, passing=True)
        return TransferFault("no connection", passing=True)
    return TransferFault(f"cannot be asked ({type(fault).__name__})")


SIGNS = {
    "NameResolutionError": "its name is unknown, or there is no network",
    "Connection refused": "refuses the connection",
    "unreachable": "no way there from here",
    "reset by peer": "the connection broke",
    "Remote end closed": "the connection broke",
}
"""What may be found in a connection fault's words, and what it means."""
