"""The rule `silent_calls`: answered, and nothing is heard."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import ANSWERS, CallFact, FactKind
from schemas.rule_settings.shares import ShareSettings
from streams.detectors.episode import RuleText
from streams.detectors.share_rule import Bands, ShareRule


class SilentCalls(ShareRule):
    """The share of calls on which Voice Insights heard silence, of those that it told of and that were answered.

    Voice Insights tells of a call some minutes to half an hour after its end, by Event Streams; without it the rule has
    nothing to go by and says so.
    """

    RULE: ClassVar[str] = "silent_calls"
    TEXT: ClassVar[RuleText] = RuleText(
        rule="silent_calls",
        source=(
            "Twilio Voice Insights tags a call with `silence`; Twilio's Trust and Engagement Insights count silent "
            "calls "
            "against a caller's reputation."
        ),
        what_to_do={
            SubjectKind.NUMBER: (
                "Call the number's route yourself: a broken media path, a firewall, or a dialer that connects people"
                " to nobody."
            ),
            SubjectKind.CAMPAIGN: (
                "Look at the media path and at the dialer: people who answer and hear nothing take the call for a "
                "robocall."
            ),
        },
    )
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED, FactKind.REVISED})
    HITS: ClassVar[str] = "silent calls"
    TRIALS: ClassVar[str] = "answered calls that Voice Insights told of"
    BANDS: ClassVar[Bands] = ()

    @staticmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:  # noqa: ARG004 - the same for all share rules
        """Whether an answered call was silent; None if nobody knows, or that was known before."""
        after, before = fact.after, fact.before
        if after.silent is None or after.disposition not in ANSWERS:
            return None
        return None if before is not None and before.silent is not None else after.silent
