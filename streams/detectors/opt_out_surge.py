"""The rule `opt_out_surge`: more opt-outs for each answered call than usual."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import ANSWERS, CallFact, FactKind
from schemas.rule_settings.shares import ShareSettings
from streams.detectors.episode import RuleText
from streams.detectors.share_rule import Bands, ShareRule


class OptOutSurge(ShareRule):
    """Opt-outs beside answered calls: each answered call is a trial, and each opt-out one that went wrong.

    An opt-out counts for the campaign and number that it names; one that names no campaign counts for nobody.
    """

    RULE: ClassVar[str] = "opt_out_surge"
    TEXT: ClassVar[RuleText] = RuleText(
        rule="opt_out_surge",
        source=(
            "Twilio's best practices for a positive caller reputation: watch how many people opt out. A rise comes "
            "before "
            "the complaints that carriers label numbers by."
        ),
        what_to_do={
            SubjectKind.NUMBER: (
                "Look at what the number is used for and what callers say; give the number a rest if people know it "
                "as spam."
            ),
            SubjectKind.CAMPAIGN: (
                "Look at the list and at the script: who is called, did they agree to it, and what are they told?"
            ),
        },
    )
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED, FactKind.OPTED_OUT})
    HITS: ClassVar[str] = "opt-outs"
    TRIALS: ClassVar[str] = "answered calls and opt-outs"
    BANDS: ClassVar[Bands] = ()

    @staticmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:  # noqa: ARG004 - the same for all share rules
        """Whether a person opted out, or only answered; None for all other calls."""
        if fact.fact is FactKind.OPTED_OUT:
            return True
        return False if fact.after.disposition in ANSWERS else None
