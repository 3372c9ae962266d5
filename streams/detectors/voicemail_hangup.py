"""The rule `voicemail_hangup`: machines answer and the call is dropped at once."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import CallFact, Disposition, FactKind
from schemas.rule_settings.shares import ShareSettings
from schemas.rule_settings.shares import VoicemailHangup as Settings
from streams.detectors.episode import RuleText
from streams.detectors.share_rule import Bands, ShareRule


class VoicemailHangup(ShareRule):
    """The share of calls that a machine answered and that were dropped before a message could be left.

    Calls that end as soon as the machine is known look like a robocaller's probing to carriers and to people, who find
    a missed call without a message. A call counts once its machine is known, which may be after its end.
    """

    RULE: ClassVar[str] = "voicemail_hangup"
    TEXT: ClassVar[RuleText] = RuleText(
        rule="voicemail_hangup",
        source=(
            "Twilio's best practices for a positive caller reputation: leave a message, and do not hang up on "
            "voicemail."
        ),
        what_to_do={
            SubjectKind.NUMBER: (
                "Leave a short message that says who called and why, or let the machine's greeting end before "
                "hanging up."
            ),
            SubjectKind.CAMPAIGN: (
                "Let the dialer leave a message on machines, or switch machine detection off for the campaign."
            ),
        },
    )
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED, FactKind.REVISED})
    HITS: ClassVar[str] = "calls dropped on a machine"
    TRIALS: ClassVar[str] = "calls answered by a machine"
    BANDS: ClassVar[Bands] = ()

    @staticmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:
        """Whether a call was dropped on a machine; None if none answered, or that was known before."""
        assert isinstance(settings, Settings)
        after, before = fact.after, fact.before
        if after.disposition is not Disposition.MACHINE or after.talk_seconds is None:
            return None
        if before is not None and before.disposition is Disposition.MACHINE and before.talk_seconds is not None:
            return None
        return after.talk_seconds < settings.hangup_seconds
