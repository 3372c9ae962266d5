"""What the register says about a call's two parties, as it stood when the call's callback came.

It travels with the callback and the facts made of it, so that a rule is a function of its log alone, and a replay says
what was said, whatever the register says by then.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Consent(StrEnum):
    """What a contact has agreed to, in the words of 47 CFR 64.1200(a) and (f)(9)."""

    NONE = "none"
    EXPRESS = "express"
    WRITTEN = "written"


class NumberRegistration(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the register says about the company's own number and the campaign it called for.

    Attributes:
        registered: whether the number is in the register; False only where there is a register.
        purpose: what the campaign calls for, else what the number is registered for; None if neither says.
        since: first moment of the number's present use, in milliseconds since the epoch; None if it does not say.
        cnam: the caller name that carriers show; None if it does not say, or there is none.
        trust_hub: Trust Hub's state of the number's profile, in Twilio's words; None if it does not say.
        campaign_since: first moment of the campaign, in milliseconds since the epoch; None if it does not say.
    """

    registered: bool
    purpose: str | None = None
    since: int | None = None
    cnam: str | None = None
    trust_hub: str | None = None
    campaign_since: int | None = None


class ContactDetails(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the register says about the person called.

    Attributes:
        time_zone: IANA name; None if it does not say.
        state: two capitals, as the postal service writes US states and Canadian provinces; None if it does not say.
        zip: the ZIP code's five digits; None if it does not say.
        consent: what the person has agreed to; None if it does not say.
        consent_at: when, in milliseconds since the epoch; None if it does not say.
        consent_source: how it was given; None if it does not say.
    """

    time_zone: str | None = None
    state: str | None = None
    zip: str | None = None
    consent: Consent | None = None
    consent_at: int | None = None
    consent_source: str | None = None
