"""Where a person may be: zones and states, by what is known of them."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from schemas.registration import ContactDetails
from streams.jurisdictions.numbering import (
    key_of_number,
    states_of_number,
    states_of_zip,
    zones_of_number,
    zones_of_state,
)

NATIONWIDE: Final = (
    "America/Anchorage",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/New_York",
    "America/Phoenix",
    "Pacific/Honolulu",
)
"""The zones of the United States from New York to Hawaii: where somebody of whom nothing is known may be."""


class KnownBy(StrEnum):
    """What the zones of a person were taken from; the first that there is, in this order."""

    TIME_ZONE = "time_zone"
    ZIP = "zip"
    STATE = "state"
    NUMBER = "number"
    NOTHING = "nothing"


class Place(msgspec.Struct, frozen=True):
    """Where a person may be.

    Attributes:
        zones: IANA time zones, sorted; empty if nothing is known.
        states: states and provinces whose rules may hold; empty if none is known.
        known_by: what the zones were taken from.
    """

    zones: tuple[str, ...]
    states: tuple[str, ...]
    known_by: KnownBy


def place_of(details: ContactDetails | None, number: str) -> Place:
    """Where a person may be.

    Zones are the person's own, else those of the ZIP code, of the state, of the number. States are those of ZIP code
    and state where either is known, as the rules of both may hold, else those of the number.

    Args:
        details: what the register says of the person; None if it does not know them.
        number: the person's, as E.164.

    >>> place_of(None, "+12125550123")
    Place(zones=('America/New_York',), states=('NY',), known_by=<KnownBy.NUMBER: 'number'>)
    >>> place_of(ContactDetails(state="CA"), "+12125550123").zones
    ('America/Los_Angeles',)
    >>> place_of(None, "+18005550123").known_by
    <KnownBy.NOTHING: 'nothing'>
    """
    key = key_of_number(number)
    if details is None:
        return _place(None, None, None, key)
    return _place(details.time_zone, details.zip and details.zip[:3], details.state, key)


@lru_cache(maxsize=65_536)
def _place(time_zone: str | None, zip_prefix: str | None, state: str | None, key: str) -> Place:
    by_zip = states_of_zip(zip_prefix) if zip_prefix else ()
    by_state = (state,) if state and zones_of_state(state) else ()
    states = tuple(sorted({*by_zip, *by_state})) or states_of_number(key)
    if time_zone is not None and _is_zone(time_zone):
        return Place((time_zone,), states, KnownBy.TIME_ZONE)
    for known, known_by in ((by_zip, KnownBy.ZIP), (by_state, KnownBy.STATE)):
        if known:
            return Place(_zones_of(known), states, known_by)
    zones = zones_of_number(key)
    return Place(zones, states, KnownBy.NUMBER if zones else KnownBy.NOTHING)


def _zones_of(states: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({zone for state in states for zone in zones_of_state(state)}))


def _is_zone(name: str) -> bool:
    # The register checks names; a system whose zones are older than the register's may still not know one.
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
