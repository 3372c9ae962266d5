"""The rule `short_ring`: unanswered calls are given up too soon."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import CallFact, Disposition, FactKind
from schemas.rule_settings.shares import ShareSettings
from schemas.rule_settings.shares import ShortRing as Settings
from streams.detectors.episode import RuleText
from streams.detectors.share_rule import Bands, ShareRule

# What a call ends with when its own timeout is over: canceled by Twilio, or no code at all.
_OWN_TIMEOUT = frozenset({None, 487})


class ShortRing(ShareRule):
    """The share of unanswered calls that the caller gave up before they had rung long enough.

    Twilio advises 30 seconds of ringing; the law asks for 15 seconds or four rings. Only calls that the caller ended
    count: canceled ones, and those that ran into the caller's own timeout. A carrier that gives up sooner says so with
    another SIP code.
    """

    RULE: ClassVar[str] = "short_ring"
    TEXT: ClassVar[RuleText] = RuleText(
        rule="short_ring",
        source=(
            "16 CFR 310.4(b)(4)(ii) and 47 CFR 64.1200(a)(6): an unanswered call rings for at least 15 seconds or four "
            "rings. Twilio's best practices advise 30 seconds."
        ),
        what_to_do={
            SubjectKind.NUMBER: (
                "Raise the timeout of the calls to 30 seconds or more, and look at why the dialer cancels calls."
            ),
            SubjectKind.CAMPAIGN: (
                "Raise the dialer's timeout to 30 seconds or more; a predictive dialer that cancels calls has too "
                "few agents "
                "for its pace."
            ),
        },
    )
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED})
    HITS: ClassVar[str] = "calls given up too soon"
    TRIALS: ClassVar[str] = "unanswered calls that the caller ended"
    GRAVE: ClassVar[str | None] = "below_lawful_seconds"
    BANDS: ClassVar[Bands] = ()

    @staticmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:
        """Whether the caller gave up too soon; None if it did not end the call, or its ringing is unknown."""
        assert isinstance(settings, Settings)
        after = fact.after
        if after.ring_seconds is None or not _is_given_up(fact):
            return None
        return after.ring_seconds < settings.advised_seconds

    @staticmethod
    def is_grave(fact: CallFact, settings: ShareSettings) -> bool:
        """Whether it rang for less than the law asks for."""
        assert isinstance(settings, Settings)
        return fact.after.ring_seconds is not None and fact.after.ring_seconds < settings.lawful_seconds


def _is_given_up(fact: CallFact) -> bool:
    disposition = fact.after.disposition
    if disposition is Disposition.CANCELED:
        return True
    return disposition is Disposition.NO_ANSWER and fact.sip_code in _OWN_TIMEOUT
