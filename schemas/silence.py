"""Silences: the records of `silences`, by which a person keeps alerts from being told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from schemas.times import to_iso
from schemas.wire import Versioned


class Matchers(msgspec.Struct, frozen=True):
    """Which alerts a silence is for: those of which every matcher that is given equals the label.

    Attributes:
        rule: the rule.
        kind: kind of the subject: number, campaign, contact or account.
        value: the subject.
        campaign: the campaign that the alert is of.
        alert_id: exactly one alert.
    """

    rule: str | None = None
    kind: str | None = None
    value: str | None = None
    campaign: str | None = None
    alert_id: str | None = None

    def given(self) -> dict[str, str]:
        """The matchers that are given, by label.

        >>> Matchers(rule="volume_spike", campaign="spring-sale").given()
        {'rule': 'volume_spike', 'campaign': 'spring-sale'}
        """
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def match(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is meant; no matchers match nothing.

        >>> Matchers(rule="volume_spike").match({"rule": "volume_spike", "kind": "number"})
        True
        >>> Matchers().match({"rule": "volume_spike"})
        False
        """
        given = self.given()
        return bool(given) and all(labels.get(name) == value for name, value in given.items())


class Silence(Versioned, frozen=True, kw_only=True):
    """A silence as it stands after one change; the last record of an id holds.

    A silence of one alert by its id is an acknowledgement: it has no end of its own and ends with the alert.

    Attributes:
        silence_id: names the silence.
        matchers: which alerts it is for; at least one is given.
        starts_at: from when on it holds, in milliseconds since the epoch.
        ends_at: until when; None for an acknowledgement, which holds until its alert resolves.
        author: who wanted it.
        comment: why.
        created_at: when it was asked for.
        ended_by: who ended it before its time; None if nobody did.
    """

    VERSION: ClassVar[int] = 1

    silence_id: str
    matchers: Matchers
    starts_at: int
    ends_at: int | None
    author: str
    comment: str
    created_at: int
    ended_by: str | None = None

    @property
    def acknowledges(self) -> bool:
        """Whether it is the acknowledgement of one alert."""
        return self.matchers.alert_id is not None

    def holds(self, now: int) -> bool:
        """Whether it holds at `now`, in milliseconds since the epoch."""
        return self.starts_at <= now and (self.ends_at is None or now < self.ends_at)

    def state(self, now: int) -> str:
        """In Alertmanager's words: `pending`, `active` or `expired`."""
        if self.ends_at is not None and now >= self.ends_at:
            return "expired"
        return "active" if self.starts_at <= now else "pending"

    def as_public(self, now: int) -> dict[str, object]:
        """The silence as the API shows it."""
        return {
            "silence_id": self.silence_id,
            "state": self.state(now),
            "matchers": self.matchers.given(),
            "starts_at": to_iso(self.starts_at),
            "ends_at": None if self.ends_at is None else to_iso(self.ends_at),
            "author": self.author,
            "comment": self.comment,
            "created_at": to_iso(self.created_at),
            "ended_by": self.ended_by,
        }
