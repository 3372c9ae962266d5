"""The rule `invalid_numbers`: a campaign calls numbers that do not exist."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import SEIZURES, CallFact, Disposition, FactKind
from schemas.rule_settings.shares import ShareSettings
from streams.detectors.episode import RuleText
from streams.detectors.share_rule import Bands, ShareRule


class InvalidNumbers(ShareRule):
    """The share of calls that end with SIP 404, 410, 484 or 604, of all that reached the network.

    Calls to unassigned numbers are what carriers know robocallers by; Twilio counts them as potential robocalls. It
    speaks of the campaign, whose list is bad; a contact whose number does not exist has a detector of its own, in
    `streams.detectors.invalid_contact`.
    """

    RULE: ClassVar[str] = "invalid_numbers"
    TEXT: ClassVar[RuleText] = RuleText(
        rule="invalid_numbers",
        source=(
            "Twilio's Trust and Engagement Insights: potential robocalls are calls that end with SIP 404; from 0.5 %"
            " of "
            "calls on the risk is raised."
        ),
        what_to_do={
            SubjectKind.CAMPAIGN: (
                "Check the list the campaign calls from: look its numbers up before calling, and drop those that do "
                "not exist."
            ),
        },
    )
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED})
    HITS: ClassVar[str] = "calls to numbers that do not exist"
    TRIALS: ClassVar[str] = "calls that reached the network"
    BANDS: ClassVar[Bands] = ((0.005, "low"), (0.01, "medium"))
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CAMPAIGN})

    @staticmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:  # noqa: ARG004 - the same for all share rules
        """Whether an ended call found no such number; None if it did not reach the network."""
        disposition = fact.after.disposition
        return disposition is Disposition.INVALID if disposition in SEIZURES else None
