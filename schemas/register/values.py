"""The values of the register's columns: each is read from text by a function that says what to write instead."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.registration import Consent

# A campaign travels in URLs, record keys and page addresses; this much fits all of them unescaped or nearly so.
_CAMPAIGN = re.compile(r"[\w.\-]{1,100}")
_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")
_ZIP = re.compile(r"([0-9]{5})(?:-?[0-9]{4})?")
_LONGEST_TEXT = 100
# Times are counted from 1970; a mistyped year shall not pass for a real one.
_YEARS = range(1970, 2100)

# Publication 28 of the US Postal Service, appendix B, and Canada Post's addressing guidelines.
_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR "
    "PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI FM MH PW AA AE AP AB BC MB NB NL NS NT NU ON PE QC SK YT"
)

# A file has few different zones, states and days, and perhaps tens of thousands of ZIP codes.
_REMEMBERED = 65_536


class TrustHub(StrEnum):
    """How far Twilio's Trust Hub has got with a profile or product, in Twilio's words."""

    DRAFT = "draft"
    PENDING_REVIEW = "pending-review"
    IN_REVIEW = "in-review"
    TWILIO_REJECTED = "twilio-rejected"
    TWILIO_APPROVED = "twilio-approved"


def is_campaign_name(name: str) -> bool:
    """Tell whether a name can be a campaign's: 1 to 100 letters, digits, hyphens, underscores and dots.

    >>> is_campaign_name("spring-sale"), is_campaign_name("spring sale")
    (True, False)
    """
    return _CAMPAIGN.fullmatch(name) is not None


def is_number(text: str) -> bool:
    """Tell whether a text is a telephone number as E.164 writes it.

    >>> is_number("+14155550123"), is_number("client:alice")
    (True, False)
    """
    return _NUMBER.fullmatch(text) is not None


def read_number(text: str) -> str:
    """Read a number as E.164."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("write the number as E.164, e.g. +14155550123")
    return text


def read_campaign(text: str) -> str:
    """Read a campaign's name."""
    if not is_campaign_name(text):
        raise ValueError("write 1 to 100 letters, digits, hyphens, underscores or dots, e.g. spring-sale")
    return text


@lru_cache(_REMEMBERED)
def read_text(text: str) -> str:
    """Read free text of one line."""
    if len(text) > _LONGEST_TEXT or not text.isprintable():
        raise ValueError(f"write at most {_LONGEST_TEXT} printable characters")
    return text


@lru_cache(_REMEMBERED)
def read_zone(text: str) -> str:
    """Read an IANA time zone."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("write an IANA time zone, e.g. America/New_York") from None
    return text


@lru_cache(_REMEMBERED)
def read_date(text: str) -> date:
    """Read an ISO date."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("write an ISO date, e.g. 2026-11-23") from None
    if day.year not in _YEARS:
        raise ValueError("write a year from 1970 to 2099, e.g. 2026-11-23")
    return day


@lru_cache(_REMEMBERED)
def read_trust_hub(text: str) -> TrustHub:
    """Read a state of Trust Hub."""
    try:
        return TrustHub(text)
    except ValueError:
        raise ValueError(f"write one of {', '.join(TrustHub)}, or leave it empty") from None


@lru_cache(_REMEMBERED)
def read_consent(text: str) -> Consent:
    """Read what a contact has agreed to."""
    try:
        return Consent(text.lower())
    except ValueError:
        raise ValueError(f"write one of {', '.join(Consent)}, or leave it empty") from None


@lru_cache(_REMEMBERED)
def read_state(text: str) -> str:
    """Read a US state or territory, or a Canadian province, by its two letters."""
    state = text.upper()
    if state not in _STATES.split():
        raise ValueError("write the two letters of a US state or Canadian province, e.g. CA, or leave it empty")
    return state


@lru_cache(_REMEMBERED)
def read_zip(text: str) -> str:
    """Read a US ZIP code; of ZIP+4 the first five digits.

    >>> read_zip("94105-1234")
    '94105'
    """
    found = _ZIP.fullmatch(text)
    if found is None:
        raise ValueError("write the five digits of a US ZIP code, with its leading zeros, or leave it empty")
    return found[1]


@lru_cache(_REMEMBERED)
def first_moment(day: date, time_zone: str | None) -> int:
    """Give the first moment of a day in milliseconds since the epoch; without a time zone, of the day in UTC.

    >>> first_moment(date(2026, 11, 1), "America/New_York") - first_moment(date(2026, 11, 1), None)
    14400000
    """
    zone = UTC if time_zone is None else ZoneInfo(time_zone)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1_000)


@lru_cache(_REMEMBERED)
def day_of(moment: int, time_zone: str | None) -> date:
    """Give the day of a moment that `first_moment` gave."""
    zone = UTC if time_zone is None else ZoneInfo(time_zone)
    return datetime.fromtimestamp(moment / 1_000, zone).date()
