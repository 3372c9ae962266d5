"""The topic registry: every topic's key, cleanup and retention."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.times import DAY, HOUR


class Cleanup(StrEnum):
    """Kafka's cleanup.policy."""

    DELETE = "delete"
    COMPACT = "compact"


class Topic(msgspec.Struct, frozen=True):
    """A topic's contract.

    Attributes:
        name: its name in the log.
        key: what its records are keyed by, for people.
        cleanup: `delete` drops records past the retention, `compact` keeps the last record of a key.
        retention: how long a record is kept at least, in milliseconds; None is for ever.
    """

    name: str
    key: str
    cleanup: Cleanup = Cleanup.DELETE
    retention: int | None = 7 * DAY


# A year of alerts and rejects is small, and an audit asks for them.
_LONG = 365 * DAY

CALLBACKS = Topic("callbacks", "CallSid")
CALLS = Topic("calls", "the company's own number")
CONTACTS = Topic("contacts", "the called party")
CAMPAIGNS = Topic("campaigns", "campaign")
ACCOUNTS = Topic("accounts", "AccountSid")
# Kept whole and for good: a person's verdict is the sum of signals on several channels, and a later one must not take
# an earlier one out of the log before agents and history have read it. Neither topic grows faster than people opt out.
OPTOUTS = Topic("optouts", "the person", Cleanup.DELETE, None)
ALERTS = Topic("alerts", "alert id", Cleanup.DELETE, _LONG)
SUPPRESSIONS = Topic("suppressions", "kind:value, rule and scope", Cleanup.DELETE, None)
# Who silenced what, and why, is asked long after; people write few of them.
SILENCES = Topic("silences", "silence id", Cleanup.DELETE, None)
# Workers tell each other where their partitions stand; only the last words matter.
PROGRESS = Topic("progress", "none", Cleanup.DELETE, HOUR)
DEADLETTERS = Topic("deadletters", "none", Cleanup.DELETE, _LONG)

TOPICS: tuple[Topic, ...] = (
    CALLBACKS,
    CALLS,
    CONTACTS,
    CAMPAIGNS,
    ACCOUNTS,
    OPTOUTS,
    ALERTS,
    SUPPRESSIONS,
    SILENCES,
    DEADLETTERS,
    PROGRESS,
)
