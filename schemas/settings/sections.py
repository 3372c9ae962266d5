"""The tables of settings: what a request may measure, what opts out, how calls are assembled, Twilio, the history."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.settings.addresses import check_twilio_url
from schemas.settings.section import Secret, Section


class Limits(Section):
    """What a request may measure at most."""

    body_bytes: int = Field(65_536, ge=1_024, description="Bytes of a form body.")
    events_body_bytes: int = Field(4_194_304, ge=1_024, description="Bytes of an Event Streams body.")
    parameters: int = Field(256, ge=16, description="Parameters of a request.")
    parameter_length: int = Field(16_384, ge=256, description="Characters of a parameter's name or value.")
    # A million contacts with all their columns.
    register_body_bytes: int = Field(
        67_108_864, ge=1_024, description="Bytes of a part of the register, or of a do-not-call list, sent to the API."
    )


class Gather(Section):
    """Which key presses and words on a call are an opt-out."""

    opt_out_digits: list[str] = Field(default=["9"], description="What a person keys in to opt out.")
    opt_out_words: list[str] = Field(
        default=[
            "stop",
            "stop calling",
            "do not call",
            "don't call",
            "remove me",
            "take me off",
            "unsubscribe",
            "opt out",
        ],
        description="Words or phrases in the recognised speech that opt a person out.",
    )


class Messaging(Section):
    """Which words in a message are an opt-out or an opt-in; Twilio's own list is the default."""

    stop_words: list[str] = Field(
        default=["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"],
        description="A message of just this word opts out, whatever its case.",
    )
    start_words: list[str] = Field(
        default=["START", "UNSTOP"], description="A message of just this word opts back in to messages."
    )


class Assembly(Section):
    """How callbacks become calls."""

    call_timeout_hours: float = Field(4.0, gt=0, description="Event time after which a silent call is closed, hours.")
    remember_minutes: float = Field(
        60.0, gt=0, description="How long an ended call is kept for late verdicts, minutes of event time."
    )
    count_child_legs: bool = Field(False, description="Whether legs made by <Dial> count as attempts of their own.")
    future_tolerance_seconds: float = Field(
        60.0, ge=0, description="How far past its receipt a Timestamp may lie before it counts as unusable, seconds."
    )
    past_tolerance_hours: float = Field(
        24.0, gt=0, description="How long before its receipt a Timestamp may lie before it counts as unusable, hours."
    )


class Twilio(Section):
    """Twilio's account, as `ringwatch numbers sync` reads it."""

    account_sid: str | None = Field(
        None, pattern=r"^AC[0-9a-fA-F]{32}$", description="The account to read; by default the only one of `accounts`."
    )
    auth_token: Secret | None = Field(None, description="Its auth token; by default the one in `accounts`.")
    api_key: str | None = Field(
        None, pattern=r"^SK[0-9a-fA-F]{32}$", description="SID of an API key, to be used in place of the auth token."
    )
    api_secret: Secret | None = Field(None, description="Secret of the API key.")
    subaccounts: bool = Field(
        False,
        description="Whether the numbers of its subaccounts are read too; needs the auth token or a main API key.",
    )
    base_url: Annotated[str, AfterValidator(check_twilio_url)] | None = Field(
        None, description="Where requests go in place of Twilio's own hosts, on loopback only, for tests."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.api_key is None) != (self.api_secret is None):
            missing, given = ("api_secret", "api_key") if self.api_secret is None else ("api_key", "api_secret")
            raise ValueError(f"{missing}: missing; it goes with {given}")
        return self


class History(Section):
    """How the DuckDB file is written."""

    batch_rows: int = Field(20_000, ge=1, description="Records written in one transaction at most.")
    flush_seconds: float = Field(1.0, gt=0, description="How long a record may wait to be written, seconds.")
    query_seconds: float = Field(30.0, gt=0, description="How long a query over HTTP may run, seconds.")
    query_rows: int = Field(100_000, ge=1, description="Rows that a query over HTTP may return.")
