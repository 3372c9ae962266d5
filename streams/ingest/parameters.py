"""Twilio's parameters, read one by one: what can't be used is None and leaves a line that says why, never a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import msgspec

from schemas.call import CallStatus, Direction
from schemas.callback import Params

# Longer than any SID, number or SIP address in use; these become keys, and a key must stay small.
LONGEST_KEY = 128
# Nine digits hold any sequence number and thirty years of seconds, and always fit 64 bits.
_MOST_DIGITS = 9
_LONGEST_TIMESTAMP = 64
_LONGEST_SHOWN = 60

# What Twilio's console and some templates write where a field is empty.
_PLACEHOLDERS = frozenset({"no value", "<no value>", "[no value]"})

_CHANNEL_PREFIX = re.compile(r"(?!(?:client|sip|sips|sim):)[A-Za-z]+:(?=\+[0-9]+$)")
_VERDICT = re.compile(r"[a-z][a-z_]{0,39}")
_STATUSES = {status.value: status for status in CallStatus}
_SUMMARY_STATUSES = {**_STATUSES, "fail": CallStatus.FAILED, "noanswer": CallStatus.NO_ANSWER}
_SUMMARY_STATUSES["answered"] = CallStatus.IN_PROGRESS
_DIRECTIONS = {direction.value: direction for direction in Direction if direction is not Direction.UNKNOWN}
_DAY = 86_400_000


def shown(text: str) -> str:
    """Give a value as a problem line shows it: quoted and of bounded length."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def as_params(values: Mapping[str, Any]) -> Params:
    """Make parameters of JSON values: numbers become text, null becomes blank, what is nested becomes JSON text."""
    return {
        name: [_as_text(item) for item in value] if isinstance(value, list) else _as_text(value)
        for name, value in values.items()
    }


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, RecursionError):
        # An integer of more than 64 bits, or nesting past the encoder's depth: still text, only slower.
        return repr(value)


class Reading:
    """Reads one request's parameters and collects what could not be used.

    Args:
        params: the parameters as they came.

    Attributes:
        problems: a line for each value that could not be used.
    """

    __slots__ = ("params", "problems")

    def __init__(self, params: Params) -> None:
        self.params = params
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        """Give a parameter without surrounding blanks; None if absent, blank, or given twice with two values."""
        value = self.params.get(name)
        if not value:
            return None
        if isinstance(value, list):
            if len(set(value)) > 1:
                self.problems.append(f"{name}: given {len(value)} times with different values")
                return None
            value = value[0]
        value = value.strip()
        return None if not value or value.lower() in _PLACEHOLDERS else value

    def short(self, name: str) -> str | None:
        """Give a parameter that may become a key; None also if it is too long for one."""
        value = self.text(name)
        if value is not None and len(value) > LONGEST_KEY:
            self.problems.append(f"{name}: longer than {LONGEST_KEY} characters")
            return None
        return value

    def party(self, name: str) -> str | None:
        """Give a caller or called party, without a channel's prefix before a number, e.g. "whatsapp:+1…"."""
        value = self.short(name)
        return None if value is None else _CHANNEL_PREFIX.sub("", value, count=1)

    def count(self, name: str) -> int | None:
        """Give a whole number that is not below zero."""
        value = self.text(name)
        if value is None:
            return None
        if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
            return int(value)
        self.problems.append(f"{name}: {shown(value)} is not a whole number from 0 up")
        return None

    def sip_code(self, name: str) -> int | None:
        """Give a SIP response code, 100 to 699."""
        value = self.text(name)
        if value is None:
            return None
        if len(value) == 3 and value.isascii() and value.isdigit() and "1" <= value[0] <= "6":  # noqa: PLR2004 - digits
            return int(value)
        self.problems.append(f"{name}: {shown(value)} is not a SIP code from 100 to 699")
        return None

    def stir_status(self) -> str | None:
        """Give StirStatus, A, B or C; Twilio writes "null" where there is none."""
        value = self.text("StirStatus")
        if value is None or value.lower() == "null":
            return None
        if value in {"A", "B", "C"}:
            return value
        self.problems.append(f"StirStatus: {shown(value)} is none of A, B, C")
        return None

    def status(self, name: str, *, summary: bool = False) -> CallStatus | None:
        """Give a call's status; a call summary spells some of them in its own way."""
        value = self.text(name)
        if value is None:
            return None
        spelling = value.lower().replace("_", "-")
        found = (_SUMMARY_STATUSES if summary else _STATUSES).get(spelling)
        if found is None:
            self.problems.append(f"{name}: {shown(value)} is no status of Twilio's")
        return found

    def verdict(self, name: str) -> str | None:
        """Give who answered, in Twilio's spelling with underscores."""
        value = self.text(name)
        if value is None:
            return None
        spelling = value.lower().replace("-", "_")
        if _VERDICT.fullmatch(spelling):
            return spelling
        self.problems.append(f"{name}: {shown(value)} is no verdict of Twilio's")
        return None

    def direction(self, name: str, parent_call_sid: str | None) -> Direction:
        """Give who called whom; a bare "outbound" is told apart by whether the leg has a parent."""
        value = self.text(name)
        if value is None:
            return Direction.UNKNOWN
        spelling = value.lower().replace("_", "-")
        if spelling == "outbound":
            return Direction.OUTBOUND_DIAL if parent_call_sid else Direction.OUTBOUND_API
        found = _DIRECTIONS.get(spelling)
        if found is None:
            self.problems.append(f"{name}: {shown(value)} is none of inbound, outbound-api, outbound-dial")
            return Direction.UNKNOWN
        return found

    def moment(self, name: str, received_at: int, past: int, future: int) -> int | None:
        """Give a time in milliseconds since the epoch.

        Args:
            name: the parameter.
            received_at: when the request came, in milliseconds since the epoch.
            past: how long before its receipt the time may lie, in milliseconds.
            future: how long after.
        """
        value = self.text(name)
        if value is None:
            return None
        at = read_time(value)
        if at is None:
            self.problems.append(f"{name}: {shown(value)} is no time with a zone")
            return None
        if at < received_at - past:
            self.problems.append(f"{name}: {_distance(received_at - at)} before receipt")
            return None
        if at > received_at + future:
            self.problems.append(f"{name}: {_distance(at - received_at)} after receipt")
            return None
        return at


def _distance(length: int) -> str:
    return f"{length // _DAY} days" if length >= 2 * _DAY else f"{length // 1_000} seconds"


# Twilio's times have one-second resolution, so that busy seconds repeat them.
@lru_cache(maxsize=4_096)
def read_time(text: str) -> int | None:
    """Read RFC 2822, or ISO 8601 with a space or a T, into milliseconds since the epoch; None if there is no zone.

    >>> read_time("Thu, 12 Feb 2026 11:48:25 +0000") == read_time("Thu, 12 Feb 2026 11:48:25 Etc/UTC")
    True
    """
    if len(text) > _LONGEST_TIMESTAMP:
        return None
    if text.endswith("Etc/UTC"):
        # The standard library reads the zone's name as no zone at all.
        text = text.removesuffix("Etc/UTC") + "+0000"
    try:
        moment = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
        if moment.tzinfo is None:
            # "-0000" is RFC 2822's word for UTC of an unnamed place; anything else without a zone stays unknown.
            if not text.endswith("-0000"):
                return None
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
