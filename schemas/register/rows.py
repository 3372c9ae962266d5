"""What a row of the register may be: a number, a campaign or a contact, and the columns of each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Any

import msgspec

from schemas.register.values import (
    TrustHub,
    day_of,
    first_moment,
    read_campaign,
    read_consent,
    read_date,
    read_number,
    read_state,
    read_text,
    read_trust_hub,
    read_zip,
    read_zone,
)
from schemas.registration import ContactDetails


class Kind(StrEnum):
    """What rows speak of; also the name of their tables in TOML and of their route in the API."""

    NUMBERS = "numbers"
    CAMPAIGNS = "campaigns"
    CONTACTS = "contacts"


class RegisteredNumber(msgspec.Struct, frozen=True, kw_only=True):
    """One of the company's own numbers; what its row leaves empty is None.

    Attributes:
        number: E.164.
        campaign: its campaign, where the callback URL names none.
        purpose: what it calls for, where its campaign does not say.
        since: first day of this use.
        cnam: the caller name that carriers show.
        trust_hub: state of its business profile in Trust Hub.
        time_zone: IANA name; the day of `since` is a day there.
        voice_integrity: state of its Voice Integrity product.
        shaken: state of its SHAKEN/STIR product.
    """

    number: str
    campaign: str | None = None
    purpose: str | None = None
    since: date | None = None
    cnam: str | None = None
    trust_hub: TrustHub | None = None
    time_zone: str | None = None
    voice_integrity: TrustHub | None = None
    shaken: TrustHub | None = None


class RegisteredCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign; what its row leaves empty is None.

    Attributes:
        campaign: its name.
        purpose: what it calls for, e.g. "telemarketing".
        since: its first day, in UTC.
    """

    campaign: str
    purpose: str | None = None
    since: date | None = None


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What one file holds, by number, campaign and contact, in the order of its rows."""

    numbers: dict[str, RegisteredNumber] = {}
    campaigns: dict[str, RegisteredCampaign] = {}
    contacts: dict[str, ContactDetails] = {}

    def of(self, kind: Kind) -> dict[str, Any]:
        """Give the rows of a kind."""
        found: dict[str, Any] = getattr(self, kind.value)
        return found


Values = dict[str, Any]


class Schema(msgspec.Struct, frozen=True):
    """How rows of a kind are read and written.

    Attributes:
        key: the column that must be there.
        columns: how each column's text is read; the function raises ValueError with what to write instead.
        make: makes a row of the values that its line has.
        take_apart: gives a row's values back, without the key.
    """

    key: str
    columns: dict[str, Callable[[str], Any]]
    make: Callable[[Values], Any]
    take_apart: Callable[[Any], Values]


def _make_contact(values: Values) -> ContactDetails:
    del values["contact"]
    day = values.get("consent_at")
    if day is not None:
        values["consent_at"] = first_moment(day, values.get("time_zone"))
    return ContactDetails(**values)


def _take_contact_apart(details: ContactDetails) -> Values:
    values = msgspec.structs.asdict(details)
    if details.consent_at is not None:
        values["consent_at"] = day_of(details.consent_at, details.time_zone)
    return values


SCHEMAS: dict[Kind, Schema] = {
    Kind.NUMBERS: Schema(
        key="number",
        columns={
            "number": read_number,
            "campaign": read_campaign,
            "purpose": read_text,
            "since": read_date,
            "cnam": read_text,
            "trust_hub": read_trust_hub,
            "time_zone": read_zone,
            "voice_integrity": read_trust_hub,
            "shaken": read_trust_hub,
        },
        make=lambda values: RegisteredNumber(**values),
        take_apart=msgspec.structs.asdict,
    ),
    Kind.CAMPAIGNS: Schema(
        key="campaign",
        columns={"campaign": read_campaign, "purpose": read_text, "since": read_date},
        make=lambda values: RegisteredCampaign(**values),
        take_apart=msgspec.structs.asdict,
    ),
    Kind.CONTACTS: Schema(
        key="contact",
        columns={
            "contact": read_number,
            "time_zone": read_zone,
            "state": read_state,
            "zip": read_zip,
            "consent": read_consent,
            "consent_at": read_date,
            "consent_source": read_text,
        },
        make=_make_contact,
        take_apart=_take_contact_apart,
    ),
}

COLUMNS: tuple[str, ...] = tuple(SCHEMAS[Kind.NUMBERS].columns)
"""The columns of numbers, in their order."""
