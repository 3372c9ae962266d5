"""The rule `short_calls`: answered calls that end within seconds."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import CallFact, Disposition, FactKind
from schemas.rule_settings.shares import ShareSettings
from streams.detectors.episode import RuleText
from streams.detectors.share_rule import Bands, ShareRule
from streams.windows.tally import SHORT_SECONDS

_PEOPLE = frozenset({Disposition.HUMAN, Disposition.ANSWERED})


class ShortCalls(ShareRule):
    """The share of answered calls that last less than ten seconds.

    People who hang up at once are what carriers take for unwanted calls. Calls that a machine is known to have answered
    are left out: `voicemail_hangup` watches those.
    """

    RULE: ClassVar[str] = "short_calls"
    TEXT: ClassVar[RuleText] = RuleText(
        rule="short_calls",
        source=(
            "Twilio's Trust and Engagement Insights: answered calls of less than 10 seconds; more than 15 % of them is "
            "typically low trust."
        ),
        what_to_do={
            SubjectKind.NUMBER: (
                "Listen to the first seconds: does somebody speak at once and say who calls? Look at the caller name"
                " that is "
                "shown, and rest the number if people take it for spam."
            ),
            SubjectKind.CAMPAIGN: (
                "Look at the script's first sentence, the dialer's delay before somebody speaks, and whether the "
                "list wants "
                "these calls."
            ),
        },
    )
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED})
    HITS: ClassVar[str] = "calls under 10 seconds"
    TRIALS: ClassVar[str] = "answered calls"
    BANDS: ClassVar[Bands] = ((0.07, "low"), (0.15, "medium"))

    @staticmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:  # noqa: ARG004 - the same for all share rules
        """Whether an answered call was short; None if nobody answered, a machine did, or its length is unknown."""
        after = fact.after
        if after.talk_seconds is None or after.disposition not in _PEOPLE:
            return None
        return after.talk_seconds < SHORT_SECONDS
