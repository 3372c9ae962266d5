"""The parameters that several routes share, and how numbers are read from them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import HTTPException, Query

from schemas.times import HOUR, from_iso
from sinks.feed.board import Board
from sinks.feed.models import Problem

Clock = Callable[[], int]
"""The wall clock, in milliseconds since the epoch."""

# A page of this size is written in some ten milliseconds, during which nobody else is served.
MAX_PAGE = 1_000
RETRY_AFTER = {"Retry-After": "1"}
"""What is refused for the moment may be asked again after a second."""

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items of a page at most.")]
After = Annotated[str | None, Query(description="`next` of the page before.")]
Since = Annotated[str | None, Query(description="Only what is from this time on, ISO 8601 with an offset or a Z.")]

UNAVAILABLE: dict[int | str, dict[str, object]] = {503: {"model": Problem, "description": "Not now; see Retry-After."}}
NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"model": Problem, "description": "Not known."}}

_PUNCTUATION = str.maketrans("", "", " -.()\u00a0")
_DIGITS = re.compile(r"\+?[0-9]+")
# National numbers begin here; shorter digits are short codes, which have no plus.
_LEAST_DIGITS = 7


def wall_clock() -> int:
    """The time now, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def ready_board(board: Board) -> None:
    """Refuse to answer from a board that has not read its log yet: "not suppressed" would be a guess.

    Raises:
        HTTPException: 503, the log is still being read.
    """
    if not board.caught_up.is_set():
        raise HTTPException(503, "alerts and suppressions are still being read from the log; ask again", RETRY_AFTER)


def since_ms(since: str | None) -> int | None:
    """Read `since`; its plus sign may have come as a blank.

    Raises:
        HTTPException: 422, no time.
    """
    if since is None:
        return None
    try:
        return from_iso(since.strip().replace(" ", "+") if "T" in since else since)
    except ValueError:
        raise HTTPException(422, f"since: {since!r} is no time; write it as 2026-11-23T14:00:00Z") from None


def moment(name: str, text: str) -> int:
    """Read the time of a field.

    Raises:
        HTTPException: 422, no time.
    """
    try:
        return from_iso(text)
    except ValueError:
        raise HTTPException(422, f"{name}: {text!r} is no time; write it as 2026-11-23T14:00:00Z") from None


def end_of(name: str, text: str | None, hours: float | None, start: int) -> int | None:
    """Read an end that was given as a time or in hours from a start; None if it was not given.

    Raises:
        HTTPException: 422, no time, not after the start, or given twice.
    """
    if text is not None and hours is not None:
        raise HTTPException(422, f"{name}: give either {name} or hours, not both")
    end = start + round(hours * HOUR) if hours is not None else None if text is None else moment(name, text)
    if end is not None and end <= start:
        raise HTTPException(422, f"{name}: lies in the past; give a later time")
    return end


def as_number(text: str) -> str:
    """Read a number as it comes in a path or query, where `+` may have become a blank, into the log's writing.

    What is no number, such as `sip:alice@example.com` or a short code, stays as it is.

    >>> as_number(" 12025550123"), as_number("+1 (202) 555-0123")
    ('+12025550123', '+12025550123')
    >>> as_number("sip:alice@example.com"), as_number("72345")
    ('sip:alice@example.com', '72345')
    """
    written = "+" + text[1:] if text.startswith(" ") else text
    bare = written.translate(_PUNCTUATION)
    return bare if _DIGITS.fullmatch(bare) else written.strip()


def lacks_plus(number: str) -> bool:
    """Whether this is a telephone number without its plus, so that nobody can tell which country it belongs to.

    >>> lacks_plus("2025550123"), lacks_plus("+12025550123"), lacks_plus("72345")
    (True, False, False)
    """
    return number.isdecimal() and len(number) >= _LEAST_DIGITS
